import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { apiReference, readmeWithKeys } from "../scripts/api";

test("API.md says what the sources say; npm run api makes it", () => {
  const there = readFileSync(join(__dirname, "..", "API.md"), "utf8");
  assert.equal(there, apiReference());
});

test("the README lists the app's keys as they are; npm run api does it", () => {
  const readme = readFileSync(join(__dirname, "..", "README.md"), "utf8");
  assert.match(readme, /\| `allowPublicRepositories` \| true, false \|/);
  assert.equal(readme, readmeWithKeys(readme));
});

test("every property of every exported interface has a meaning, and a default where it is optional", () => {
  const text = readFileSync(join(__dirname, "..", "API.md"), "utf8");
  const rows = text.split("\n").filter((line) => line.startsWith("| `"));
  assert.ok(rows.length > 100, `${rows.length} rows`);
  for (const row of rows) {
    const cells = row.split(/(?<!\\)\|/).map((cell) => cell.trim());
    for (const cell of cells.slice(1, -1)) {
      assert.notEqual(cell, "", row);
    }
  }
});

test("no cell of a table is a paragraph", () => {
  for (const file of ["API.md", "README.md"]) {
    const text = readFileSync(join(__dirname, "..", file), "utf8");
    for (const row of text.split("\n").filter((line) => line.startsWith("|"))) {
      // A type is as long as it is.
      const cells = row.split(/(?<!\\)\|/).filter((cell) => !/^ `.*` $/.test(cell));
      const long = cells.find((cell) => cell.trim().length > 200);
      assert.equal(long, undefined, `${file}: more than 200 characters`);
    }
  }
});
