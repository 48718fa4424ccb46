import { Stack } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import * as iam from "aws-cdk-lib/aws-iam";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Ec2Capacity, Ec2Runner, FargateRunnerProps } from "../src";
import { readConfig } from "../app/config";
import { appTemplate, IMAGE, withoutRunner } from "./support";

const PATH = "/fargate-runners/tasks/";

function role(stack: Stack, id: string, path: string = PATH): iam.Role {
  const assumedBy = new iam.ServicePrincipal("ecs-tasks.amazonaws.com");
  return new iam.Role(stack, id, { assumedBy, path });
}

/** The environment of `launch`. */
function launch(stack: Stack): Record<string, unknown> {
  const functions = Template.fromStack(stack).findResources("AWS::Lambda::Function", {
    Properties: { FunctionName: "fargate-runners-launch" },
  });
  const [found] = Object.values(functions);
  return found!.Properties.Environment.Variables as Record<string, unknown>;
}

const warnings = (stack: Stack) =>
  Annotations.fromStack(stack)
    .findWarning("*", Match.anyValue())
    .map(({ entry }) => String(entry.data));

test("limits are tags in the units of the labels", () => {
  const { stack, add } = withoutRunner();
  add({ maxCpu: 16, maxMemory: 64, maxDisk: 200 });
  const [definition] = Object.values(
    Template.fromStack(stack).findResources("AWS::ECS::TaskDefinition"),
  );
  const tags = definition!.Properties.Tags as { Key: string; Value: string }[];
  const limits = tags.filter(({ Key }) => Key.startsWith("GH:max-"));
  assert.deepEqual(
    limits.map(({ Key, Value }) => `${Key} ${Value}`),
    ["GH:max-cpu 16", "GH:max-disk 200", "GH:max-memory 64"],
  );
});

test("the template does not grow with the sizes that it allows", () => {
  const length = (maxCpu: string, maxMemory: string) => {
    const config = readConfig({
      allowedOwners: "octo",
      image: "example.org/i:1",
      maxCpu,
      maxMemory,
    });
    return JSON.stringify(appTemplate(config).toJSON()).length;
  };
  // Two sizes more, and all of the table: only the number's digits differ.
  assert.ok(Math.abs(length("2", "6") - length("32", "244")) <= 4);
});

test("on instances there are no limits of sizes", () => {
  const { stack, runners } = withoutRunner();
  const capacity = new Ec2Capacity(stack, "Instances", { runners, maxInstances: 2 });
  const props = { runners, capacity, image: IMAGE, maxCpu: 8 };
  assert.throws(
    () => new Ec2Runner(stack, "Docker", props),
    /Invalid maxCpu: 8\. Allowed: nothing on EC2: there a task has the size of its definition/,
  );
});

test("roles of repositories are told by name, below the one path", () => {
  const { stack } = withoutRunner((stack) => {
    const shared = role(stack, "Shared");
    return {
      github: { allowedOwners: ["octo", "cats"] },
      repositoryRoles: { "octo/infra": role(stack, "Infra"), "octo/*": shared, "cats/x": shared },
    };
  });
  const { REPOSITORY_ROLES, TASK_ROLES, RUNNER_SCOPE } = launch(stack);
  const text = JSON.stringify(REPOSITORY_ROLES);
  for (const pattern of ["octo/infra", "octo/*", "cats/x", '"Ref":"Infra', '"Ref":"Shared']) {
    assert.ok(text.includes(pattern), text);
  }
  assert.ok(JSON.stringify(TASK_ROLES).includes(":role/fargate-runners/tasks/"), "TASK_ROLES");
  assert.equal(RUNNER_SCOPE, "repository");
  assert.deepEqual(
    warnings(stack).map((text) => /fargate-runners:([a-z-]+)/.exec(text)![1]),
    ["overlapping-roles"],
  );
  assert.match(
    warnings(stack)[0]!,
    /octo\/\* and octo\/infra: jobs of the latter run under their own/,
  );
});

test("a deployment without roles of repositories has none in its environment", () => {
  assert.equal(launch(withoutRunner().stack).REPOSITORY_ROLES, undefined);
});

test("each role of a repository reads registrations, and is denied the App's secrets", () => {
  const { stack, add } = withoutRunner((stack) => ({
    repositoryRoles: { "octo/infra": role(stack, "Infra") },
  }));
  add({ warm: { size: 1 } });
  const policies = Object.values(Template.fromStack(stack).findResources("AWS::IAM::Policy"));
  const own = policies.filter(({ Properties }) =>
    JSON.stringify(Properties.Roles).includes("Infra"),
  );
  const text = JSON.stringify(own.map(({ Properties }) => Properties.PolicyDocument));
  for (const part of [
    "ssm:GetParameter",
    '"Effect":"Deny"',
    "github/*",
    "ssm:DescribeParameters",
    "NotAction",
  ]) {
    assert.ok(text.includes(part), `${part}: ${text}`);
  }
});

test("the state machine passes roles of the path to tasks, and no role by name", () => {
  const passes = (stack: Stack) => {
    const policies = Object.values(Template.fromStack(stack).findResources("AWS::IAM::Policy"));
    const statements = policies.flatMap(
      ({ Properties }) => Properties.PolicyDocument.Statement as Record<string, unknown>[],
    );
    return statements.filter(({ Action }) => Action === "iam:PassRole");
  };
  const plain = withoutRunner();
  plain.add();
  const given = withoutRunner((stack) => ({
    repositoryRoles: { "octo/infra": role(stack, "Infra") },
  }));
  given.add();
  assert.deepEqual(passes(given.stack), passes(plain.stack));
  assert.equal(passes(given.stack).length, 1);
});

