import { Template } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Ec2Capacity, Ec2Runner, Ec2RunnerProps } from "../src";
import { deployment, IMAGE } from "./support";

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
  assert.deepEqual(CONTAINERS.get("runner")!.DependsOn, [
    { ContainerName: "docker", Condition: "HEALTHY" },
  ]);
  assert.match(CONTAINERS.get("docker")!.Command![0]!, /exec dockerd-entrypoint\.sh dockerd /);
});

test("what the listener mounts into a job's containers is where the daemon looks for it", () => {
  const copied = CONTAINERS.get("externals")!;
  assert.equal(copied.Essential, false);
  assert.equal(copied.Image, CONTAINERS.get("runner")!.Image);
  assert.deepEqual(CONTAINERS.get("docker")!.DependsOn, [
    { ContainerName: "externals", Condition: "SUCCESS" },
  ]);
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
