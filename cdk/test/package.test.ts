import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as source from "../src";
import { layOut, packed } from "../scripts/pack";
import { temporaryDirectory } from "./temporary";

const REPOSITORY = join(__dirname, "..", "..");

test("the package has the constructs with declarations, and what they look for elsewhere", () => {
  const release = temporaryDirectory("release");
  for (const file of packed(REPOSITORY, release, ["arm64", "x86_64"]).values()) {
    if (!existsSync(file)) {
      writeFileSync(file, file, { mode: 0o644 });
    }
  }
  const directory = temporaryDirectory("package");
  layOut(REPOSITORY, release, ["arm64", "x86_64"], directory);

  const published = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as {
    main: string;
    types: string;
    scripts?: unknown;
  };
  assert.equal(published.scripts, undefined);
  assert.ok(existsSync(join(directory, published.types)));
  const entry = readFileSync(join(directory, published.main), "utf8");
  for (const name of Object.keys(source)) {
    assert.match(entry, new RegExp(`\\b${name}\\b`), name);
  }
  const files = readdirSync(join(directory, "assets"), { recursive: true, withFileTypes: true });
  const expected = packed(REPOSITORY, release, ["arm64", "x86_64"]).size;
  assert.equal(files.filter((entry) => entry.isFile()).length, expected);
  for (const patch of ["runner", "warm", "caps", "recycle"]) {
    assert.ok(existsSync(join(directory, "assets", "statemachine", `${patch}.asl.json`)), patch);
  }
  const agent = join(directory, "assets", "images", "ubuntu", "dist", "agent-amd64");
  assert.equal(statSync(agent).mode & 0o111, 0o111);
});

test("what isn't built when the package is made is named, with the command", () => {
  const empty = temporaryDirectory("release");
  assert.throws(
    () => layOut(REPOSITORY, empty, ["arm64"], join(empty, "package")),
    /Not built: .*verify-[\d.]+-arm64\.zip.*cargo xtask release --dry-run/,
  );
});
