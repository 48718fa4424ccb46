import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import * as source from "../src";
import { PACKED, packAssets } from "../scripts/pack-assets";
import { temporaryDirectory } from "./temporary";

const CDK = join(__dirname, "..");

test("the package's entry is built from the sources, with declarations", () => {
  const { main, types } = JSON.parse(readFileSync(join(CDK, "package.json"), "utf8")) as {
    main: string;
    types: string;
  };
  execFileSync(process.execPath, [
    join(CDK, "node_modules", "typescript", "bin", "tsc"),
    "--project",
    join(CDK, "tsconfig.build.json"),
  ]);
  const built = require(join(CDK, main)) as Record<string, unknown>;
  assert.deepEqual(Object.keys(built).sort(), Object.keys(source).sort());
  assert.ok(existsSync(join(CDK, types)));
});

test("the package carries what the constructs look for outside of it", () => {
  const repository = temporaryDirectory("repository");
  for (const file of PACKED) {
    mkdirSync(dirname(join(repository, file)), { recursive: true });
    writeFileSync(join(repository, file), file, { mode: 0o644 });
  }
  const assets = join(repository, "assets");
  packAssets(repository, assets);
  const files = readdirSync(assets, { recursive: true, withFileTypes: true });
  assert.equal(files.filter((entry) => entry.isFile()).length, PACKED.length);
  // Lambda runs it as it lies in the zip.
  const bootstrap = join(assets, "target", "lambda", "verify", "bootstrap");
  assert.equal(statSync(bootstrap).mode & 0o111, 0o111);
});

test("what isn't built when the package is made is named, with the commands", () => {
  const empty = temporaryDirectory("repository");
  assert.throws(
    () => packAssets(empty, join(empty, "assets")),
    /Not built: .*target\/lambda\/verify\/bootstrap.*cargo xtask zips/,
  );
});
