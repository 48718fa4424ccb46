import { App, Duration, Stack } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import * as iam from "aws-cdk-lib/aws-iam";
import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "../app/config";
import {
  Capacity,
  Ec2Capacity,
  Ec2Runner,
  Ec2RunnerProps,
  FargateRunner,
  FargateRunnerProps,
  FargateRunners,
  FargateRunnersProps,
  IsolatedVpc,
  NatVpc,
  PublicVpc,
  WarmHours,
  WarmLinger,
  WarmProps,
} from "../src";
import { hourly } from "../src/warm/cost";
import {
  appTemplate,
  deployment,
  GITHUB,
  HANDLERS_DIRECTORY,
  IMAGE,
  templateOf,
  withoutRunner,
} from "./support";

type Runner = Omit<FargateRunnerProps, "runners">;

/** What a runner with warm tasks deploys, and what is said about it. */
function warm(
  props: WarmProps,
  runner: Runner | ((stack: Stack) => Runner) = {},
): {
  stock: unknown;
  tag: string;
  infos: string[];
  warnings: string[];
  template: Template;
} {
  const { stack, runners } = deployment({ defaultRunner: false });
  const more = typeof runner === "function" ? runner(stack) : runner;
  new FargateRunner(stack, "Runner", { image: IMAGE, ...more, warm: props, runners });
  const template = Template.fromStack(stack);
  const of = (found: { entry: { data?: unknown } }[]) => found.map(({ entry }) => `${entry.data}`);
  const annotations = Annotations.fromStack(stack);
  const variables = variablesOf(template, "stock");
  const [definition] = Object.values(template.findResources("AWS::ECS::TaskDefinition"));
  const tags = definition!.Properties.Tags as { Key: string; Value: string }[];
  return {
    stock: JSON.parse(variables.STOCK!),
    tag: tags.find(({ Key }) => Key === "GH:warm")!.Value,
    infos: of(annotations.findInfo("*", Match.anyValue())),
    warnings: of(annotations.findWarning("*", Match.anyValue())),
    template,
  };
}

function variablesOf(template: Template, name: string): Record<string, string> {
  const [found] = Object.values(
    template.findResources("AWS::Lambda::Function", {
      Properties: { FunctionName: `fargate-runners-${name}` },
    }),
  );
  return found!.Properties.Environment.Variables as Record<string, string>;
}

const HOURS: WarmHours = {
  days: ["mon", "tue", "wed", "thu", "fri"],
  from: "08:00",
  to: "18:00",
  size: 2,
};

test("the keeper and match are told the same of a runner", () => {
  const always = warm({ size: 2 });
  assert.deepEqual(always.stock, [
    { family: "fargate-runners-ubuntu-x64", size: 2, maxAgeSeconds: 21600, spot: false },
  ]);
  assert.equal(always.tag, "2");

  const linger = { size: 1, minutes: 30, from: "07:00", to: "24:00" };
  const hours = { ...HOURS, size: 4 };
  const all = warm(
    { size: 1, schedule: [hours], linger, maxAge: Duration.hours(1), maxPerRepository: 3 },
    { capacity: Capacity.SPOT_WITH_FALLBACK, name: "big" },
  );
  assert.deepEqual(all.stock, [
    {
      family: "fargate-runners-big",
      size: 1,
      schedule: [hours],
      linger,
      maxAgeSeconds: 3600,
      maxPerRepository: 3,
      spot: true,
    },
  ]);
  assert.equal(all.tag, "4 spot max=3");
  assert.equal(warm({ size: 1, spot: false }, { capacity: Capacity.SPOT_WITH_FALLBACK }).tag, "1");
});

test("a runner that names no capacity has warm tasks on the deployment's", () => {
  const spot = templateOf({
    capacity: Capacity.SPOT,
    defaultRunner: { warm: { size: 1 } },
  });
  assert.match(variablesOf(spot, "stock").STOCK!, /"spot":true/);
});

