import { App, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import * as ecs from "aws-cdk-lib/aws-ecs";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Config } from "../app/config";
import { FargateRunnersStack } from "../app/stack";
import { FargateRunner, FargateRunnerProps, FargateRunners, FargateRunnersProps } from "../src";
import { HANDLER_NAMES } from "../src/handlers/record";
import { temporaryDirectory } from "./temporary";

// CDK's own validation of templates takes most of the time of a synthesis. `cargo xtask test` validates the template of
// a deployment of every kind, with it and with cfn-lint.
process.env.CDK_VALIDATION ??= "false";

/** A directory laid out like `target/lambda`, so that no test needs the handlers compiled. */
export function dummyHandlers(salt = ""): string {
  const directory = temporaryDirectory("handlers");
  for (const handler of HANDLER_NAMES) {
    mkdirSync(join(directory, handler));
    writeFileSync(
      join(directory, handler, "bootstrap"),
      `#!/bin/sh\n# ${handler}${salt}\nexit 1\n`,
      {
        mode: 0o755,
      },
    );
  }
  return directory;
}

/** Something to take along as the agent. */
export function dummyAgent(salt = ""): string {
  const file = join(temporaryDirectory("agent"), "agent");
  writeFileSync(file, `#!/bin/sh\n# ${salt}\n`, { mode: 0o755 });
  return file;
}

/** A file of certificate authorities: Amazon's, which expire in 2037. */
export const BUNDLE = join(__dirname, "../../crates/aws/src/amazon-trust-services.pem");

/** Programs for tests that build their own stack. */
export const HANDLERS_DIRECTORY = dummyHandlers();

/** Whose jobs are run: the one thing that every deployment has to say. */
export const GITHUB = { allowedOwners: ["octo"] };

/** An image that needs no build. */
export const IMAGE = ecs.ContainerImage.fromRegistry("example.org/runner:1");

/** What changes with the first runner that has warm tasks, besides the runner. */
export const WARM_CHANGES = [
  "+Stock*",
  "+WarmTasks*",
  "+NetworkVpcDynamoDb",
  "+MonitoringAlarmsStock*",
  "MonitoringDashboard.DashboardBody",
  "MonitoringSavedQueries*.LogGroupNames",
  "VerifyFunction.Environment",
  "VerifyRoleDefaultPolicy.PolicyDocument",
  "TokenFunction.Environment",
  "TokenRoleDefaultPolicy.PolicyDocument",
  "CleanupFunction.Environment",
  "CleanupRoleDefaultPolicy.PolicyDocument",
  "SweepFunction.Environment",
  "SweepRoleDefaultPolicy.PolicyDocument",
  "MachineStateMachine.DefinitionString",
  "MachineRoleDefaultPolicy.PolicyDocument",
];

/** What changes with the first cap. */
export const CAPS_CHANGES = [
  "+WarmTasksTable",
  "MonitoringDashboard.DashboardBody",
  "TokenFunction.Environment",
  "TokenRoleDefaultPolicy.PolicyDocument",
  "CleanupFunction.Environment",
  "CleanupRoleDefaultPolicy.PolicyDocument",
  "SweepFunction.Environment",
  "SweepRoleDefaultPolicy.PolicyDocument",
  "MachineStateMachine.DefinitionString",
];

/** What the first runner changes that has interrupted jobs run again. */
export const RERUN_CHANGES = [
  "+WarmTasksTable",
  "CleanupFunction.Environment",
  "CleanupRoleDefaultPolicy.PolicyDocument",
  "SweepFunction.Environment",
  "SweepRoleDefaultPolicy.PolicyDocument",
];

/** The template of a stack with one construct in it. */
export function templateOf(props: Partial<FargateRunnersProps> = {}): Template {
  return Template.fromStack(deployment(props).stack);
}

/** A stack with one construct in it. */
export function deployment(props: Partial<FargateRunnersProps> = {}): {
  stack: Stack;
  runners: FargateRunners;
} {
  const stack = new Stack(new App(), "Test");
  const runners = new FargateRunners(stack, "Runners", {
    handlersDirectory: HANDLERS_DIRECTORY,
    ...props,
    github: { ...GITHUB, ...props.github },
    defaultRunner: props.defaultRunner === false ? false : { image: IMAGE, ...props.defaultRunner },
  });
  return { stack, runners };
}

/** A stack with a construct that has no runner yet; `add` adds one. */
export function withoutRunner(
  props: Partial<FargateRunnersProps> | ((stack: Stack) => Partial<FargateRunnersProps>) = {},
) {
  const stack = new Stack(new App(), "Test");
  const runners = new FargateRunners(stack, "Runners", {
    handlersDirectory: HANDLERS_DIRECTORY,
    defaultRunner: false,
    github: GITHUB,
    ...(typeof props === "function" ? props(stack) : props),
  });
  const add = (more: Partial<FargateRunnerProps> = {}) =>
    new FargateRunner(stack, more.name ?? "Runner", { runners, image: IMAGE, ...more });
  return { stack, runners, add };
}

/** The feature flags that the app is deployed with. */
const { context } = JSON.parse(readFileSync(join(__dirname, "..", "cdk.json"), "utf8")) as {
  context: Record<string, unknown>;
};

/** The template of the app's stack. */
export function appTemplate(config: Config = {}): Template {
  return Template.fromStack(
    new FargateRunnersStack(new App({ context }), config.prefix ?? "fargate-runners", {
      handlersDirectory: HANDLERS_DIRECTORY,
      image: "example.org/runner:1",
      allowedOwners: ["octo"],
      ...config,
    }),
  );
}
