import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/** Which files each file imports; all of them relative to one directory. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/** The TypeScript files under some directories of `root`, with what they import from each other. */
export function readImports(root: string, directories: readonly string[]): ImportGraph {
  const files = directories.flatMap((directory) =>
    readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => join(root, directory, file)),
  );
  return new Map(
    files.map((file) => [
      relative(root, file),
      importsOf(readFileSync(file, "utf8"))
        .map((specifier) => resolve(dirname(file), `${specifier}.ts`))
        .map((imported) => (files.includes(imported) ? imported : directoryIndex(imported)))
        .filter((imported) => files.includes(imported))
        .map((imported) => relative(root, imported)),
    ]),
  );
}

/** `../src` as it is resolved: `../src/index.ts`. */
function directoryIndex(file: string): string {
  return join(file.replace(/\.ts$/, ""), "index.ts");
}

/** The relative specifiers that a source imports or exports from, types included. */
export function importsOf(source: string): string[] {
  return [...source.matchAll(/^(?:import|export|\})[^;]*?(?:from )?"(\.[^"]*)";$/gm)].map(
    ([, specifier]) => specifier!,
  );
}

/** One circle of imports, its first file repeated at the end; nothing where there is none. */
export function findCircle(graph: ImportGraph): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) {
      return [...path.slice(path.indexOf(file)), file];
    }
    if (done.has(file)) {
      return undefined;
    }
    for (const imported of graph.get(file) ?? []) {
      const circle = visit(imported, [...path, file]);
      if (circle !== undefined) {
        return circle;
      }
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const circle = visit(file, []);
    if (circle !== undefined) {
      return circle;
    }
  }
  return undefined;
}