test("several runners share one table and one keeper", () => {
  const { stack, runners } = deployment({ defaultRunner: { warm: { size: 1 } } });
  new FargateRunner(stack, "Big", { runners, name: "big", image: IMAGE, warm: { size: 3 } });
  new FargateRunner(stack, "Cold", { runners, name: "cold", image: IMAGE });
  const template = Template.fromStack(stack);
  template.resourceCountIs("AWS::DynamoDB::Table", 1);
  const stock = JSON.parse(variablesOf(template, "stock").STOCK!) as { family: string }[];
  assert.deepEqual(
    stock.map(({ family }) => family),
    ["fargate-runners-ubuntu-x64", "fargate-runners-big"],
  );
});

test("the table is paid by request, forgets by itself and goes with the stack", () => {
  const { template } = warm({ size: 1 });
  template.hasResource("AWS::DynamoDB::Table", {
    DeletionPolicy: "Delete",
    Properties: {
      TableName: "fargate-runners-stock",
      BillingMode: "PAY_PER_REQUEST",
      TimeToLiveSpecification: { AttributeName: "expires", Enabled: true },
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
    },
  });
  for (const name of ["verify", "token", "cleanup", "sweep", "stock"]) {
    assert.equal(variablesOf(template, name).TABLE, "fargate-runners-stock");
  }
  assert.equal(variablesOf(template, "token").STOCK_FUNCTION, "fargate-runners-stock");
  const launch = variablesOf(template, "launch");
  const stock = variablesOf(template, "stock");
  for (const key of ["CLUSTER", "SUBNETS", "SECURITY_GROUPS", "ASSIGN_PUBLIC_IP"]) {
    assert.deepEqual(stock[key], launch[key], key);
  }
});

test("the keeper hears of its tasks and looks every minute", () => {
  const { template } = warm({ size: 1 });
  template.hasResourceProperties("AWS::Events::Rule", { ScheduleExpression: "rate(1 minute)" });
  template.hasResourceProperties("AWS::Events::Rule", {
    EventPattern: {
      source: ["aws.ecs"],
      "detail-type": ["ECS Task State Change"],
      detail: { group: ["fargate-runners:fr:warm"], lastStatus: ["RUNNING", "STOPPED"] },
    },
  });
});

test("waiting tasks reach the table through the VPC, where it is one of ours", () => {
  for (const Network of [PublicVpc, NatVpc, IsolatedVpc]) {
    const endpoints = (props: { warm?: WarmProps }) => {
      const stack = new Stack(new App(), "Test");
      new FargateRunners(stack, "Runners", {
        handlersDirectory: HANDLERS_DIRECTORY,
        github: GITHUB,
        network: new Network(stack, "Network"),
        defaultRunner: { image: IMAGE, ...props },
      });
      const found = Template.fromStack(stack).findResources("AWS::EC2::VPCEndpoint");
      return Object.values(found).filter(({ Properties }) =>
        JSON.stringify(Properties.ServiceName).includes("dynamodb"),
      );
    };
    assert.equal(endpoints({}).length, 0);
    const [endpoint] = endpoints({ warm: { size: 1 } });
    assert.equal(endpoint!.Properties.VpcEndpointType, "Gateway");
    assert.ok((endpoint!.Properties.RouteTableIds as unknown[]).length >= 2);
  }
});

test("a handler's variables are the deployer's last word, with warm tasks too", () => {
  const template = templateOf({
    handlerEnvironment: { token: { TABLE: "other" }, stock: { LOG_LEVEL: "debug" } },
    defaultRunner: { warm: { size: 1 } },
  });
  assert.equal(variablesOf(template, "token").TABLE, "other");
  assert.equal(variablesOf(template, "stock").LOG_LEVEL, "debug");
});

