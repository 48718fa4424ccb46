import { App, Duration, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import { AwsSolutionsChecks } from "cdk-nag";
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Ec2Capacity,
  Ec2Runner,
  Ec2RunnerProps,
  FargateRunners,
  type Isolation,
  ManagedInstancesCapacity,
  ManagedInstancesCapacityProps,
  NatVpc,
} from "../src";
import { deployment, GITHUB, HANDLERS_DIRECTORY, IMAGE } from "./support";

type Given = Omit<ManagedInstancesCapacityProps, "runners">;

/** A deployment in private subnets, which managed instances need. */
function inPrivate(): { stack: Stack; runners: FargateRunners } {
  const stack = new Stack(new App(), "Test");
  const runners = new FargateRunners(stack, "Runners", {
    handlersDirectory: HANDLERS_DIRECTORY,
    defaultRunner: false,
    github: GITHUB,
    network: new NatVpc(stack, "Network"),
  });
  return { stack, runners };
}

function managed(given: Given = {}, props: Partial<Ec2RunnerProps> = {}) {
  const { stack, runners } = inPrivate();
  const capacity = new ManagedInstancesCapacity(stack, "Capacity", { runners, ...given });
  new Ec2Runner(stack, "Runner", { runners, capacity, image: IMAGE, ...props });
  return { stack, runners, capacity };
}

interface Container {
  readonly Name: string;
  readonly Privileged?: boolean;
  readonly DependsOn?: { ContainerName: string; Condition: string }[];
  readonly PortMappings?: unknown[];
  readonly ResourceRequirements?: { Type: string; Value: string }[];
}

/** The properties of the one resource of a type. */
function only(template: Template, type: string): Record<string, any> {
  const found = Object.values(template.findResources(type));
  assert.equal(found.length, 1, type);
  return found[0]!.Properties as Record<string, any>;
}

const definitionOf = (template: Template) => only(template, "AWS::ECS::TaskDefinition");
const containersOf = (template: Template) =>
  new Map(
    (definitionOf(template).ContainerDefinitions as Container[]).map((each) => [each.Name, each]),
  );

test("a runner on managed instances has Docker beside it, and a network interface of its own", () => {
  const template = Template.fromStack(managed().stack);
  const definition = definitionOf(template);
  assert.deepEqual(definition.RequiresCompatibilities, ["MANAGED_INSTANCES"]);
  assert.equal(definition.NetworkMode, "awsvpc");
  assert.deepEqual(definition.RuntimePlatform, {
    CpuArchitecture: "X86_64",
    OperatingSystemFamily: "LINUX",
  });
  const containers = containersOf(template);
  assert.deepEqual([...containers.keys()].sort(), ["docker", "externals", "runner"]);
  assert.deepEqual(
    [...containers.values()].filter(({ Privileged }) => Privileged).map(({ Name }) => Name),
    ["docker"],
  );
  assert.deepEqual(containers.get("runner")!.DependsOn, [
    { ContainerName: "docker", Condition: "HEALTHY" },
  ]);
});

test("nothing of the task definition is among what managed instances refuse", () => {
  // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-instances-tasks-services.html
  const text = JSON.stringify(definitionOf(Template.fromStack(managed().stack)));
  for (const refused of [
    "DisableNetworking",
    "DnsSearchDomains",
    "DnsServers",
    "DockerLabels",
    "DockerSecurityOptions",
    "DockerVolumeConfiguration",
    "EphemeralStorage",
    "ExtraHosts",
    "Hostname",
    "IpcMode",
    "Links",
    "MaxSwap",
    "ProxyConfiguration",
    "SharedMemorySize",
    "SourcePath",
    "Swappiness",
    "Tmpfs",
  ]) {
    assert.ok(!text.includes(`"${refused}":`), refused);
  }
});

