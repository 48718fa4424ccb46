import { App, Duration, Stack } from "aws-cdk-lib";
import { Annotations, Match } from "aws-cdk-lib/assertions";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Capacity,
  Ec2Capacity,
  Ec2CapacityProps,
  Ec2Runner,
  Ec2RunnerProps,
  ExistingVpc,
  ExistingVpcProps,
  FargateRunner,
  FargateRunners,
  FargateRunnersProps,
  GitHubProps,
  imageFromUri,
  IsolatedVpc,
  NatVpc,
  NatVpcProps,
} from "../src";
import { deployment, HANDLERS_DIRECTORY, IMAGE } from "./support";

/** Props that a template takes and that can't work; what the refusal says. */
type Refused = Omit<Partial<FargateRunnersProps>, "github"> & { github?: Partial<GitHubProps> };

const url = (apiUrl: string): Refused => ({ github: { apiUrl } });

const REFUSED: [string, Refused, RegExp][] = [
  [
    "an Enterprise Server without its path",
    url("https://ghe.example.org"),
    /Invalid github\.apiUrl: "https:\/\/ghe\.example\.org"\. Allowed: https:\/\/ghe\.example\.org\/api\/v3, where/,
  ],
  [
    "another path of an Enterprise Server",
    url("https://ghe.example.org:8443/api/graphql"),
    /Allowed: https:\/\/ghe\.example\.org:8443\/api\/v3,/,
  ],
  [
    "an enterprise's pages",
    url("https://octo.ghe.com"),
    /Allowed: https:\/\/api\.octo\.ghe\.com, where an enterprise at ghe\.com has its API/,
  ],
  [
    "a path at an enterprise",
    url("https://api.octo.ghe.com/api/v3"),
    /Allowed: https:\/\/api\.octo\.ghe\.com,/,
  ],
  ["an enterprise without a name", url("https://ghe.com"), /https:\/\/api\.SUBDOMAIN\.ghe\.com/],
  ["GitHub's pages", url("https://github.com"), /Allowed: https:\/\/api\.github\.com, where/],
  ["GitHub's API with a path", url("https://api.github.com/api/v3"), /https:\/\/api\.github\.com,/],
  [
    "a password in the API's address",
    url("https://x:secret@ghe.example.org/api/v3"),
    /Invalid github\.apiUrl: "https:\/\/ghe\.example\.org\/…"\. Allowed: an address of host and path/,
  ],
  [
    "a runner group at repository scope",
    { github: { runnerGroup: "Builders" } },
    /Invalid github\.runnerGroup: "Builders"\. Allowed: nothing, unless github\.scope is 'organi/,
  ],
  [
    "a runner group of spaces",
    { github: { scope: "organization", runnerGroup: " " } },
    /Invalid github\.runnerGroup: " "\. Allowed: the group's name/,
  ],
  [
    "no repository beside owners",
    { github: { allowedRepositories: [] } },
    /Invalid github\.allowedRepositories: \[\]\. Allowed: at least one repository; leave it out/,
  ],
  [
    "a repository of an owner that is not served",
    { github: { allowedRepositories: ["octo/a", "cats/b"] } },
    /Invalid github\.allowedRepositories: "cats\/b"\. Allowed: repositories of github\.allowedOwners/,
  ],
  [
    "capacity that AWS does not know",
    { capacity: Capacity.of("SPOT") },
    /Invalid capacity: "SPOT"\. Allowed: FARGATE, FARGATE_SPOT, in order of preference/,
  ],
  [
    "a definition that is not there",
    { definitionFile: "/nowhere" },
    /Invalid definitionFile: "\/nowhere"\. Allowed: a file with a state machine's definition in JSON/,
  ],
  [
    "a definition of something else",
    { definitionFile: `${__dirname}/../package.json` },
    /Invalid definitionFile: .*Allowed: a state machine's definition, which has States/,
  ],
  [
    "a variable that no function can have",
    { handlerEnvironment: { verify: { "LOG-LEVEL": "debug" } } },
    /Invalid handlerEnvironment\.verify: "LOG-LEVEL"/,
  ],
  [
    "jobs that wait too long at once",
    { monitoring: { waitingLimit: Duration.seconds(0) } },
    /Invalid monitoring\.waitingLimit: .*Allowed: 1 second to 1 day/,
  ],
  [
    "jobs that never wait too long",
    { monitoring: { waitingLimit: Duration.days(2) } },
    /Invalid monitoring\.waitingLimit: "2 days"/,
  ],
  [
    "an alarm that always rings",
    { monitoring: { alarms: { webhooksUnusable: 0 } } },
    /Invalid monitoring\.alarms\.webhooksUnusable: 0\. Allowed: a whole number from 1 on/,
  ],
];

