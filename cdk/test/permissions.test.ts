import { App, Stack } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import { Construct } from "constructs";
import assert from "node:assert/strict";
import { test } from "node:test";
import { FargateRunner, FargateRunners, FargateRunnersProps } from "../src";
import { GITHUB, HANDLERS_DIRECTORY, IMAGE } from "./support";

interface Statement {
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | string[];
  /** Instead of `Action`: all but these. */
  readonly NotAction?: string | string[];
  readonly Resource: unknown;
  readonly Condition?: Record<string, Record<string, unknown>>;
}

/** All statements of all policies, by the role's place in the deployment, for example `Token`. */
function statements(template: Template): Map<string, Statement[]> {
  const found = new Map<string, Statement[]>();
  for (const policy of Object.values(template.findResources("AWS::IAM::Policy"))) {
    const { PolicyDocument, Roles } = policy.Properties as {
      PolicyDocument: { Statement: Statement[] };
      Roles: { Ref: string }[];
    };
    for (const { Ref } of Roles) {
      const role = Ref.replace(/^Runners/, "").replace(/(Role)?[0-9A-F]{8}$/, "");
      found.set(role, [...(found.get(role) ?? []), ...PolicyDocument.Statement]);
    }
  }
  return found;
}

/** An ARN with its references as `${Name}`. */
function flat(value: unknown): string {
  if (typeof value === "string") {
    return value;
  }
  const node = value as { Ref?: string; "Fn::Join"?: [string, unknown[]]; "Fn::GetAtt"?: string[] };
  if (node["Fn::Join"] !== undefined) {
    return node["Fn::Join"][1].map(flat).join(node["Fn::Join"][0]);
  }
  return `\${${node.Ref ?? node["Fn::GetAtt"]?.join(".")}}`;
}

const many = <T>(value: T | T[]): T[] => (Array.isArray(value) ? value : [value]);

/** Whether an IAM pattern covers an ARN. */
function covers(pattern: string, arn: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(arn);
}

/** Whether a statement is about an action. */
function isAbout({ Action, NotAction }: Statement, action: string): boolean {
  return NotAction === undefined
    ? many(Action).some((pattern) => covers(pattern, action))
    : !many(NotAction).some((pattern) => covers(pattern, action));
}

/** Whether a statement applies to the item of a table with this partition key; without one, to a list. */
function appliesTo({ Condition = {} }: Statement, key: string | undefined): boolean {
  const keys = key === undefined ? [] : [key];
  return Object.entries(Condition).every(([operator, values]) => {
    const asked = values["dynamodb:LeadingKeys"];
    if (asked === undefined) {
      return true;
    }
    const patterns = many(asked as string | string[]);
    const some = (one: string) => patterns.some((pattern) => covers(pattern, one));
    switch (operator) {
      case "ForAllValues:StringEquals":
        return keys.every((one) => patterns.includes(one));
      case "ForAllValues:StringLike":
        return keys.every(some);
      case "ForAnyValue:StringNotLike":
        return keys.some((one) => !some(one));
      case "Null":
        return (keys.length === 0) === (asked === "true");
      default:
        throw new Error(`${operator} is not evaluated here`);
    }
  });
}

/**
 * The roles that may do something with a resource.
 *
 * @param key the item's partition key, where the resource is a table
 */
function whoMay(template: Template, action: string, resource: string, key?: string): string[] {
  const arn = resource.startsWith("parameter/")
    ? `arn:\${AWS::Partition}:ssm:\${AWS::Region}:\${AWS::AccountId}:${resource}`
    : resource;
  return [...statements(template)]
    .filter(([, all]) => {
      const effects = all
        .filter(
          (statement) =>
            isAbout(statement, action) &&
            appliesTo(statement, key) &&
            many(statement.Resource).some((pattern) => covers(flat(pattern), arn)),
        )
        .map(({ Effect }) => Effect);
      // An explicit Deny wins over everything.
      return effects.includes("Allow") && !effects.includes("Deny");
    })
    .map(([role]) => role)
    .sort();
}

