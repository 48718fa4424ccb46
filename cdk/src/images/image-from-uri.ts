import * as ecr from "aws-cdk-lib/aws-ecr";
import * as ecs from "aws-cdk-lib/aws-ecs";
import { Construct } from "constructs";
import { readImage } from "./image-reference";

/**
 * An image by its URI. For a private ECR repository the task's execution role is allowed to pull
 * from it, which a plain registry reference would leave out.
 */
export function imageFromUri(scope: Construct, id: string, uri: string): ecs.ContainerImage {
  const image = readImage("image", uri);
  if (image === undefined) {
    return ecs.ContainerImage.fromRegistry(uri);
  }
  const { account, region, name, version } = image;
  const arn = `arn:${partitionOf(region)}:ecr:${region}:${account}:repository/${name}`;
  const repository = ecr.Repository.fromRepositoryArn(scope, id, arn);
  return ecs.ContainerImage.fromEcrRepository(repository, version);
}

function partitionOf(region: string): string {
  if (region.startsWith("cn-")) {
    return "aws-cn";
  }
  return region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
}
