import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { findCircle, importsOf, readImports } from "./import-graph";
import { temporaryDirectory } from "./temporary";

const CDK = join(__dirname, "..");

/** Files that exist only for a test. */
function written(files: Record<string, string>): string {
  const root = temporaryDirectory("imports");
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

test("no file of the construct, the app or the set-up imports itself by way of others", () => {
  const graph = readImports(CDK, ["src", "app", "bin"]);
  assert.ok(graph.size > 40, `${graph.size} files`);
  assert.ok(graph.get("app/stack.ts")!.includes("src/index.ts"));
  assert.equal(findCircle(graph)?.join(" → "), undefined);
});

test("a circle is found, through types and re-exports too, and named from its first file", () => {
  const root = written({
    "src/a.ts": 'import { b } from "./deep/b";\n',
    "src/deep/b.ts": 'import {\n  type C,\n  D,\n} from "../c";\n',
    "src/c.ts": 'export type { A } from "./a";\n',
    "src/d.ts": 'import { a } from "./a";\n',
  });
  assert.deepEqual(findCircle(readImports(root, ["src"])), [
    "src/a.ts",
    "src/deep/b.ts",
    "src/c.ts",
    "src/a.ts",
  ]);
});

test("two ways to one file are no circle", () => {
  const root = written({
    "src/a.ts": 'import "./b";\nimport { c } from "./c";\n',
    "src/b.ts": 'import { d } from "./d";\n',
    "src/c.ts": 'import { d } from "./d";\n',
    "src/d/index.ts": 'import { readFileSync } from "node:fs";\n',
  });
  const graph = readImports(root, ["src"]);
  assert.deepEqual(graph.get("src/b.ts"), ["src/d/index.ts"]);
  assert.equal(findCircle(graph), undefined);
});

test("only imports count, not texts that look like paths", () => {
  assert.deepEqual(importsOf('const a = "./a";\nimport b from "./b";\n// from "./c";\n'), ["./b"]);
});
