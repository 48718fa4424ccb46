import { Platform } from "aws-cdk-lib/aws-ecr-assets";
import * as ecs from "aws-cdk-lib/aws-ecs";
import { readFileSync } from "node:fs";
import { repositoryFile } from "../repository-files";
import { RunnerArchitecture } from "../runners/runner-architecture";
import { agentSource, prebuiltContext } from "./build-context";

/**
 * The image of `images/ubuntu`, built and pushed by `cdk deploy`; synthesis needs no Docker.
 *
 * With the compiled agent where there is one for the processor, otherwise Docker compiles it,
 * which takes some minutes.
 */
export function ubuntuImage(architecture: RunnerArchitecture): ecs.ContainerImage {
  const platform = architecture === "arm64" ? Platform.LINUX_ARM64 : Platform.LINUX_AMD64;
  const context = prebuiltContext(architecture);
  if (context !== undefined) {
    return ecs.ContainerImage.fromAsset(context, { platform });
  }
  const { repository, hash } = agentSource();
  return ecs.ContainerImage.fromAsset(repositoryFile("images", "ubuntu"), {
    platform,
    buildArgs: { AGENT: "source" },
    buildContexts: { repository },
    // The second context counts by its content, not by where it lies.
    extraHash: hash,
    invalidation: { buildContexts: false },
  });
}

/** The version of the runner that the Dockerfile of `images/ubuntu` installs. */
export function ubuntuRunnerVersion(): string | undefined {
  const dockerfile = readFileSync(repositoryFile("images", "ubuntu", "Dockerfile"), "utf8");
  return /^ARG RUNNER_VERSION=(\S+)$/m.exec(dockerfile)?.[1];
}