for (const [what, props, message] of REFUSED) {
  test(`${what} is refused`, () => {
    assert.throws(() => deployment(props as Partial<FargateRunnersProps>), message);
  });
}

test("every kind of GitHub is taken by its own address", () => {
  for (const apiUrl of [
    "https://api.github.com/",
    "https://api.octo.ghe.com",
    "https://ghe.example.org/api/v3/",
    "https://api.example.org:8443/api/v3",
    "http://127.0.0.1:4000",
  ]) {
    deployment({ github: { allowedOwners: ["octo"], apiUrl } });
  }
});

test("an owner with its id may have another name in the list of repositories", () => {
  deployment({
    github: { allowedOwners: ["octo:583231"], allowedRepositories: ["renamed/hello"] },
  });
});

const DIGEST = `sha256:${"a".repeat(64)}`;
const REPOSITORY = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/team/runner";

test("what is no image is refused", () => {
  const { stack } = deployment();
  for (const uri of [
    "",
    "two words",
    "https://example.org/runner:1",
    "example.org/Runner:1",
    "example.org/runner:",
    "example.org/runner@sha256:abc",
    "runner:1:2",
    "/runner",
    "example.org/runner/",
    `example.org/${"a".repeat(300)}`,
  ]) {
    assert.throws(
      () => imageFromUri(stack, uri, uri),
      /Invalid image: .*Allowed: an image as/,
      uri,
    );
  }
  for (const uri of [REPOSITORY.slice(1), REPOSITORY.replace("eu-west-1.", "")]) {
    assert.throws(() => imageFromUri(stack, uri, uri), /Allowed: an image in ECR as ACCOUNT\.dkr/);
  }
});

test("every way to write an image is taken, and one of ECR may be pulled", () => {
  const { stack, runners } = deployment({ defaultRunner: false });
  for (const [index, uri] of [
    "runner",
    "ubuntu:24.04",
    "team/runner:1",
    "localhost/runner",
    "localhost:5000/team/runner:v1.2_x-3",
    "ghcr.io/octo/my--runner__x:1",
    `example.org/runner@${DIGEST}`,
    `example.org/runner:1@${DIGEST}`,
  ].entries()) {
    imageFromUri(stack, `Image${index}`, uri);
  }
  for (const [index, version] of ["", ":1", `@${DIGEST}`, `:1@${DIGEST}`].entries()) {
    const image = imageFromUri(stack, `Ecr${index}`, REPOSITORY + version);
    const name = `ecr-${index}`;
    const { container, taskDefinition } = new FargateRunner(stack, name, { runners, name, image });
    const wanted = version.includes("@") ? `@${DIGEST}` : version || ":latest";
    assert.ok(container.imageName.endsWith(`/team/runner${wanted}`), container.imageName);
    const policies = taskDefinition.executionRole!.node.findAll();
    assert.ok(policies.some(({ node }) => node.id === "DefaultPolicy"));
  }
});

test("capacity is refused by a name that no provider can have, and twice", () => {
  for (const name of ["fargate", "FARGATE SPOT", "ecs-mine", ""]) {
    assert.throws(
      () => Capacity.of(name),
      /Invalid capacity: ".*"\. Allowed: FARGATE, FARGATE_SPOT/,
    );
  }
  assert.throws(() => Capacity.of("FARGATE", "FARGATE"), /each capacity provider once/);
  assert.deepEqual(Capacity.of("team-a", "FARGATE").providers, ["team-a", "FARGATE"]);
});