function template(props: (stack: Stack) => Partial<FargateRunnersProps> = () => ({})): Template {
  const stack = new Stack(new App(), "Test");
  new FargateRunners(stack, "Runners", {
    github: GITHUB,
    handlersDirectory: HANDLERS_DIRECTORY,
    defaultRunner: { image: IMAGE },
    ...props(stack),
  });
  return Template.fromStack(stack);
}

const DEFAULT = template();
/** Who may read a parameter, one at a time or together with others. */
const read = (parameter: string) =>
  ["ssm:GetParameter", "ssm:GetParameters"].flatMap((action) =>
    whoMay(DEFAULT, action, `parameter/${parameter}`),
  );

test("the App's private key is readable by the three that talk to GitHub, and by nobody else", () => {
  assert.deepEqual(read("fargate-runners/github/private-key"), ["Cleanup", "Sweep", "Token"]);
  assert.deepEqual(read("fargate-runners/github/app-id"), ["Cleanup", "Sweep", "Token"]);
});

test("the webhook's secret is readable by the public-facing function alone", () => {
  assert.deepEqual(read("fargate-runners/github/webhook-secret"), ["Verify"]);
});

test("a runner's registration is written by token and read by the runner", () => {
  const parameter = "parameter/fargate-runners/runners/fr-hello-1/0123456789abcdef";
  assert.deepEqual(whoMay(DEFAULT, "ssm:GetParameter", parameter), ["UbuntuRolesTask"]);
  assert.deepEqual(whoMay(DEFAULT, "ssm:PutParameter", parameter), ["Token"]);
  assert.deepEqual(whoMay(DEFAULT, "ssm:DeleteParameter", parameter), [
    "Cleanup",
    "Sweep",
    "UbuntuRolesTask",
  ]);
});

test("the versions of rebuilt images are read by sweep alone", () => {
  assert.deepEqual(read("fargate-runners/runner-versions/ubuntu"), ["Sweep"]);
});

test("nothing but sweep can list parameters, and nobody can read by path", () => {
  const anything = "parameter/fargate-runners/runners/x";
  assert.deepEqual(whoMay(DEFAULT, "ssm:DescribeParameters", "*"), ["Sweep"]);
  assert.deepEqual(whoMay(DEFAULT, "ssm:GetParametersByPath", anything), []);
});

test("another deployment's secrets are out of reach", () => {
  assert.deepEqual(read("fargate-runners-2/github/private-key"), []);
  assert.deepEqual(read("fargate-runners-2/runners/x/0123"), []);
});

test("only the state machine starts tasks, of our task definitions, in our cluster", () => {
  const ours =
    "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/fargate-runners-ubuntu-x64:1";
  assert.deepEqual(whoMay(DEFAULT, "ecs:RunTask", ours), ["Machine"]);
  assert.deepEqual(whoMay(DEFAULT, "ecs:RunTask", ours.replace("fargate-runners-", "else-")), []);
  for (const [, all] of statements(DEFAULT)) {
    for (const statement of all.filter(({ Action }) => many(Action).includes("ecs:RunTask"))) {
      assert.match(
        flat(statement.Condition?.ArnEquals?.["ecs:cluster"]),
        /:cluster\/fargate-runners$/,
      );
    }
  }
});

/** The condition under which tasks are started. */
function runTaskCondition(synthesized: Template) {
  const machine = statements(synthesized).get("Machine") ?? [];
  return machine.find(({ Action }) => many(Action).includes("ecs:RunTask"))!.Condition;
}

test("a prefix that begins with another deployment's starts none of its task definitions", () => {
  assert.deepEqual(runTaskCondition(DEFAULT)?.StringEquals, {
    "aws:ResourceTag/fargate-runners:prefix": "fargate-runners",
  });
  const nested = template(() => ({ prefix: "fargate-runners-dev", deployment: "dev" }));
  assert.deepEqual(runTaskCondition(nested)?.StringEquals, {
    "aws:ResourceTag/fargate-runners:prefix": "fargate-runners-dev",
  });
  const all = template(() => ({ trustedDefinitions: "prefix" }));
  assert.equal(runTaskCondition(all)?.StringEquals, undefined);
});