for (const [what, roles, message] of [
  [
    "a role outside of the path",
    (stack: Stack) => ({ "octo/x": role(stack, "R", "/other/") }),
    /Invalid repositoryRoles: "\/other\/"\. Allowed: roles with the path '\/fargate-runners\/tasks\/'/,
  ],
  [
    "a role without a path",
    (stack: Stack) => ({ "octo/x": role(stack, "R", "/") }),
    /roles with the path/,
  ],
  [
    "a role below the path",
    (stack: Stack) => ({ "octo/x": role(stack, "R", `${PATH}deep/`) }),
    /roles with the path/,
  ],
  [
    "an imported role outside of the path",
    (stack: Stack) => ({
      "octo/x": iam.Role.fromRoleArn(stack, "R", "arn:aws:iam::111111111111:role/admin"),
    }),
    /Invalid repositoryRoles: "\/"\. Allowed: roles with the path/,
  ],
  [
    "an owner alone",
    (stack: Stack) => ({ octo: role(stack, "R") }),
    /Invalid repositoryRoles: "octo"\. Allowed: owner\/name, or/,
  ],
  [
    "what is no name of a repository",
    (stack: Stack) => ({ "octo/..": role(stack, "R") }),
    /Invalid repositoryRoles: "octo\/\.\."\. Allowed: owner\/name/,
  ],
  [
    "a repository by a role of another account",
    (stack: Stack) => {
      const arn = (account: string) => `arn:aws:iam::${account}:role${PATH}deploy`;
      return {
        "octo/x": iam.Role.fromRoleArn(stack, "R", arn("111111111111")),
        "octo/y": iam.Role.fromRoleArn(stack, "S", arn("222222222222")),
      };
    },
    /Invalid repositoryRoles: "octo\/y: a role of account 222222222222"\. Allowed: roles of the deployment's account, 111111111111/,
  ],
  ["everybody", (stack: Stack) => ({ "*": role(stack, "R") }), /Invalid repositoryRoles: "\*"/],
  [
    "part of a name",
    (stack: Stack) => ({ "octo/te*": role(stack, "R") }),
    /Invalid repositoryRoles: "octo\/te\*"/,
  ],
  [
    "a repository twice",
    (stack: Stack) => ({ "octo/x": role(stack, "R"), "Octo/X": role(stack, "S") }),
    /Invalid repositoryRoles: "Octo\/X"\. Allowed: each repository once/,
  ],
  [
    "more than an environment holds",
    (stack: Stack) => {
      const one = role(stack, "R");
      return Object.fromEntries(
        Array.from({ length: 40 }, (_, n) => [`octo/repository-${n}`, one]),
      );
    },
    /Allowed: 2400 characters of patterns and names, about 25 roles/,
  ],
] as [string, (stack: Stack) => Record<string, iam.IRole>, RegExp][]) {
  test(`${what} gets no role`, () => {
    assert.throws(() => withoutRunner((stack) => ({ repositoryRoles: roles(stack) })), message);
  });
}

test("at organization scope only runners that no other role's repository can take", () => {
  const organization = (more: Partial<FargateRunnerProps>, others: Record<string, string> = {}) => {
    const { add } = withoutRunner((stack) => ({
      github: { allowedOwners: ["octo"], scope: "organization" },
      repositoryRoles: {
        "octo/infra": role(stack, "Infra"),
        ...Object.fromEntries(Object.entries(others).map(([key, id]) => [key, role(stack, id)])),
      },
    }));
    return () => add(more);
  };
  const runnerGroup = "Infra";
  const refused =
    /Invalid repositoryRoles: "fargate-runners-ubuntu-x64"\. Allowed: at organization scope only/;
  assert.throws(organization({}), refused);
  assert.throws(organization({ runnerGroup }), refused);
  assert.throws(organization({ repositories: ["octo/infra"] }), refused);
  assert.throws(organization({ runnerGroup, repositories: ["octo/infra", "octo/x"] }), refused);
  assert.throws(
    organization({ runnerGroup, repositories: ["octo/*"] }, { "octo/*": "All" }),
    refused,
  );
  organization({ runnerGroup, repositories: ["Octo/Infra"] })();
  organization({ runnerGroup, repositories: ["octo/a", "octo/b"] }, { "octo/*": "All" })();
  // No role applies to these.
  organization({ repositories: ["octo/other"] })();
});

test("the app takes roles by their ARNs", () => {
  const arn = "arn:aws:iam::111111111111:role/fargate-runners/tasks/deploy";
  const config = readConfig({
    allowedOwners: "octo",
    image: "example.org/i:1",
    repositoryRoles: JSON.stringify({ "octo/infra": arn, "octo/*": arn }),
  });
  const text = JSON.stringify(appTemplate(config).toJSON());
  assert.ok(
    text.includes('{\\\"octo/infra\\\":\\\"deploy\\\",\\\"octo/*\\\":\\\"deploy\\\"}'),
    text.slice(0, 300),
  );
  assert.throws(
    () => readConfig({ repositoryRoles: { "octo/infra": "deploy" } }),
    /Invalid repositoryRoles\.octo\/infra: "deploy"\. Allowed: a role's ARN/,
  );
});
