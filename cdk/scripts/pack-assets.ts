import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { HANDLER_NAMES } from "../src";

const AGENTS = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/** What the published package carries from outside of `cdk/`. */
export const PACKED: readonly string[] = [
  "statemachine/runner.asl.json",
  "statemachine/warm.asl.json",
  "statemachine/recycle.asl.json",
  "images/ubuntu/Dockerfile",
  ...HANDLER_NAMES.map((name) => `target/lambda/${name}/bootstrap`),
  ...AGENTS.map((target) => `target/${target}/release/agent`),
];

/**
 * Copies what the constructs look for beside `cdk/` into the package's `assets/`.
 *
 * @throws when something isn't built; the message names it and the commands that build everything
 */
export function packAssets(repository: string, assets: string): void {
  const missing = PACKED.filter((file) => !existsSync(join(repository, file)));
  if (missing.length > 0) {
    throw new Error(
      `Not built: ${missing.join(", ")}. ` +
        "Run cargo xtask zips --arch x86_64, then cargo xtask zips --arch arm64.",
    );
  }
  rmSync(assets, { recursive: true, force: true });
  for (const file of PACKED) {
    const copy = join(assets, file);
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(join(repository, file), copy);
    if (file.startsWith("target/")) {
      chmodSync(copy, 0o755);
    }
  }
}

if (require.main === module) {
  try {
    packAssets(join(__dirname, "..", ".."), join(__dirname, "..", "assets"));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