const REFUSED: [string, WarmProps, RegExp, Runner?][] = [
  ["nothing said", {}, /Invalid warm: \{\}\. Allowed: at least one of size, schedule and linger/],
  ["no task", { size: 0 }, /Invalid warm\.size: 0\. Allowed: a whole number from 1 to 100/],
  ["101 tasks", { size: 101 }, /Invalid warm\.size: 101\. Allowed: a whole number from 1 to 100/],
  ["half a task", { size: 0.5 }, /Invalid warm\.size: 0\.5/],
  ["no hours", { schedule: [] }, /Invalid warm\.schedule: \[\]\. Allowed: at least one entry/],
  [
    "a day that isn't one",
    { schedule: [{ ...HOURS, days: ["monday" as "mon"] }] },
    /Invalid warm\.schedule\[0\]\.days: "monday"\. Allowed: at least one of mon, tue/,
  ],
  ["no day", { schedule: [{ ...HOURS, days: [] }] }, /Invalid warm\.schedule\[0\]\.days: \[\]/],
  [
    "an hour that isn't one",
    { schedule: [HOURS, { ...HOURS, days: ["sun"], from: "24:00" }] },
    /Invalid warm\.schedule\[1\]\.from: "24:00"\. Allowed: a time from 00:00 to 23:59, as HH:MM in UTC/,
  ],
  [
    "an hour without minutes",
    { schedule: [{ ...HOURS, to: "18" }] },
    /Invalid warm\.schedule\[0\]\.to: "18"\. Allowed: a time from 00:00 to 24:00, as HH:MM in UTC/,
  ],
  [
    "61 minutes of an hour",
    { schedule: [{ ...HOURS, to: "18:61" }] },
    /Invalid warm\.schedule\[0\]\.to: "18:61"/,
  ],
  [
    "hours that never start",
    { schedule: [{ ...HOURS, to: "08:00" }] },
    /Invalid warm\.schedule\[0\]\.to: "08:00"\. Allowed: another time than from: .*never start/,
  ],
  [
    "hours without a task",
    { schedule: [{ ...HOURS, size: 0 }] },
    /Invalid warm\.schedule: .*Allowed: a size above 0 in at least one entry/,
  ],
  [
    "hours that overlap",
    { schedule: [HOURS, { ...HOURS, days: ["tue"], from: "17:59", to: "20:00" }] },
    /Invalid warm\.schedule: .*17:59.*Allowed: hours that do not overlap: these two do/,
  ],
  [
    "hours that overlap after midnight",
    {
      schedule: [
        { ...HOURS, days: ["sun"], from: "22:00", to: "06:00" },
        { ...HOURS, days: ["mon"], from: "05:00" },
      ],
    },
    /Allowed: hours that do not overlap/,
  ],
  [
    "tasks that stay for no time",
    { linger: { size: 1 } as WarmLinger },
    /Invalid warm\.linger\.minutes: undefined\. Allowed: a whole number from 1 to 1440/,
  ],
  ["no task that stays", { linger: { size: 0, minutes: 5 } }, /Invalid warm\.linger\.size: 0/],
  [
    "tasks that stay from a time without an end",
    { linger: { size: 1, minutes: 5, from: "08:00" } },
    /Invalid warm\.linger: .*Allowed: from and to together, or neither/,
  ],
  [
    "tasks that stay at no time of the day",
    { linger: { size: 1, minutes: 5, from: "08:00", to: "08:00" } },
    /Invalid warm\.linger\.to: "08:00"/,
  ],
  [
    "tasks that are replaced too soon",
    { size: 1, maxAge: Duration.minutes(9) },
    /Invalid warm\.maxAge: "9 minutes"\. Allowed: 10 minutes to 7 days/,
  ],
  [
    "more for one repository than there are",
    { size: 2, maxPerRepository: 3 },
    /Invalid warm\.maxPerRepository: 3\. Allowed: a whole number from 1 to 2/,
  ],
  [
    "Spot for jobs that don't ask for it",
    { size: 2, spot: true },
    /Invalid warm\.spot: true\. Allowed: false, unless the runner's capacity begins with FARGATE_SPOT/,
  ],
  [
    "instances of one's own",
    { size: 2 },
    /Invalid capacity: "own"\. Allowed: FARGATE, FARGATE_SPOT/,
    { capacity: Capacity.of("FARGATE", "own") },
  ],
];

for (const [what, props, message, runner] of REFUSED) {
  test(`warm tasks with ${what} are refused`, () => {
    assert.throws(() => warm(props, runner), message);
  });
}

test("warm tasks on EC2 are refused, with what is there instead", () => {
  const { stack, runners } = deployment();
  const capacity = new Ec2Capacity(stack, "Capacity", { runners });
  const props = { runners, capacity, image: IMAGE, warm: { size: 2 } } as Ec2RunnerProps;
  assert.throws(
    () => new Ec2Runner(stack, "Docker", props),
    /Invalid warm: \{"size":2\}\. Allowed: nothing on EC2: .*minInstances/,
  );
});

