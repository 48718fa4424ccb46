import { Template } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "../app/config";
import { FargateRunner, FargateRunnersProps } from "../src";
import { appTemplate, CAPS_CHANGES, deployment, IMAGE, templateOf } from "./support";
import { changes, Resources, show } from "./template-diff";

function variablesOf(template: Template, name: string): Record<string, string> {
  const [found] = Object.values(
    template.findResources("AWS::Lambda::Function", {
      Properties: { FunctionName: `fargate-runners-${name}` },
    }),
  );
  return found!.Properties.Environment.Variables as Record<string, string>;
}

function capsOf(template: Template, name = "token"): unknown {
  const { CAPS } = variablesOf(template, name);
  return CAPS === undefined ? undefined : JSON.parse(CAPS);
}

const ALL = {
  maxRunning: 20,
  maxRunningPerRepository: 5,
  maxRunningOf: { "octo/Hello": 2 },
  defaultRunner: { maxRunning: 10 },
} satisfies Partial<FargateRunnersProps>;

test("token, cleanup and sweep are told the caps and their table", () => {
  const template = templateOf(ALL);
  for (const name of ["token", "cleanup", "sweep"]) {
    assert.deepEqual(capsOf(template, name), {
      table: "fargate-runners-stock",
      // The longest job, and three hours.
      leaseSeconds: 6 * 3600 + 3 * 3600,
      caps: {
        deployment: 20,
        repository: 5,
        repositories: { "octo/hello": 2 },
        offers: { "fargate-runners-ubuntu-x64": 10 },
      },
    });
  }
  for (const name of ["verify", "match", "launch"]) {
    assert.equal(capsOf(template, name), undefined, name);
  }
});

test("a cap changes what it needs, and a deployment without caps nothing", () => {
  const resources = (props: Partial<FargateRunnersProps>) =>
    templateOf(props).toJSON().Resources as Resources;
  const shown = changes(resources({}), resources({ maxRunning: 2 })).map(show);
  const role = "UbuntuRolesTaskDefaultPolicy.PolicyDocument";
  assert.deepEqual(shown.sort(), [...CAPS_CHANGES, role].sort());
});

test("caps and warm tasks share the table, in either order", () => {
  const table = (template: Template) =>
    Object.keys(template.findResources("AWS::DynamoDB::Table")).join();
  const only = table(templateOf({ maxRunning: 2 }));
  const warm = { warm: { size: 1 } };
  const both = templateOf({ maxRunning: 2, defaultRunner: warm });
  assert.equal(table(both), only);
  assert.equal(table(templateOf({ defaultRunner: warm })), only);
  const { stack, runners } = deployment({ defaultRunner: warm });
  new FargateRunner(stack, "Large", { runners, name: "large", image: IMAGE, maxRunning: 1 });
  const later = Template.fromStack(stack);
  assert.equal(table(later), only);
  for (const template of [both, later]) {
    const [machine] = Object.values(
      template.findResources("AWS::StepFunctions::StateMachine", {
        Properties: { StateMachineName: "fargate-runners" },
      }),
    );
    const text = JSON.stringify(machine!.Properties.DefinitionString);
    assert.match(text, /WaitForSlot/);
    assert.match(text, /WarmRunner/);
  }
});

test("caps that make no sense are refused with what would", () => {
  const cases: [Partial<FargateRunnersProps>, RegExp][] = [
    [{ maxRunning: 0 }, /Invalid maxRunning: 0\. Allowed: a whole number from 1 to 500/],
    [{ maxRunning: 1.5 }, /Invalid maxRunning: 1\.5/],
    [{ maxRunning: 501 }, /Invalid maxRunning: 501/],
    [{ maxRunningPerRepository: -1 }, /Invalid maxRunningPerRepository/],
    [
      { maxRunning: 2, maxRunningPerRepository: 3 },
      /Invalid maxRunningPerRepository: 3\. Allowed: at most 2, the deployment's maxRunning/,
    ],
    [
      { maxRunning: 2, defaultRunner: { maxRunning: 3 } },
      /Invalid maxRunning: 3\. Allowed: at most/,
    ],
    [{ maxRunningOf: { hello: 1 } }, /Invalid maxRunningOf: "hello"\. Allowed: full names/],
    [{ maxRunningOf: { "octo/*": 1 } }, /Invalid maxRunningOf/],
    [{ maxRunningOf: { "octo/a": 1, "Octo/A": 1 } }, /each repository once/],
    [{ maxRunningOf: { "other/a": 1 } }, /admit/],
    [{ maxRunningOf: { "octo/a": 0 } }, /Invalid maxRunningOf\.octo\/a: 0/],
  ];
  for (const [props, message] of cases) {
    assert.throws(() => templateOf(props), message, JSON.stringify(props));
  }
  const many = Object.fromEntries(
    Array.from({ length: 200 }, (_, index) => [`octo/repository-${index}`, 1]),
  );
  assert.throws(() => templateOf({ maxRunningOf: many }), /use maxRunningPerRepository/);
});

test("the app takes caps from the command line and from a file", () => {
  const config = readConfig({
    allowedOwners: "octo",
    maxRunning: "7",
    maxRunningPerRepository: "3",
    maxRunningOf: '{"octo/hello": 1}',
    runners: '[{"name": "small", "maxRunning": 2}]',
  });
  const { caps } = capsOf(appTemplate(config)) as { caps: unknown };
  assert.deepEqual(caps, {
    deployment: 7,
    repository: 3,
    repositories: { "octo/hello": 1 },
    offers: { "fargate-runners-small": 2 },
  });
  assert.throws(() => readConfig({ maxRunningOf: '{"octo/hello": "x"}' }), /maxRunningOf\.octo/);
  assert.throws(() => readConfig({ maxRuning: "1" }), /did you mean maxRunning\?/);
});

test("no job reaches the leases, and each function reaches one item", () => {
  const template = templateOf({ maxRunning: 1 });
  const policies = Object.entries(template.findResources("AWS::IAM::Policy"));
  const of = (part: string) => {
    const [, found] = policies.find(([id]) => id.includes(part))!;
    return JSON.stringify(found.Properties.PolicyDocument);
  };
  assert.match(of("UbuntuRolesTask"), /"Effect":"Deny"[^}]*"Resource".*fargate-runners-stock/);
  for (const name of ["TokenRole", "CleanupRole", "SweepRole"]) {
    assert.match(of(name), /"dynamodb:LeadingKeys":\["slots"\]/, name);
  }
  for (const name of ["VerifyRole", "MatchRole"]) {
    assert.doesNotMatch(of(name), /dynamodb/, name);
  }
});
