import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readConfig } from "../app/config";

test("an unknown key is an error that names the nearest known one", () => {
  assert.throws(() => readConfig({ alowedOwners: "octo" }), /did you mean allowedOwners\?/);
});

test("an unknown key of a runner is named with its place", () => {
  assert.throws(
    () => readConfig({ runners: [{ name: "a" }, { lables: ["b"] }] }),
    /Unknown configuration key runners\[1\]\.lables; did you mean runners\[1\]\.labels\?/,
  );
});

test("what the CLI and the toolkit put into the context is not ours", () => {
  assert.deepEqual(
    readConfig({
      "@aws-cdk/core:checkSecretUsage": true,
      "aws:cdk:enable-path-metadata": false,
      "cli-telemetry": false,
      "availability-zones:account=1:region=us-east-1": ["us-east-1a"],
    }),
    {},
  );
});

test("text from the command line becomes the key's type", () => {
  assert.deepEqual(
    readConfig({
      allowPublicRepositories: "true",
      allowedOwners: "octo, hub cat",
      logRetentionDays: "7",
      runners: '[{"labels": "gpu big", "cpu": "1024"}]',
    }),
    {
      allowPublicRepositories: true,
      allowedOwners: ["octo", "hub", "cat"],
      logRetentionDays: 7,
      runners: [{ labels: ["gpu", "big"], cpu: 1024 }],
    },
  );
});

test("the command line wins over the file", () => {
  const file = join(mkdtempSync(join(tmpdir(), "config-")), "config.json");
  writeFileSync(file, JSON.stringify({ prefix: "from-file", deployment: "f" }));
  assert.deepEqual(readConfig({ config: file, prefix: "from-line" }), {
    prefix: "from-line",
    deployment: "f",
  });
});

test("a file that isn't there is named", () => {
  assert.throws(() => readConfig({ config: "/nowhere/config.json" }), /\/nowhere\/config\.json/);
});

for (const [key, value, allowed] of [
  ["architecture", "arm", /arm64, x86_64/],
  ["allowPublicRepositories", "yes", /true or false/],
  ["logRetentionDays", "a week", /a whole number/],
  ["prefix", "", /a text/],
  ["runners", "{}", /a JSON array/],
  ["runners", "[3]", /a JSON object/],
] as const) {
  test(`${key}=${value} is refused with what is allowed`, () => {
    assert.throws(() => readConfig({ [key]: value }), allowed);
  });
}