test("a runner on Fargate takes Fargate's capacity alone", () => {
  const { stack, runners } = deployment({ defaultRunner: false, capacity: Capacity.of("team-a") });
  const { capacity } = new Ec2Capacity(stack, "Capacity", { runners });
  for (const given of [capacity, Capacity.of("SPOT")]) {
    assert.throws(
      () => new FargateRunner(stack, "Runner", { runners, image: IMAGE, capacity: given }),
      /Invalid capacity: .*Allowed: FARGATE, FARGATE_SPOT, in order of preference/,
    );
  }
});

test("two runners of one name are refused", () => {
  const { stack, runners } = deployment();
  assert.throws(
    () => new FargateRunner(stack, "Second", { runners, image: IMAGE }),
    /Invalid name: "ubuntu-x64"\. Allowed: a name that no other runner of this deployment has/,
  );
});

test("20 GiB of disk are what every task has", () => {
  const { stack, runners } = deployment({ defaultRunner: false });
  const runner = new FargateRunner(stack, "R", { runners, image: IMAGE, ephemeralStorageGiB: 20 });
  assert.equal(runner.taskDefinition.node.id, "TaskDefinition");
  for (const ephemeralStorageGiB of [19, 201, 20.5]) {
    assert.throws(
      () =>
        new FargateRunner(stack, `R${ephemeralStorageGiB}`, {
          runners,
          name: "other",
          image: IMAGE,
          ephemeralStorageGiB,
        }),
      /Invalid ephemeralStorageGiB: .*Allowed: 20 to 200, a whole number/,
    );
  }
});

for (const cidr of [
  "10.0.0.0",
  "10.0.0.0/8",
  "10.0.0.0/27",
  "10.0.256.0/16",
  "10.0.0/16",
  "fd00::/56",
  "",
]) {
  test(`the addresses ${cidr || "''"} are refused`, () => {
    const stack = new Stack(new App(), "Test");
    assert.throws(
      () => new IsolatedVpc(stack, "Network", { cidr }),
      /Invalid cidr: ".*"\. Allowed: an IPv4 block from \/16 to \/26 with room for 4 subnets, such as/,
    );
  });
}

test("the smallest block of addresses is taken", () => {
  new IsolatedVpc(new Stack(new App(), "Test"), "Network", { cidr: "10.0.0.0/26" });
  new NatVpc(new Stack(new App(), "Test"), "Network", { cidr: "10.0.0.0/25" });
  assert.throws(
    () => new NatVpc(new Stack(new App(), "Test"), "Network", { cidr: "10.0.0.0/26" }),
    /from \/16 to \/25 with room for 8 subnets/,
  );
});

test("NAT gateways are at least one and at most one per zone", () => {
  for (const props of [{ natGateways: 0 }, { natGateways: 3 }, { natGateways: 2, maxAzs: 1 }]) {
    assert.throws(
      () => new NatVpc(new Stack(new App(), "Test"), "Network", props as NatVpcProps),
      /Invalid natGateways: \d\. Allowed: 1 to maxAzs \(\d\), because/,
    );
  }
});