test("more runners than the keeper's variable holds are refused before Lambda refuses them", () => {
  const { stack, runners } = deployment({ defaultRunner: false });
  assert.throws(() => {
    for (let index = 0; index < 50; index++) {
      const name = `runner-${index}`;
      const schedule = [HOURS];
      new FargateRunner(stack, name, { runners, name, image: IMAGE, warm: { schedule } });
    }
  }, /Invalid warm: "\d+ bytes for \d+ runners"\. Allowed: 3072 bytes .*Lambda holds 4096 bytes/);
});

test("hours over midnight, to midnight and around the week are taken", () => {
  warm({
    schedule: [
      { days: ["sun"], from: "17:00", to: "01:00", size: 1 },
      { days: ["mon"], from: "01:00", to: "24:00", size: 2 },
      { days: ["tue"], from: "00:00", to: "00:01", size: 3 },
    ],
  });
});

test("the cost of what was chosen is told", () => {
  const small: Runner = { architecture: "arm64", cpu: 1024, memoryMiB: 2048 };
  const told = (props: WarmProps, runner: Runner) => warm(props, runner).infos.join();
  assert.match(
    told({ size: 2 }, small),
    /2 warm tasks of 1 vCPU, 2 GB, arm64, a public address: 65 USD a month \(list prices of us-east-1/,
  );
  assert.match(
    told({ schedule: [HOURS] }, small),
    /2 warm tasks of .*, 100 task-hours a week by schedule: 19 USD a month/,
  );
  assert.match(
    told({ linger: { size: 2, minutes: 30 } }, small),
    /2 warm tasks of .*: up to 0\.04 USD after a job that stays the last for 30 minutes/,
  );
  assert.match(
    told({ size: 1 }, { ...small, capacity: Capacity.SPOT }),
    /1 warm task of 1 vCPU, 2 GB, arm64, Spot, a public address: 12 USD a month/,
  );
});

test("in private subnets a warm task has no address to pay for", () => {
  const stack = new Stack(new App(), "Test");
  new FargateRunners(stack, "Runners", {
    handlersDirectory: HANDLERS_DIRECTORY,
    github: GITHUB,
    network: new NatVpc(stack, "Network"),
    defaultRunner: {
      image: IMAGE,
      architecture: "arm64",
      cpu: 1024,
      memoryMiB: 2048,
      warm: { schedule: [HOURS] },
    },
  });
  const [info] = Annotations.fromStack(stack).findInfo("*", Match.anyValue());
  assert.match(
    String(info!.entry.data),
    /2 warm tasks of 1 vCPU, 2 GB, arm64, 100 task-hours a week by schedule: 17 USD a month/,
  );
});

test("an hour of a task costs its processor, its memory, its larger disk and its address", () => {
  const size = { cpu: 2048, memoryMiB: 4096, architecture: "x64", publicAddress: false } as const;
  const near = (actual: number, expected: number) =>
    assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);
  near(hourly(size, false), 2 * 0.04048 + 4 * 0.004445);
  near(hourly(size, true), 0.3 * (2 * 0.04048 + 4 * 0.004445));
  near(hourly({ ...size, architecture: "arm64" }, false), 2 * 0.03238 + 4 * 0.00356);
  near(hourly({ ...size, publicAddress: true }, false) - hourly(size, false), 0.005);
  near(hourly({ ...size, ephemeralStorageGiB: 100 }, false) - hourly(size, false), 80 * 0.000111);
});