test("every task definition has the tag that its deployment's machine asks for", () => {
  for (const { Properties } of Object.values(DEFAULT.findResources("AWS::ECS::TaskDefinition"))) {
    const tags = Properties.Tags as { Key: string; Value: unknown }[];
    assert.deepEqual(
      tags.find(({ Key }) => Key === "fargate-runners:prefix"),
      { Key: "fargate-runners:prefix", Value: "fargate-runners" },
    );
  }
});

test("only roles of tasks may be passed, to ECS alone, by the state machine alone", () => {
  const role = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/fargate-runners/tasks/x";
  assert.deepEqual(whoMay(DEFAULT, "iam:PassRole", role), ["Machine"]);
  assert.deepEqual(whoMay(DEFAULT, "iam:PassRole", role.replace("tasks/", "")), []);
  const machine = statements(DEFAULT).get("Machine") ?? [];
  for (const statement of machine.filter(({ Action }) => many(Action).includes("iam:PassRole"))) {
    assert.deepEqual(statement.Condition, {
      StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" },
    });
  }
});

/** A stack with a runner under the task role that `role` makes. */
function stackWithTaskRole(role: (stack: Stack) => iam.IRole): Stack {
  const stack = new Stack(new App(), "Test");
  const runners = new FargateRunners(stack, "Runners", {
    github: GITHUB,
    handlersDirectory: HANDLERS_DIRECTORY,
    defaultRunner: false,
  });
  new FargateRunner(stack, "Runner", { runners, image: IMAGE, taskRole: role(stack) });
  return stack;
}

function ownTaskRole(stack: Construct): iam.Role {
  return new iam.Role(stack, "Own", {
    assumedBy: new iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
  });
}

test("a task role of one's own gets the agent's permissions, and alone may be passed besides", () => {
  const synthesized = Template.fromStack(stackWithTaskRole(ownTaskRole));
  const roleId = Object.keys(synthesized.findResources("AWS::IAM::Role")).find((id) =>
    id.startsWith("Own"),
  );
  assert.deepEqual(whoMay(synthesized, "iam:PassRole", `\${${roleId}.Arn}`), ["Machine"]);
  assert.deepEqual(
    whoMay(synthesized, "ssm:GetParameter", "parameter/fargate-runners/runners/x/0123"),
    ["Own"],
  );
});

/** A runner whose role may do everything in Parameter Store. */
function withBroadTaskRole(): Template {
  const stack = stackWithTaskRole((stack) => {
    const role = ownTaskRole(stack);
    role.addToPolicy(new iam.PolicyStatement({ actions: ["ssm:*"], resources: ["*"] }));
    return role;
  });
  return Template.fromStack(stack);
}

test("a job under a role with ssm:* on everything reaches neither the App's key nor others' registrations", () => {
  const broad = withBroadTaskRole();
  const may = (action: string, resource: string) => whoMay(broad, action, resource).includes("Own");
  for (const action of [
    "ssm:GetParameter",
    "ssm:GetParameters",
    "ssm:GetParameterHistory",
    "ssm:GetParametersByPath",
    "ssm:PutParameter",
    "ssm:DeleteParameter",
  ]) {
    for (const name of [
      "github/app-id",
      "github/private-key",
      "github/webhook-secret",
      "catalogue",
      "sweep/deliveries-seen",
      "runner-versions/ubuntu",
    ]) {
      assert.ok(!may(action, `parameter/fargate-runners/${name}`), `${action} on ${name}`);
    }
  }
  // By a path above, a path query returns what is denied below it.
  for (const path of ["", "fargate-runners", "fargate-runners/github", "fargate-runners/runners"]) {
    assert.ok(!may("ssm:GetParametersByPath", `parameter/${path}`), `by path /${path}`);
  }
  const registration = "parameter/fargate-runners/runners/fr-hello-1/0123456789abcdef";
  assert.ok(!may("ssm:GetParameterHistory", registration));
  assert.ok(!may("ssm:PutParameter", registration));
  assert.ok(!may("ssm:DescribeParameters", "*"));
  // What the agent needs, and what is not ours, it still may.
  assert.ok(may("ssm:GetParameter", registration));
  assert.ok(may("ssm:DeleteParameter", registration));
  assert.ok(may("ssm:GetParameter", "parameter/team/setting"));
  assert.ok(may("ssm:GetParametersByPath", "parameter/team"));
});