test("an existing VPC needs subnets and security groups, as many as a task may name", () => {
  const stack = new Stack(new App(), "Test");
  const vpc = ec2.Vpc.fromVpcAttributes(stack, "Vpc", {
    vpcId: "vpc-00000001",
    availabilityZones: ["us-east-1a"],
  });
  const subnets = (count: number) =>
    Array.from({ length: count }, (_, index) =>
      ec2.Subnet.fromSubnetId(stack, `S${count}-${index}`, `subnet-0000000${index}`),
    );
  const groups = (count: number) =>
    Array.from({ length: count }, (_, index) =>
      ec2.SecurityGroup.fromSecurityGroupId(stack, `G${count}-${index}`, `sg-0000000${index}`),
    );
  for (const [id, props, message] of [
    ["None", {}, /Invalid subnets: \[\]\. Allowed: 1 to 16 subnets; the VPC has no private ones/],
    ["Many", { subnets: subnets(17) }, /Invalid subnets: .*Allowed: 1 to 16 subnets of the VPC/],
    [
      "Open",
      { subnets: subnets(1), securityGroups: [] },
      /Invalid securityGroups: \[\]\. Allowed: 1/,
    ],
    ["Six", { subnets: subnets(2), securityGroups: groups(6) }, /Invalid securityGroups: \["G6-0"/],
  ] as [string, Partial<ExistingVpcProps>, RegExp][]) {
    assert.throws(() => new ExistingVpc(stack, id, { vpc, ...props }), message);
  }
});

const REFUSED_CAPACITY: [string, Omit<Ec2CapacityProps, "runners">, RegExp][] = [
  ["a name with a space", { name: "two words" }, /Invalid name: "two words"/],
  [
    "half an instance",
    { maxInstances: 1.5 },
    /Invalid maxInstances: 1\.5\. Allowed: a whole number/,
  ],
  [
    "a disk smaller than the image",
    { diskGiB: 20 },
    /Invalid diskGiB: 20\. Allowed: .* from 30 on/,
  ],
  [
    "instances of another processor",
    { instanceType: new ec2.InstanceType("m7g.xlarge") },
    /Invalid instanceType: "m7g\.xlarge"\. Allowed: a type with architecture x86_64, or .*'arm64'/,
  ],
];

for (const [what, props, message] of REFUSED_CAPACITY) {
  test(`EC2 capacity with ${what} is refused`, () => {
    const { stack, runners } = deployment();
    assert.throws(() => new Ec2Capacity(stack, "Capacity", { runners, ...props }), message);
  });
}

test("two EC2 capacities of one name are refused", () => {
  const { stack, runners } = deployment();
  new Ec2Capacity(stack, "One", { runners });
  assert.throws(
    () => new Ec2Capacity(stack, "Two", { runners }),
    /Invalid name: "docker"\. Allowed: a name that no other Ec2Capacity of this deployment has/,
  );
});

const REFUSED_EC2: [string, Partial<Ec2RunnerProps>, RegExp][] = [
  ["no CPU", { cpu: 0 }, /Invalid cpu: 0\. Allowed: a whole number from 128/],
  ["half a MiB", { memoryMiB: 512.5 }, /Invalid memoryMiB: 512\.5/],
  [
    "a second daemon",
    { extraContainers: { docker: { image: IMAGE } } },
    /Invalid extraContainers: "docker"\. Allowed: any name but docker, externals, once/,
  ],
  [
    "a second container that takes the instance",
    { docker: false, isolation: "instance", extraContainers: { once: { image: IMAGE } } },
    /Invalid extraContainers: "once"\. Allowed: any name but once/,
  ],
  [
    "a container with a space in its name",
    { extraContainers: { "my db": { image: IMAGE } } },
    /Invalid extraContainers: "my db"/,
  ],
];

for (const [what, props, message] of REFUSED_EC2) {
  test(`a runner on EC2 with ${what} is refused`, () => {
    const { stack, runners } = deployment();
    const capacity = new Ec2Capacity(stack, "Capacity", { runners });
    assert.throws(
      () => new Ec2Runner(stack, "Runner", { runners, capacity, image: IMAGE, ...props }),
      message,
    );
  });
}

/** The warnings of a stack. */
function warnings(stack: Stack): string[] {
  return Annotations.fromStack(stack)
    .findWarning("*", Match.anyValue())
    .map(({ entry }) => String(entry.data));
}

test("runners without a way to GitHub are warned of, unless it is on their side", () => {
  for (const [apiUrl, warned] of [
    ["https://api.github.com", true],
    ["https://api.octo.ghe.com", true],
    ["https://ghe.example.org/api/v3", false],
  ] as const) {
    const stack = new Stack(new App(), "Test");
    const network = new IsolatedVpc(stack, "Network");
    new FargateRunners(stack, "Runners", {
      handlersDirectory: HANDLERS_DIRECTORY,
      defaultRunner: { image: IMAGE },
      github: { allowedOwners: ["octo"], apiUrl },
      network,
    });
    const found = warnings(stack).filter((text) => text.includes("IsolatedVpc"));
    assert.equal(found.length > 0, warned, apiUrl);
  }
});

test("a runner for repositories that are not served is warned of", () => {
  const { stack, runners } = deployment({ defaultRunner: false });
  const repositories = ["octo/hello", "cats/*"];
  new FargateRunner(stack, "Runner", { runners, image: IMAGE, repositories });
  assert.deepEqual(
    warnings(stack).filter((text) =>
      /is for cats\/\*, of which this deployment serves no job/.test(text),
    ).length,
    1,
  );
});