test("hours in UTC, an image of one's own and a role that can't be changed are warned of", () => {
  const ids = (props: WarmProps, runner?: (stack: Stack) => Runner) =>
    warm(props, runner)
      .warnings.map((text) => /\[ack: fargate-runners:([a-z-]+)\]/.exec(text)![1]!)
      .filter((id) => id.startsWith("warm"));
  assert.deepEqual(ids({ size: 1 }), ["warm-own-image"]);
  assert.deepEqual(ids({ schedule: [HOURS] }), ["warm-hours-in-utc", "warm-own-image"]);
  const linger = { size: 1, minutes: 5, from: "08:00", to: "18:00" };
  assert.deepEqual(ids({ linger }), ["warm-hours-in-utc", "warm-own-image"]);
  const imported = (stack: Stack) => ({
    taskRole: iam.Role.fromRoleArn(stack, "Imported", "arn:aws:iam::111111111111:role/x", {
      mutable: false,
    }),
  });
  assert.deepEqual(ids({ size: 1 }, imported), ["warm-own-image", "warm-unchangeable-task-role"]);
});

test("warm tasks that no job would ever take are warned of", () => {
  const warned = (
    props: Partial<FargateRunnersProps> | ((stack: Stack) => Partial<FargateRunnersProps>),
    runner: Runner = {},
  ) => {
    const { stack, add } = withoutRunner(props);
    add({ warm: { size: 3 }, ...runner });
    const found = Annotations.fromStack(stack).findWarning("*", Match.anyValue());
    return found
      .map(({ entry }) => /\[ack: fargate-runners:([a-z-]+)\]/.exec(String(entry.data))?.[1])
      .filter((id) => id === "warm-above-cap" || id === "warm-without-jobs");
  };
  assert.deepEqual(warned({}), []);
  assert.deepEqual(warned({ maxRunning: 3 }), []);
  assert.deepEqual(warned({ maxRunning: 2 }), ["warm-above-cap"]);
  assert.deepEqual(warned({ maxRunning: 4 }, { maxRunning: 2 }), ["warm-above-cap"]);
  const roles = (pattern: string) => (stack: Stack) => ({
    repositoryRoles: {
      [pattern]: new iam.Role(stack, "Role", {
        path: "/fargate-runners/tasks/",
        assumedBy: new iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
      }),
    },
  });
  assert.deepEqual(warned(roles("octo/infra")), []);
  assert.deepEqual(warned(roles("Octo/*")), ["warm-without-jobs"]);
  assert.deepEqual(warned(roles("octo/infra"), { repositories: ["octo/infra"] }), [
    "warm-without-jobs",
  ]);
});

test("the app takes a number or an object, from the command line and from a file", () => {
  assert.deepEqual(readConfig({ warm: "2" }), { warm: 2 });
  assert.deepEqual(readConfig({ warm: 2 }), { warm: 2 });
  const object = {
    schedule: [{ days: ["mon"], from: "08:00", to: "18:00", size: 2 }],
    linger: { size: 1, minutes: 30 },
    maxAgeMinutes: 60,
    spot: false,
  };
  assert.deepEqual(readConfig({ warm: object }), { warm: object });
  assert.deepEqual(readConfig({ warm: JSON.stringify(object) }), { warm: object });
  assert.deepEqual(readConfig({ runners: [{ warm: "1" }] }), { runners: [{ warm: 1 }] });
  assert.throws(
    () => readConfig({ warm: "two" }),
    /Invalid warm: "two"\. Allowed: a whole number or a JSON object/,
  );
  assert.throws(() => readConfig({ warm: { sise: 1 } }), /warm\.sise; did you mean warm\.size\?/);
  assert.throws(
    () => readConfig({ warm: { schedule: [{ days: ["Monday"] }] } }),
    /Invalid warm\.schedule\[0\]\.days\[0\]: "Monday"\. Allowed: mon, tue/,
  );
  assert.throws(() => readConfig({ warm: 1, runners: [{}] }), /Invalid warm: it goes only with/);
});

test("the app's configuration reaches the keeper", () => {
  const template = appTemplate({
    runners: [
      { name: "one", warm: 2 },
      { name: "two", labels: ["self-hosted", "two"], warm: { size: 1, maxAgeMinutes: 60 } },
    ],
  });
  assert.deepEqual(JSON.parse(variablesOf(template, "stock").STOCK!), [
    { family: "fargate-runners-one", size: 2, maxAgeSeconds: 21600, spot: false },
    { family: "fargate-runners-two", size: 1, maxAgeSeconds: 3600, spot: false },
  ]);
  assert.ok("StockFunction" in (template.toJSON().Outputs as object));
});