test("the provider asks for instances of one size, and keeps none without a task", () => {
  const provider = only(Template.fromStack(managed().stack), "AWS::ECS::CapacityProvider");
  assert.equal(provider.Name, "managed-fargate-runners-managed");
  const { InstanceLaunchTemplate, InfrastructureOptimization, PropagateTags } =
    provider.ManagedInstancesProvider as Record<string, any>;
  assert.deepEqual(InfrastructureOptimization, { ScaleInAfter: 0 });
  assert.equal(PropagateTags, "CAPACITY_PROVIDER");
  assert.equal(InstanceLaunchTemplate.CapacityOptionType, "ON_DEMAND");
  assert.deepEqual(InstanceLaunchTemplate.StorageConfiguration, { StorageSizeGiB: 100 });
  const { VCpuCount, MemoryMiB, CpuManufacturers } = InstanceLaunchTemplate.InstanceRequirements;
  assert.deepEqual([VCpuCount, MemoryMiB], [{ Min: 4, Max: 4 }, { Min: 16_384 }]);
  assert.deepEqual(CpuManufacturers, ["intel", "amd"]);
});

test("Spot, the time without a task, GPUs and the processor are the provider's", () => {
  const template = Template.fromStack(
    managed({ architecture: "arm64", spot: true, scaleInAfter: Duration.minutes(10), gpus: 1 })
      .stack,
  );
  const { InstanceLaunchTemplate, InfrastructureOptimization } = only(
    template,
    "AWS::ECS::CapacityProvider",
  ).ManagedInstancesProvider as Record<string, any>;
  assert.equal(InfrastructureOptimization.ScaleInAfter, 600);
  assert.equal(InstanceLaunchTemplate.CapacityOptionType, "SPOT");
  const { AcceleratorCount, AcceleratorTypes, AcceleratorManufacturers, CpuManufacturers } =
    InstanceLaunchTemplate.InstanceRequirements;
  assert.deepEqual(AcceleratorCount, { Min: 1, Max: 1 });
  assert.deepEqual([AcceleratorTypes, AcceleratorManufacturers], [["gpu"], ["nvidia"]]);
  assert.deepEqual(CpuManufacturers, ["amazon-web-services"]);
  assert.deepEqual(containersOf(template).get("runner")!.ResourceRequirements, [
    { Type: "GPU", Value: "1" },
  ]);
  assert.equal(definitionOf(template).RuntimePlatform.CpuArchitecture, "ARM64");
});

test("a runner takes more than half of an instance, so one job runs there at a time", () => {
  const { Cpu, Memory } = definitionOf(Template.fromStack(managed({ vCpus: 8 }).stack));
  assert.deepEqual([Cpu, Memory], ["6144", "24576"]);
  assert.throws(
    () => managed({}, { cpu: 2048 }),
    /Invalid cpu: 2048\. Allowed: more than 2048, half of an instance, .* or isolation "shared"/,
  );
  managed({}, { cpu: 2049 });
  managed({}, { cpu: 1024, memoryMiB: 2048, isolation: "shared" });
});

test("it has fewer resources than Ec2Capacity", (context) => {
  const count = (build: (stack: Stack, runners: FargateRunners) => void) => {
    const { stack, runners } = inPrivate();
    build(stack, runners);
    return Object.keys(Template.fromStack(stack).toJSON().Resources as object).length;
  };
  const without = count(() => undefined);
  const resources = (isolation?: Isolation) => {
    const runner = { image: IMAGE, isolation };
    return {
      group: count((stack, runners) => {
        const capacity = new Ec2Capacity(stack, "Capacity", { runners });
        new Ec2Runner(stack, "Runner", { runners, capacity, ...runner });
      }),
      managed: count((stack, runners) => {
        const capacity = new ManagedInstancesCapacity(stack, "Capacity", { runners });
        new Ec2Runner(stack, "Runner", { runners, capacity, ...runner });
      }),
    };
  };
  const usual = resources();
  context.diagnostic(`${usual.managed - without} instead of ${usual.group - without}`);
  assert.ok(usual.managed < usual.group);
  const shared = resources("shared");
  assert.ok(shared.managed <= shared.group);
});

