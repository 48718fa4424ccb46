import { App, Stack } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import { AwsSolutionsChecks } from "cdk-nag";
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Capacity,
  Ec2Capacity,
  Ec2Runner,
  FargateRunner,
  FargateRunners,
  FargateRunnersProps,
  IsolatedVpc,
  NatVpc,
  PublicVpc,
} from "../src";
import { GITHUB, deployment, dummyAgent, HANDLERS_DIRECTORY, IMAGE } from "./support";

function findings(stack: Stack): string[] {
  const report = new AwsSolutionsChecks().validateScope(stack);
  return report.violations.flatMap((violation) =>
    violation.violatingResources.map(
      ({ constructPath }) => `${violation.ruleName} at ${constructPath}`,
    ),
  );
}

test("the default deployment leaves no AwsSolutions finding unexplained", () => {
  assert.deepEqual(findings(deployment().stack), []);
});

const VARIANTS: Record<string, (stack: Stack) => Partial<FargateRunnersProps>> = {
  "everything switched on": (stack) => ({
    network: new PublicVpc(stack, "Network", { flowLogs: true }),
    tracing: true,
    containerInsights: true,
    parameterKey: kms.Key.fromKeyArn(
      stack,
      "Key",
      "arn:aws:kms:us-east-1:111111111111:key/00000000-0000-0000-0000-000000000000",
    ),
    permissionsBoundary: iam.ManagedPolicy.fromManagedPolicyName(stack, "Boundary", "boundary"),
  }),
  "everything switched off": () => ({
    monitoring: { alarms: false, dashboard: false, savedQueries: false },
    defaultRunner: false,
  }),
  "an HTTP API as front door": () => ({ frontDoor: "http-api", requestsPerSecond: 20 }),
  "warm tasks": () => ({
    capacity: Capacity.SPOT_WITH_FALLBACK,
    defaultRunner: { image: IMAGE, warm: { size: 2, maxPerRepository: 1 } },
  }),
  "a NAT gateway": (stack) => ({ network: new NatVpc(stack, "Network") }),
  "an isolated network with GitHub inside": (stack) => ({
    network: new IsolatedVpc(stack, "Network", { handlerEndpoints: true }),
    github: { ...GITHUB, apiUrl: "https://github.example.org/api/v3", insideNetwork: true },
  }),
};

for (const [name, props] of Object.entries(VARIANTS)) {
  test(`a deployment with ${name} leaves no AwsSolutions finding unexplained`, () => {
    const stack = new Stack(new App(), "Test");
    new FargateRunners(stack, "Runners", {
      github: GITHUB,
      handlersDirectory: HANDLERS_DIRECTORY,
      defaultRunner: { image: IMAGE },
      ...props(stack),
    });
    assert.deepEqual(findings(stack), []);
  });
}

test("more runners, on Fargate and on EC2, leave no AwsSolutions finding unexplained", () => {
  const { stack, runners } = deployment();
  new FargateRunner(stack, "Arm", {
    runners,
    architecture: "arm64",
    image: IMAGE,
    environment: { HTTPS_PROXY: "http://proxy.example.org:3128" },
  });
  new FargateRunner(stack, "Weekly", {
    runners,
    name: "weekly",
    rebuild: { agentFile: dummyAgent() },
  });
  const capacity = new Ec2Capacity(stack, "Capacity", { runners });
  new Ec2Runner(stack, "Docker", { runners, capacity, image: IMAGE });
  assert.deepEqual(findings(stack), []);
});
