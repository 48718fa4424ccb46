import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Config, readConfig } from "../app/config";
import { appTemplate } from "./support";

const SOURCE = readFileSync(join(__dirname, "..", "app", "config.ts"), "utf8");

/** The defaults of an interface of the configuration that are values, not descriptions. */
function defaultsOf(name: string): Record<string, unknown> {
  const [, body = ""] = new RegExp(`export interface ${name} \\{\\n([^]*?)\\n\\}`).exec(SOURCE)!;
  const found = [...body.matchAll(/@default (?!- )(.+)\n\s+\*\/\n\s+readonly (\w+)\?/g)];
  return Object.fromEntries(found.map(([, value, key]) => [key!, JSON.parse(value!) as unknown]));
}

const VPC = { vpcId: "vpc-00000001", subnetIds: ["subnet-00000001"] };
/** What some keys go only with. */
const BESIDE: Record<string, Config> = {
  runnerGroup: { runnerScope: "organization" },
  natGateways: { network: "nat" },
  requestsPerSecond: { frontDoor: "http-api" },
  assignPublicIp: VPC,
};

const resources = (given: Record<string, unknown>) =>
  appTemplate(readConfig(given)).toJSON().Resources as unknown;

test("every default that the reference names may be written out, and changes nothing", () => {
  const all = defaultsOf("Config");
  assert.ok(Object.keys(all).length > 25, Object.keys(all).join());
  // Written out it is a variable of `sweep`, with the value that `sweep` takes anyway.
  const same = ["waitingLimitSeconds"];
  const plain = Object.entries(all).filter(([key]) => !(key in BESIDE) && !same.includes(key));
  assert.deepEqual(resources(Object.fromEntries(plain)), resources({}));
  for (const [key, beside] of Object.entries(BESIDE)) {
    assert.ok(key in all, key);
    assert.deepEqual(resources({ ...beside, [key]: all[key] }), resources({ ...beside }), key);
  }
});

test("so may the defaults of a runner", () => {
  const all = defaultsOf("RunnerConfig");
  assert.equal(all.ephemeralStorageGiB, 20);
  const runner = { name: "a" };
  assert.deepEqual(
    resources({ runners: [{ ...runner, ...all }] }),
    resources({ runners: [runner] }),
  );
});