test("its roles are the deployment's: under its path, and passed to EC2 alone", () => {
  const template = Template.fromStack(managed().stack);
  const roles = Object.entries(template.findResources("AWS::IAM::Role")).filter(([id]) =>
    id.startsWith("Capacity"),
  );
  assert.deepEqual(
    roles.map(([, { Properties }]) => Properties.Path as string),
    ["/fargate-runners/", "/fargate-runners/"],
  );
  const policies = JSON.stringify(template.findResources("AWS::IAM::Policy"));
  assert.match(
    policies,
    /"Action":"iam:PassRole","Condition":\{"StringLike":\{"iam:PassedToService":"ec2\.\*"/,
  );
});

test("runners on managed instances leave no AwsSolutions finding unexplained", () => {
  const report = new AwsSolutionsChecks().validateScope(managed().stack);
  assert.deepEqual(
    report.violations.map(({ ruleName, violatingResources }) => [
      ruleName,
      violatingResources.map(({ constructPath }) => constructPath),
    ]),
    [],
  );
});

const REFUSED: [string, Given, Partial<Ec2RunnerProps>, RegExp][] = [
  ["no vCPU", { vCpus: 0 }, {}, /Invalid vCpus: 0\. Allowed: a whole number from 1 to 448/],
  [
    "half a GiB",
    { memoryGiB: 0.5 },
    {},
    /Invalid memoryGiB: 0\.5\. Allowed: a whole number from 1/,
  ],
  ["a negative GPU", { gpus: -1 }, {}, /Invalid gpus: -1\. Allowed: a whole number from 0 to 16/],
  ["a small disk", { diskGiB: 8 }, {}, /Invalid diskGiB: 8\. Allowed: a whole number from 30/],
  [
    "instances that stay for two hours",
    { scaleInAfter: Duration.hours(2) },
    {},
    /Invalid scaleInAfter: "2 hours"\. Allowed: 0 to 1 hour/,
  ],
  ["a name with a space", { name: "two words" }, {}, /Invalid name: "two words"/],
  [
    "another processor",
    { architecture: "amd64" as "x64" },
    {},
    /Invalid architecture: "amd64"\. Allowed: "x64" or "arm64"/,
  ],
  [
    "a runner larger than an instance",
    {},
    { cpu: 8192 },
    /Invalid cpu: 8192\. Allowed: up to 4096, as the capacity's vCpus \(4\)/,
  ],
  [
    "a runner with more memory than an instance",
    { memoryGiB: 8 },
    { memoryMiB: 16_384 },
    /Invalid memoryMiB: 16384\. Allowed: up to 8192, as the capacity's memoryGiB \(8\)/,
  ],
];

for (const [what, given, props, message] of REFUSED) {
  test(`managed instances with ${what} are refused`, () => {
    assert.throws(() => managed(given, props), message);
  });
}

test("managed instances in public subnets are refused, because their tasks would reach nothing", () => {
  const { stack, runners } = deployment();
  assert.throws(
    () => new ManagedInstancesCapacity(stack, "Capacity", { runners }),
    /Invalid runners\.network: "public subnets"\. Allowed: a network with private subnets, as NatVpc/,
  );
});

test("runners of one capacity share its instances alike", () => {
  const { stack, runners, capacity } = managed();
  assert.throws(
    () =>
      new Ec2Runner(stack, "Other", {
        runners,
        capacity,
        name: "other",
        image: IMAGE,
        isolation: "shared",
      }),
    /Invalid isolation: "shared"\. Allowed: "instance", as the other runners of this capacity have; or a Managed/,
  );
});

test("two capacities of managed instances have two names", () => {
  const { stack, runners } = managed();
  assert.throws(
    () => new ManagedInstancesCapacity(stack, "Second", { runners }),
    /Invalid name: "managed"\. Allowed: a name that no other ManagedInstancesCapacity of this deployment has/,
  );
  new ManagedInstancesCapacity(stack, "Third", {
    runners,
    name: "large",
    instanceRequirements: { burstablePerformance: ec2.BurstablePerformance.EXCLUDED },
  });
});