test("an imported role that can be changed gets the denials too; one that can't is warned of", () => {
  const synthesize = (mutable: boolean) => {
    const arn = "arn:aws:iam::111111111111:role/imported";
    const stack = stackWithTaskRole((stack) =>
      iam.Role.fromRoleArn(stack, "Imported", arn, { mutable }),
    );
    const warnings = Annotations.fromStack(stack).findWarning("*", Match.anyValue());
    return { text: JSON.stringify(Template.fromStack(stack).toJSON()), warnings };
  };
  const changed = synthesize(true);
  assert.match(changed.text, /"Action":"ssm:DescribeParameters","Effect":"Deny"/);
  assert.ok(!changed.warnings.some(({ entry }) => /can't be changed/.test(String(entry.data))));
  const unchanged = synthesize(false);
  assert.ok(!unchanged.text.includes('"Action":"ssm:DescribeParameters","Effect":"Deny"'));
  assert.ok(
    unchanged.warnings.some(({ entry }) =>
      /task role imported is imported and can't be changed.*deny it ssm:\* on \/fargate-runners\/github/.test(
        String(entry.data),
      ),
    ),
  );
});

/** Who may use the App's secrets' key how, and for which parameters. */
function keyUsers(synthesized: Template): Record<string, string[]> {
  const [key] = Object.values(synthesized.findResources("AWS::KMS::Key"));
  const users: Record<string, string[]> = {};
  const policy = key!.Properties.KeyPolicy as {
    Statement: (Statement & { Principal: { AWS: unknown } })[];
  };
  for (const { Effect, Action, Principal, Condition } of policy.Statement) {
    assert.equal(Effect, "Allow");
    for (const principal of many(Principal.AWS)) {
      const who = flat(principal)
        .replace(/^.*Runners(\w+?)Role[0-9A-F]{8}\.Arn.*$/, "$1")
        .replace(/^.*:root$/, "the account");
      for (const action of many(Action)) {
        const arns = many(Condition?.StringLike?.["kms:EncryptionContext:PARAMETER_ARN"] ?? "any");
        const paths = arns.map((arn) => flat(arn).replace(/^.*:parameter/, ""));
        (users[action] ??= []).push(`${who} ${paths.join(" ")}`);
      }
    }
  }
  return users;
}

test("by default only the functions decrypt the App's secrets, each its own", () => {
  const users = keyUsers(DEFAULT);
  const app = "/fargate-runners/github/app-id /fargate-runners/github/private-key";
  assert.deepEqual(users["kms:Decrypt"], [
    "Verify /fargate-runners/github/webhook-secret",
    `Token ${app}`,
    `Cleanup ${app}`,
    `Sweep ${app}`,
  ]);
  assert.deepEqual(users["kms:Encrypt"], ["the account /fargate-runners/github/*"]);
  // A key whose policy nobody may change could never be repaired.
  assert.deepEqual(users["kms:PutKeyPolicy"], ["the account any"]);
  for (const action of ["kms:*", "kms:CreateGrant", "kms:ReEncryptFrom", "kms:Decrypt*"]) {
    assert.equal(users[action], undefined, action);
  }
});

test("readers of the secrets are named, and one's own key or none replaces the default one", () => {
  const reader = "arn:aws:iam::111111111111:role/operator";
  const read = keyUsers(template(() => ({ secretsReaders: [new iam.ArnPrincipal(reader)] })));
  assert.deepEqual(read["kms:Decrypt"]!.at(-1), `${reader} /fargate-runners/github/*`);
  template(() => ({ secretsKey: false })).resourceCountIs("AWS::KMS::Key", 0);
  template((stack) => ({
    parameterKey: kms.Key.fromKeyArn(stack, "Key", "arn:aws:kms:us-east-1:111111111111:key/x"),
  })).resourceCountIs("AWS::KMS::Key", 0);
});

test("a key of one's own is usable only through Parameter Store and only for one's own secrets", () => {
  const keyArn = "arn:aws:kms:us-east-1:111111111111:key/x";
  const synthesized = template((stack) => ({
    parameterKey: kms.Key.fromKeyArn(stack, "Key", keyArn),
  }));
  const contexts = new Map<string, string[]>();
  for (const [role, all] of statements(synthesized)) {
    for (const { Action, Resource, Condition } of all) {
      if (many(Action).some((action) => action.startsWith("kms:"))) {
        assert.equal(Resource, keyArn);
        assert.match(flat(Condition?.StringEquals?.["kms:ViaService"]), /^ssm\./);
        const context = Condition?.StringLike?.["kms:EncryptionContext:PARAMETER_ARN"];
        const paths = many(context).map((arn) => flat(arn).replace(/^.*:parameter/, ""));
        contexts.set(role, [...(contexts.get(role) ?? []), ...paths].sort());
      }
    }
  }
  const appKey = ["/fargate-runners/github/app-id", "/fargate-runners/github/private-key"];
  assert.deepEqual(Object.fromEntries(contexts), {
    Verify: ["/fargate-runners/github/webhook-secret"],
    Token: [...appKey, "/fargate-runners/runners/*"],
    Cleanup: appKey,
    Sweep: appKey,
    UbuntuRolesTask: ["/fargate-runners/runners/*"],
  });
});

test("launch may call nothing at all", () => {
  const actions = (statements(DEFAULT).get("Launch") ?? []).flatMap(({ Action }) => many(Action));
  assert.deepEqual(actions, ["logs:CreateLogStream", "logs:PutLogEvents"]);
});

test("no role brings a managed policy", () => {
  for (const role of Object.values(DEFAULT.findResources("AWS::IAM::Role"))) {
    assert.equal(role.Properties.ManagedPolicyArns, undefined);
  }
});

test("no environment holds a secret, only paths to it", () => {
  for (const { Properties } of Object.values(DEFAULT.findResources("AWS::Lambda::Function"))) {
    const names = Object.keys(Properties.Environment.Variables as object);
    assert.deepEqual(
      names.filter((name) => /SECRET|TOKEN|PASSWORD|PRIVATE|PEM/.test(name)),
      [],
    );
  }
});

test("a service assumes a role for this account's resources alone", () => {
  for (const [id, role] of Object.entries(DEFAULT.findResources("AWS::IAM::Role"))) {
    const [statement] = role.Properties.AssumeRolePolicyDocument.Statement as {
      Principal: { Service: string };
      Condition?: Record<string, Record<string, unknown>>;
    }[];
    assert.deepEqual(
      statement!.Condition?.StringEquals,
      { "aws:SourceAccount": { Ref: "AWS::AccountId" } },
      id,
    );
    if (statement!.Principal.Service !== "lambda.amazonaws.com") {
      const arn = flat(statement!.Condition?.ArnLike?.["aws:SourceArn"]);
      assert.match(arn, /:\$\{AWS::AccountId\}:/, id);
    }
  }
});

test("a runner's container goes without capabilities that jobs don't use", () => {
  const [definition] = Object.values(DEFAULT.findResources("AWS::ECS::TaskDefinition"));
  const [container] = definition!.Properties.ContainerDefinitions;
  assert.deepEqual(container.LinuxParameters.Capabilities, {
    Drop: ["MKNOD", "NET_RAW", "SETPCAP", "SYS_CHROOT"],
  });
});

const WARM = template(() => ({ defaultRunner: { image: IMAGE, warm: { size: 2 } } }));
const TABLE =
  "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/fargate-runners-stock";
/** A key of each kind of item. */
const ITEMS = {
  family: "families",
  ticket: "stock#fargate-runners-ubuntu-x64",
  share: "share#fargate-runners-ubuntu-x64#octo/hello#29000000",
  bell: "bell#0123456789abcdef0123456789abcdef",
  wait: "wait",
  note: "job#octo/hello#4242",
  slots: "slots",
};

/** Who may do what with which items, as `role: calls`. */
function calls(synthesized: Template, key: string): Record<string, string> {
  const all: Record<string, string> = {};
  for (const action of ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]) {
    for (const role of whoMay(synthesized, `dynamodb:${action}`, TABLE, key)) {
      all[role] = all[role] === undefined ? action : `${all[role]} ${action}`;
    }
  }
  return all;
}

