import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { HANDLER_NAMES } from "../src";

/** The processors that the functions are built for; each with Docker's name of it. */
export const PROCESSORS = { arm64: "arm64", x86_64: "amd64" } as const;
/** A processor that the functions are built for. */
export type Processor = keyof typeof PROCESSORS;

const CDK = join(__dirname, "..");
/** What the package carries from outside of `cdk/` as it lies there. */
const SOURCES: readonly string[] = [
  "statemachine/runner.asl.json",
  "statemachine/warm.asl.json",
  "statemachine/caps.asl.json",
  "statemachine/recycle.asl.json",
  "images/ubuntu/Dockerfile",
];

interface Manifest {
  readonly version: string;
  readonly scripts?: unknown;
  readonly devDependencies?: unknown;
}

function manifest(): Manifest {
  return JSON.parse(readFileSync(join(CDK, "package.json"), "utf8")) as Manifest;
}

/**
 * What the package carries from elsewhere: by the place in its `assets/`, the file that is copied there.
 *
 * @param release directory with the files of a release, as `cargo xtask release` names them
 */
export function packed(
  repository: string,
  release: string,
  processors: readonly Processor[],
): ReadonlyMap<string, string> {
  const { version } = manifest();
  const files = new Map(SOURCES.map((file) => [file, join(repository, file)]));
  for (const processor of processors) {
    for (const name of HANDLER_NAMES) {
      const zip = join(release, `${name}-${version}-${processor}.zip`);
      files.set(`lambda/${processor}/${name}.zip`, zip);
    }
    const agent = join(release, `agent-${version}-${processor}`);
    files.set(`images/ubuntu/dist/agent-${PROCESSORS[processor]}`, agent);
  }
  return files;
}

/**
 * Lays the package out in a directory, from which `npm pack` makes it: the compiled constructs, and in
 * `assets/` what they look for beside `cdk/`. Not in `cdk/` itself, where a stale copy would win.
 *
 * @throws when something isn't built; the message names it and the command that builds everything
 */
export function layOut(
  repository: string,
  release: string,
  processors: readonly Processor[],
  directory: string,
): void {
  const files = packed(repository, release, processors);
  const missing = [...files.values()].filter((file) => !existsSync(file));
  if (missing.length > 0) {
    throw new Error(`Not built: ${missing.join(", ")}. Build them: cargo xtask release --dry-run`);
  }
  rmSync(directory, { recursive: true, force: true });
  for (const [place, file] of files) {
    copy(file, join(directory, "assets", place));
    if (place.startsWith("images/ubuntu/dist/")) {
      chmodSync(join(directory, "assets", place), 0o755);
    }
  }
  copy(join(CDK, "API.md"), join(directory, "API.md"));
  copy(join(CDK, "README.md"), join(directory, "README.md"));
  copy(join(repository, "LICENSE"), join(directory, "LICENSE"));
  // Its scripts and its tools are of use in the checkout only.
  const { scripts: _, devDependencies: __, ...published } = manifest();
  const repositoryName = process.env.GITHUB_REPOSITORY;
  const whole = repositoryName
    ? {
        ...published,
        // npm compares it with the workflow that publishes: https://docs.npmjs.com/generating-provenance-statements
        repository: { type: "git", url: `git+https://github.com/${repositoryName}.git` },
      }
    : published;
  writeFileSync(join(directory, "package.json"), `${JSON.stringify(whole, undefined, 2)}\n`);
  compile(join(directory, "dist"));
}

/** Compiles the constructs, with declarations. */
export function compile(output: string): void {
  const tsc = join(CDK, "node_modules", "typescript", "bin", "tsc");
  const project = join(CDK, "tsconfig.build.json");
  execFileSync(process.execPath, [tsc, "--project", project, "--outDir", output], {
    stdio: ["ignore", "inherit", "inherit"],
  });
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

if (require.main === module) {
  const [release, directory, ...processors] = process.argv.slice(2);
  const unknown = processors.filter((name) => !(name in PROCESSORS));
  if (release === undefined || directory === undefined || unknown.length > 0) {
    console.error("usage: tsx scripts/pack.ts RELEASE DIRECTORY [arm64] [x86_64]");
    process.exit(2);
  }
  const wanted = processors.length > 0 ? processors : Object.keys(PROCESSORS);
  try {
    layOut(join(CDK, ".."), release, wanted as Processor[], directory);
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
