import { App, Stack } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import * as iam from "aws-cdk-lib/aws-iam";
import assert from "node:assert/strict";
import { test } from "node:test";
import { FargateRunner, FargateRunnerProps, FargateRunners, GitHubProps } from "../src";
import { GITHUB, HANDLERS_DIRECTORY, IMAGE } from "./support";

/** A runner's tags, and the ids of its warnings. */
function runner(
  github: GitHubProps,
  props: Omit<FargateRunnerProps, "runners" | "taskRole">,
  ownTaskRole = false,
): { tags: Record<string, string>; warnings: string[] } {
  const stack = new Stack(new App(), "Test");
  const runners = new FargateRunners(stack, "Runners", {
    handlersDirectory: HANDLERS_DIRECTORY,
    defaultRunner: false,
    github: { ...GITHUB, ...github },
  });
  const taskRole = ownTaskRole
    ? new iam.Role(stack, "Own", { assumedBy: new iam.ServicePrincipal("ecs-tasks.amazonaws.com") })
    : undefined;
  new FargateRunner(stack, "Runner", { runners, image: IMAGE, ...props, taskRole });
  const template = Template.fromStack(stack);
  const [definition] = Object.values(template.findResources("AWS::ECS::TaskDefinition"));
  const tags = definition!.Properties.Tags as { Key: string; Value: string }[];
  return {
    tags: Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value])),
    warnings: Annotations.fromStack(stack)
      .findWarning("*", Match.anyValue())
      .map(({ entry }) => /\[ack: fargate-runners:([a-z-]+)\]/.exec(String(entry.data))![1]!),
  };
}

test("who may use a runner is in its tag, the asterisk left out because a tag can't hold it", () => {
  const { tags } = runner({}, { repositories: ["octo/hello", "cats/*"] });
  assert.equal(tags["GH:repositories"], "octo/hello cats/");
  assert.equal(runner({}, {}).tags["GH:repositories"], undefined);
});

test("a runner's group is in its tag", () => {
  const { tags } = runner(
    { scope: "organization" },
    { repositories: ["octo/*"], runnerGroup: "Deployers" },
  );
  assert.equal(tags["GH:runner-group"], "Deployers");
});

test("a task role that every repository can choose is warned of", () => {
  assert.deepEqual(runner({}, {}, true).warnings, ["task-role-for-all"]);
  assert.deepEqual(runner({}, { repositories: ["octo/deploy"] }, true).warnings, []);
  assert.deepEqual(runner({}, {}).warnings, []);
});

test("repositories without a group are warned of where only a group is a boundary", () => {
  const organization = { scope: "organization" } as const;
  const repositories = ["octo/deploy"];
  assert.deepEqual(runner(organization, { repositories }).warnings, ["no-runner-group"]);
  assert.deepEqual(runner(organization, { repositories, runnerGroup: "Deployers" }).warnings, []);
  assert.deepEqual(runner({}, { repositories }).warnings, []);
});