test("each item of the stock is open to those who write and read it, and to nobody else", () => {
  assert.deepEqual(calls(WARM, ITEMS.ticket), {
    Stock: "GetItem Query PutItem UpdateItem DeleteItem",
    Sweep: "GetItem Query",
    Token: "Query DeleteItem",
  });
  assert.deepEqual(calls(WARM, ITEMS.family), { Stock: "Query PutItem DeleteItem" });
  assert.deepEqual(calls(WARM, ITEMS.share), { Token: "UpdateItem" });
  assert.deepEqual(calls(WARM, ITEMS.bell), {
    Stock: "PutItem",
    Sweep: "GetItem PutItem",
    Token: "GetItem PutItem UpdateItem",
    UbuntuRolesTask: "GetItem UpdateItem",
  });
  assert.deepEqual(calls(WARM, ITEMS.wait), {
    Cleanup: "GetItem UpdateItem",
    Machine: "PutItem",
    Sweep: "GetItem Query UpdateItem DeleteItem",
  });
  assert.deepEqual(calls(WARM, ITEMS.note), { Cleanup: "GetItem", Verify: "PutItem" });
});

test("the leases of caps are open to those who take, give back and repair them", () => {
  const capped = template(() => ({ defaultRunner: { image: IMAGE }, maxRunning: 1 }));
  assert.deepEqual(calls(capped, ITEMS.slots), {
    Cleanup: "GetItem PutItem UpdateItem",
    Sweep: "GetItem PutItem",
    Token: "GetItem PutItem UpdateItem",
  });
  assert.deepEqual(calls(capped, ITEMS.bell), {});
  assert.deepEqual(calls(WARM, ITEMS.slots), {}, "without caps");
});

