import { Template } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Ec2Capacity, Ec2Runner, Ec2RunnerProps } from "../src";
import { repositoryFile } from "../src/repository-files";
import { deployment, IMAGE } from "./support";
import { temporaryDirectory } from "./temporary";

/** The package has no declarations. */
const validate = require("asl-validator") as (
  definition: object,
  options: { checkPaths: boolean },
) => { isValid: boolean; errorsText: () => string };

interface Container {
  readonly Name: string;
  readonly Image: string;
  readonly Command?: string[];
  readonly Essential: boolean;
  readonly Privileged?: boolean;
  readonly DependsOn?: { ContainerName: string; Condition: string }[];
  readonly MountPoints?: { ContainerPath: string; SourceVolume: string }[];
}

const { stack, runners } = deployment({ defaultRunner: false });
const capacity = new Ec2Capacity(stack, "Capacity", { runners });
new Ec2Runner(stack, "Runner", { runners, capacity, image: IMAGE });
const TEMPLATE = Template.fromStack(stack);
const [DEFINITION] = Object.values(TEMPLATE.findResources("AWS::ECS::TaskDefinition"));
const CONTAINERS = new Map(
  (DEFINITION!.Properties.ContainerDefinitions as Container[]).map((each) => [each.Name, each]),
);

test("a runner on EC2 shares its instance's network, which launch reads off the definition", () => {
  assert.equal(DEFINITION!.Properties.NetworkMode, "bridge");
  assert.deepEqual(DEFINITION!.Properties.RequiresCompatibilities, ["EC2"]);
});

test("only the daemon is privileged, and the runner waits until it answers", () => {
  const privileged = [...CONTAINERS.values()].filter(({ Privileged }) => Privileged);
  assert.deepEqual(
    privileged.map(({ Name }) => Name),
    ["docker"],
  );
  assert.deepEqual(
    CONTAINERS.get("runner")!.DependsOn!.filter(({ ContainerName }) => ContainerName === "docker"),
    [{ ContainerName: "docker", Condition: "HEALTHY" }],
  );
  assert.match(CONTAINERS.get("docker")!.Command![0]!, /exec dockerd-entrypoint\.sh dockerd /);
});

test("what the listener mounts into a job's containers is where the daemon looks for it", () => {
  const copied = CONTAINERS.get("externals")!;
  assert.equal(copied.Essential, false);
  assert.equal(copied.Image, CONTAINERS.get("runner")!.Image);
  assert.deepEqual(
    CONTAINERS.get("docker")!.DependsOn!.filter(
      ({ ContainerName }) => ContainerName === "externals",
    ),
    [{ ContainerName: "externals", Condition: "SUCCESS" }],
  );
  const seen = (name: string) =>
    new Map(
      CONTAINERS.get(name)!.MountPoints!.map(({ ContainerPath, SourceVolume }) => [
        ContainerPath,
        SourceVolume,
      ]),
    );
  assert.equal(seen("docker").get("/home/runner/externals"), "externals");
  assert.equal(seen("docker").get("/home/runner/_work"), seen("runner").get("/home/runner/_work"));
});

test("a capacity provider's name doesn't begin as Fargate's do, and the cluster knows it", () => {
  const [provider] = Object.values(TEMPLATE.findResources("AWS::ECS::CapacityProvider"));
  assert.equal(provider!.Properties.Name, "ec2-fargate-runners-docker");
  const tags = DEFINITION!.Properties.Tags as { Key: string; Value: { Ref: string } }[];
  const named = tags.find(({ Key }) => Key === "GH:capacity");
  assert.deepEqual(TEMPLATE.toJSON().Resources[named!.Value.Ref], provider);
  const [associations] = Object.values(
    TEMPLATE.findResources("AWS::ECS::ClusterCapacityProviderAssociations"),
  );
  assert.equal(associations!.Properties.CapacityProviders.length, 3);
});

