import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

/**
 * Where the files that are not TypeScript are: the state machine, the handlers' zips, the image.
 *
 * In a checkout they lie beside `cdk/`; the published package carries copies in `assets/`.
 */
const ROOTS = [join(__dirname, "..", "assets"), join(__dirname, "..", "..")];

/** The functions' programs for a processor: the package has them for both, a checkout the last built. */
export function functionsDirectory(processor: string): string {
  const carried = repositoryFile("lambda", processor);
  return existsSync(carried) ? carried : repositoryFile("target", "lambda");
}

/** Absolute path of a file of the repository, found in the package or in the checkout. */
export function repositoryFile(...path: string[]): string {
  const candidates = ROOTS.map((root) => resolve(root, ...path));
  return candidates.find((candidate) => existsSync(candidate)) ?? (candidates.at(-1) as string);
}