test("without a table the webhook's function may call DynamoDB for nothing", () => {
  const cold = template(() => ({ defaultRunner: { image: IMAGE } }));
  for (const action of ["GetItem", "PutItem", "UpdateItem", "Query"]) {
    assert.deepEqual(whoMay(cold, `dynamodb:${action}`, TABLE, ITEMS.note), [], action);
  }
});

test("nobody lists the whole table or reads several items at once", () => {
  for (const action of ["Scan", "BatchGetItem", "BatchWriteItem", "PartiQLSelect", "DeleteTable"]) {
    assert.deepEqual(whoMay(WARM, `dynamodb:${action}`, TABLE), [], action);
  }
  // A call without a key passes a condition on all of its keys, if nothing asks for one.
  assert.deepEqual(whoMay(WARM, "dynamodb:GetItem", TABLE), []);
});

test("a job under a role with dynamodb:* on everything lists no bells and reads no ticket", () => {
  for (const warm of [undefined, { size: 1 }]) {
    const stack = new Stack(new App(), "Test");
    const own = ownTaskRole(stack);
    own.addToPolicy(new iam.PolicyStatement({ actions: ["dynamodb:*"], resources: ["*"] }));
    const runners = new FargateRunners(stack, "Runners", {
      github: GITHUB,
      handlersDirectory: HANDLERS_DIRECTORY,
      defaultRunner: false,
    });
    // Before and after the runner that brings the table.
    new FargateRunner(stack, "One", { runners, name: "one", image: IMAGE, taskRole: own });
    new FargateRunner(stack, "Two", { runners, name: "two", image: IMAGE, warm: { size: 1 } });
    const later = ownTaskRole(new Construct(stack, "Later"));
    later.addToPolicy(new iam.PolicyStatement({ actions: ["dynamodb:*"], resources: ["*"] }));
    new FargateRunner(stack, "Three", {
      runners,
      name: "three",
      image: IMAGE,
      taskRole: later,
      warm,
    });
    const synthesized = Template.fromStack(stack);
    const may = (action: string, key?: string) =>
      whoMay(synthesized, `dynamodb:${action}`, TABLE, key).filter((role) => /Own/.test(role));
    for (const key of [ITEMS.ticket, ITEMS.share, ITEMS.wait, ITEMS.note]) {
      for (const action of ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"]) {
        assert.deepEqual(may(action, key), [], `${action} ${key}`);
      }
    }
    for (const action of ["Query", "Scan", "BatchGetItem", "PutItem", "DeleteItem"]) {
      assert.deepEqual(may(action, ITEMS.bell), [], action);
      assert.deepEqual(may(action), [], action);
    }
    // A bell whose 128 random bits are known opens, as a registration does.
    assert.equal(may("GetItem", ITEMS.bell).length, 2);
    assert.deepEqual(whoMay(synthesized, "dynamodb:Query", TABLE.replace(/-stock$/, "-else")), [
      "LaterOwn",
      "Own",
    ]);
  }
});

