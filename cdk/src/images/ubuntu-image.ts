import { Platform } from "aws-cdk-lib/aws-ecr-assets";
import * as ecs from "aws-cdk-lib/aws-ecs";
import { repositoryFile } from "../repository-files";
import { RunnerArchitecture } from "../runners/runner";

/** The image of `images/ubuntu`, built and pushed by `cdk deploy`; synthesis needs no Docker. */
export function ubuntuImage(architecture: RunnerArchitecture): ecs.ContainerImage {
  return ecs.ContainerImage.fromAsset(repositoryFile("images", "ubuntu"), {
    platform: architecture === "arm64" ? Platform.LINUX_ARM64 : Platform.LINUX_AMD64,
  });
}
