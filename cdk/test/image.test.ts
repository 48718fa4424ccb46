import { App, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { test } from "node:test";
import { FargateRunners, imageFromUri } from "../src";
import { HANDLERS_DIRECTORY } from "./support";

function templateWith(uri: string): Template {
  const stack = new Stack(new App(), "Test");
  new FargateRunners(stack, "Runners", {
    handlersDirectory: HANDLERS_DIRECTORY,
    defaultRunner: { image: imageFromUri(stack, "Image", uri) },
  });
  return Template.fromStack(stack);
}

/** The image as ECS gets it, with references in braces. */
function imageOf(template: Template): string {
  const [definition] = Object.values(template.findResources("AWS::ECS::TaskDefinition"));
  const image = definition!.Properties.ContainerDefinitions[0].Image as
    string | { "Fn::Join": [string, ({ Ref: string } | string)[]] };
  return typeof image === "string"
    ? image
    : image["Fn::Join"][1].map((part) => (typeof part === "string" ? part : part.Ref)).join("");
}

const DIGEST = `sha256:${"0".repeat(64)}`;
const HOST = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";

for (const [uri, image] of [
  [`${HOST}/team/runner:7`, /\/team\/runner:7$/],
  [`${HOST}/team/runner`, /\/team\/runner:latest$/],
  [`${HOST}/team/runner@${DIGEST}`, new RegExp(`/team/runner@${DIGEST}$`)],
] as const) {
  test(`${uri} may be pulled by the task's execution role`, () => {
    const template = templateWith(uri);
    assert.match(imageOf(template), image);
    assert.match(imageOf(template), /^111111111111\.dkr\.ecr\.eu-west-1\./);
    const policies = JSON.stringify(template.findResources("AWS::IAM::Policy"));
    assert.match(policies, /"arn:aws:ecr:eu-west-1:111111111111:repository\/team\/runner"/);
  });
}

test("an image of a public registry needs no permission", () => {
  const template = templateWith("ghcr.io/octo/runner:1");
  assert.equal(imageOf(template), "ghcr.io/octo/runner:1");
  assert.doesNotMatch(JSON.stringify(template.findResources("AWS::IAM::Policy")), /ecr:/);
});
