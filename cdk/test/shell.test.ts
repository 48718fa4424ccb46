import { App, Stack } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import * as iam from "aws-cdk-lib/aws-iam";
import assert from "node:assert/strict";
import { test } from "node:test";
import { FargateRunner, FargateRunners, IsolatedVpc, SHELL_TAG } from "../src";
import { deployment, GITHUB, HANDLERS_DIRECTORY, IMAGE, templateOf } from "./support";

interface Policy {
  readonly Properties: { readonly PolicyDocument: { readonly Statement: { Action: unknown }[] } };
}

/** The policies that allow the channels of ECS Exec. */
function channels(template: Template): string[] {
  const policies = Object.entries(template.findResources("AWS::IAM::Policy")) as [string, Policy][];
  const has = ({ Properties }: Policy) =>
    Properties.PolicyDocument.Statement.some(({ Action }) =>
      JSON.stringify(Action).includes("ssmmessages:"),
    );
  return policies.filter(([, policy]) => has(policy)).map(([id]) => id);
}

test("without a shell the template is the same to the last byte, and nobody may open a channel", () => {
  const plain = templateOf().toJSON();
  const without = templateOf({ defaultRunner: { shell: false } }).toJSON();
  assert.equal(JSON.stringify(without), JSON.stringify(plain));
  assert.ok(!JSON.stringify(plain).includes("ssmmessages"));
  assert.ok(!JSON.stringify(plain).includes(SHELL_TAG));
});

test("only the tasks of a runner with a shell may open its channels", () => {
  const { stack, runners } = deployment();
  new FargateRunner(stack, "Debug", { runners, name: "debug", image: IMAGE, shell: true });
  const template = Template.fromStack(stack);
  const policies = channels(template);
  assert.equal(policies.length, 1);
  assert.match(policies[0]!, /^DebugRolesTask/);
  const definitions = Object.values(template.findResources("AWS::ECS::TaskDefinition"));
  const allowing = definitions.filter(({ Properties }) =>
    (Properties.Tags as { Key: string; Value: string }[]).some(
      ({ Key, Value }) => Key === SHELL_TAG && Value === "true",
    ),
  );
  assert.deepEqual(
    allowing.map(({ Properties }) => Properties.Family),
    ["fargate-runners-debug"],
  );
});

test("the keeper of warm tasks is told which of them allow a shell", () => {
  const template = templateOf({ defaultRunner: { shell: true, warm: { size: 1 } } });
  const stocks = Object.values(template.findResources("AWS::Lambda::Function"))
    .map(({ Properties }) => Properties.Environment?.Variables?.STOCK as string | undefined)
    .filter((stock) => stock !== undefined);
  assert.equal(stocks.length, 1);
  assert.deepEqual(
    (JSON.parse(stocks[0]!) as { shell?: boolean }[]).map(({ shell }) => shell),
    [true],
  );
});

test("an isolated network has one way to the sessions, however many runners have a shell", () => {
  const stack = new Stack(new App(), "Test");
  const runners = new FargateRunners(stack, "Runners", {
    github: { ...GITHUB, apiUrl: "https://github.example.org/api/v3" },
    handlersDirectory: HANDLERS_DIRECTORY,
    network: new IsolatedVpc(stack, "Isolated"),
    defaultRunner: { image: IMAGE, shell: true },
  });
  new FargateRunner(stack, "Debug", { runners, name: "debug", image: IMAGE, shell: true });
  const endpoints = Object.values(
    Template.fromStack(stack).findResources("AWS::EC2::VPCEndpoint"),
  ).map(({ Properties }) => JSON.stringify(Properties.ServiceName));
  assert.equal(endpoints.filter((name) => name.includes("ssmmessages")).length, 1);
});

test("an imported task role is told what it lacks", () => {
  const { stack, runners } = deployment();
  const taskRole = iam.Role.fromRoleArn(stack, "Own", "arn:aws:iam::123456789012:role/own", {
    mutable: false,
  });
  new FargateRunner(stack, "Debug", {
    runners,
    name: "debug",
    image: IMAGE,
    repositories: ["octo/hello"],
    shell: true,
    taskRole,
  });
  Annotations.fromStack(stack).hasWarning(
    "*",
    Match.stringLikeRegexp("ssmmessages:CreateControlChannel.*no shell can be opened"),
  );
});