test("warm tasks are started by the keeper under the conditions of the state machine", () => {
  const ours =
    "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task-definition/fargate-runners-ubuntu-x64:1";
  const role = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/fargate-runners/tasks/x";
  assert.deepEqual(whoMay(WARM, "ecs:RunTask", ours), ["Machine", "Stock"]);
  assert.deepEqual(whoMay(WARM, "iam:PassRole", role), ["Machine", "Stock"]);
  const of = (name: string, action: string) =>
    statements(WARM)
      .get(name)!
      .filter(({ Action }) => many(Action ?? []).includes(action));
  for (const action of ["ecs:RunTask", "iam:PassRole"]) {
    assert.deepEqual(of("Stock", action), of("Machine", action), action);
  }
  // A role of one's own is passed by the keeper only for a runner with warm tasks.
  const stack = stackWithTaskRole(ownTaskRole);
  const [own] = Object.keys(Template.fromStack(stack).findResources("AWS::IAM::Role")).filter(
    (id) => id.startsWith("Own"),
  );
  assert.deepEqual(whoMay(Template.fromStack(stack), "iam:PassRole", `\${${own}.Arn}`), [
    "Machine",
  ]);
});

test("token marks and stops tasks of the cluster, with our tags only", () => {
  const task = "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task/fargate-runners/x";
  assert.deepEqual(whoMay(DEFAULT, "ecs:StopTask", task), ["Cleanup", "Machine", "Sweep"]);
  assert.deepEqual(whoMay(WARM, "ecs:StopTask", task), ["Cleanup", "Machine", "Sweep", "Token"]);
  assert.deepEqual(whoMay(WARM, "ecs:StopTask", task.replace("/fargate-runners/", "/else/")), []);
  const [tag] = statements(WARM)
    .get("Token")!
    .filter(({ Action }) => many(Action).includes("ecs:TagResource"));
  assert.deepEqual(tag!.Condition, {
    "ForAllValues:StringLike": { "aws:TagKeys": ["fargate-runners:*"] },
    Null: { "aws:TagKeys": "false" },
  });
});

test("the end of an adopted task is told by cleanup and sweep, to this state machine", () => {
  const machine =
    "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:fargate-runners";
  for (const action of ["states:SendTaskSuccess", "states:SendTaskFailure"]) {
    assert.deepEqual(whoMay(WARM, action, machine), ["Cleanup", "Sweep"]);
    assert.deepEqual(whoMay(WARM, action, `${machine}-2`), []);
    assert.deepEqual(whoMay(DEFAULT, action, machine), []);
  }
});