test("with Docker inside no two jobs are on one instance, unless shared on purpose", () => {
  const hostPorts = (props: Partial<Ec2RunnerProps>) => {
    const { stack, runners } = deployment({ defaultRunner: false });
    const capacity = new Ec2Capacity(stack, "Capacity", { runners });
    new Ec2Runner(stack, "Runner", { runners, capacity, image: IMAGE, ...props });
    const [definition] = Object.values(
      Template.fromStack(stack).findResources("AWS::ECS::TaskDefinition"),
    );
    const containers = definition!.Properties.ContainerDefinitions as {
      PortMappings?: { HostPort: number }[];
    }[];
    return containers.flatMap(({ PortMappings }) =>
      (PortMappings ?? []).map(({ HostPort }) => HostPort),
    );
  };
  // A host port that is taken keeps the next task off the instance.
  assert.deepEqual(hostPorts({}), [9]);
  assert.deepEqual(hostPorts({ isolation: "shared" }), []);
  assert.deepEqual(hostPorts({ docker: false }), []);
  assert.deepEqual(hostPorts({ docker: false, isolation: "instance" }), [9]);
});

/** The machine that replaces instances, and what it may do. */
const RECYCLING = (() => {
  const machines = Object.entries(TEMPLATE.findResources("AWS::StepFunctions::StateMachine"));
  const [id, machine] = machines.find(([id]) => id.includes("Recycling"))!;
  const { DefinitionString, DefinitionSubstitutions, RoleArn } = machine.Properties as {
    DefinitionString: string;
    DefinitionSubstitutions: Record<string, unknown>;
    RoleArn: { "Fn::GetAtt": [string, string] };
  };
  return { id, DefinitionString, DefinitionSubstitutions, role: RoleArn["Fn::GetAtt"][0] };
})();

test("an instance is replaced by a machine whose definition is valid and knows the capacity", () => {
  assert.equal(
    RECYCLING.DefinitionString,
    readFileSync(repositoryFile("statemachine", "recycle.asl.json"), "utf8"),
  );
  const named = [...RECYCLING.DefinitionString.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name!);
  assert.deepEqual(
    [...new Set(named)].sort(),
    Object.keys(RECYCLING.DefinitionSubstitutions).sort(),
  );
  const { Ref } = RECYCLING.DefinitionSubstitutions.CapacityProvider as { Ref: string };
  const provider = (TEMPLATE.toJSON().Resources as Record<string, { Type: string }>)[Ref];
  assert.equal(provider!.Type, "AWS::ECS::CapacityProvider");
  const { isValid, errorsText } = validate(
    JSON.parse(RECYCLING.DefinitionString.replace(/\$\{\w+\}/g, "name")),
    { checkPaths: true },
  );
  assert.ok(isValid, errorsText());
});

test("the machine hears of each task that begins or ends on an instance, and looks every hour", () => {
  const rules = Object.values(TEMPLATE.findResources("AWS::Events::Rule"))
    .map(({ Properties }) => Properties as Record<string, unknown>)
    .filter((rule) => JSON.stringify(rule.Targets).includes(RECYCLING.id));
  const [tasks] = rules.flatMap(({ EventPattern }) => EventPattern ?? []) as {
    detail: Record<string, unknown>;
  }[];
  assert.deepEqual(tasks!.detail.lastStatus, ["PENDING", "RUNNING", "STOPPED"]);
  assert.deepEqual(tasks!.detail.containerInstanceArn, [{ exists: true }]);
  assert.deepEqual(
    rules.flatMap(({ ScheduleExpression }) => ScheduleExpression ?? []),
    ["rate(1 hour)"],
  );
});

