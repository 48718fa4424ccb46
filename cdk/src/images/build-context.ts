import { FileSystem } from "aws-cdk-lib";
import { CONTEXT_ENV, DISABLE_ASSET_STAGING_CONTEXT } from "aws-cdk-lib/cx-api";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repositoryFile } from "../repository-files";
import { RunnerArchitecture } from "../runners/runner-architecture";

/** The same processor as Docker and as Rust call it. */
const NAMES: Record<RunnerArchitecture, { docker: string; rust: string; cargo: string }> = {
  x64: { docker: "amd64", rust: "x86_64", cargo: "x86_64-unknown-linux-musl" },
  arm64: { docker: "arm64", rust: "arm64", cargo: "aarch64-unknown-linux-musl" },
};

/** The command that compiles the agent. */
export function agentCommand(architecture: RunnerArchitecture): string {
  return `cargo xtask zips --arch ${NAMES[architecture].rust}`;
}

/**
 * A directory with the Dockerfile and the compiled agent, and nothing else, so that the image
 * changes when one of them does. Nothing when the agent isn't compiled for this processor.
 *
 * @param agentFile the compiled agent, where it isn't in one of the usual places
 */
export function prebuiltContext(
  architecture: RunnerArchitecture,
  agentFile?: string,
): string | undefined {
  const { docker, cargo } = NAMES[architecture];
  const places = [
    repositoryFile("target", cargo, "release", "agent"),
    repositoryFile("images", "ubuntu", "dist", `agent-${docker}`),
  ];
  const agent = (agentFile === undefined ? places : [agentFile]).find((file) => existsSync(file));
  if (agent === undefined) {
    return undefined;
  }
  const context = newContext();
  mkdirSync(join(context, "dist"));
  copyFileSync(repositoryFile("images", "ubuntu", "Dockerfile"), join(context, "Dockerfile"));
  copyFileSync(agent, join(context, "dist", `agent-${docker}`));
  return context;
}

const contexts: string[] = [];

/** An empty directory that is removed when the app has ended: by then the toolkit has copied it. */
function newContext(): string {
  if (contexts.length === 0) {
    process.once("exit", removeContexts);
  }
  const context = mkdtempSync(join(tmpdir(), "runner-image-"));
  contexts.push(context);
  return context;
}

function removeContexts(): void {
  const given = JSON.parse(process.env[CONTEXT_ENV] ?? "{}") as object;
  // With `--no-staging` the command line reads them where they are, after the app has ended.
  if (DISABLE_ASSET_STAGING_CONTEXT in given) {
    return;
  }
  for (const context of contexts) {
    rmSync(context, { recursive: true, force: true });
  }
}

/** What the agent is compiled from, as one hash; and where that is. */
export function agentSource(): { repository: string; hash: string } {
  const hash = createHash("sha256");
  for (const path of ["Cargo.lock", "crates", "images/ubuntu/agent"]) {
    hash.update(FileSystem.fingerprint(repositoryFile(...path.split("/"))));
  }
  return { repository: repositoryFile("."), hash: hash.digest("hex") };
}