test("only that machine may end instances, and only those of its own group", () => {
  const statements = Object.values(TEMPLATE.findResources("AWS::IAM::Policy")).flatMap(
    ({ Properties }) => {
      const { PolicyDocument, Roles } = Properties as {
        PolicyDocument: { Statement: { Action: string | string[]; Resource: unknown }[] };
        Roles: { Ref: string }[];
      };
      return PolicyDocument.Statement.map((statement) => ({ ...statement, role: Roles[0]!.Ref }));
    },
  );
  const [group] = Object.keys(TEMPLATE.findResources("AWS::AutoScaling::AutoScalingGroup"));
  const about = (service: string) =>
    statements.filter(({ Action }) =>
      [Action].flat().some((action) => action.startsWith(`${service}:`)),
    );
  assert.deepEqual(
    about("autoscaling").map(({ Action, role }) => [Action, role]),
    [["autoscaling:TerminateInstanceInAutoScalingGroup", RECYCLING.role]],
  );
  const resource = JSON.stringify(about("autoscaling")[0]!.Resource);
  assert.ok(resource.includes(`:autoScalingGroupName/",{"Ref":"${group}"}`), resource);
  assert.deepEqual(about("ec2"), []);
  const own = statements.filter(({ role }) => role === RECYCLING.role);
  assert.deepEqual(own.flatMap(({ Action }) => Action).sort(), [
    "autoscaling:TerminateInstanceInAutoScalingGroup",
    "ecs:DescribeContainerInstances",
    "ecs:ListContainerInstances",
    "ecs:UpdateContainerInstancesState",
  ]);
});

test("an alarm rings when an instance could not be replaced", () => {
  const alarms = Object.values(TEMPLATE.findResources("AWS::CloudWatch::Alarm"));
  const alarm = alarms.find(
    ({ Properties }) => Properties.AlarmName === "fargate-runners-instance-not-replaced-docker",
  );
  assert.ok(JSON.stringify(alarm!.Properties.Dimensions).includes(RECYCLING.id));
});

test("an instance that was not replaced starts neither daemon nor runner for a second job", () => {
  const once = CONTAINERS.get("once")!;
  assert.equal(once.Essential, false);
  assert.deepEqual(once.MountPoints, [
    { ContainerPath: "/instance", SourceVolume: "instance", ReadOnly: false },
  ]);
  const volumes = DEFINITION!.Properties.Volumes as { Name: string; Host?: object }[];
  assert.deepEqual(volumes.find(({ Name }) => Name === "instance")!.Host, {
    SourcePath: "/var/lib/fargate-runners",
  });
  for (const waiting of ["docker", "runner"]) {
    const [condition] = CONTAINERS.get(waiting)!.DependsOn!.filter(
      ({ ContainerName }) => ContainerName === "once",
    );
    assert.equal(condition?.Condition, "SUCCESS", waiting);
  }
  // The same command, run twice by the shell that the container runs it with.
  const instance = temporaryDirectory("instance");
  const run = () =>
    spawnSync("sh", ["-c", once.Command![0]!.replaceAll("/instance/", `${instance}/`)], {
      encoding: "utf8",
    });
  assert.equal(run().status, 0);
  const second = run();
  assert.equal(second.status, 1);
  assert.match(second.stderr, /has had a job already/);
});

test("instances that runners share are not replaced, and hold no runner that wants one for itself", () => {
  const { stack, runners } = deployment({ defaultRunner: false });
  const capacity = new Ec2Capacity(stack, "Capacity", { runners });
  const shared = { runners, capacity, image: IMAGE, isolation: "shared" } as const;
  new Ec2Runner(stack, "Shared", shared);
  new Ec2Runner(stack, "Other", { ...shared, name: "other", docker: false, isolation: undefined });
  assert.throws(
    () => new Ec2Runner(stack, "Alone", { runners, capacity, image: IMAGE, name: "alone" }),
    /Invalid isolation: "instance"\. Allowed: "shared", as the other runners of this capacity have; or an Ec2Capacity/,
  );
  assert.throws(
    () => new Ec2Runner(stack, "Odd", { ...shared, name: "odd", isolation: "none" as "shared" }),
    /Invalid isolation: "none"\. Allowed: "instance" or "shared"/,
  );
  Template.fromStack(stack).resourceCountIs("AWS::StepFunctions::StateMachine", 1);
});
