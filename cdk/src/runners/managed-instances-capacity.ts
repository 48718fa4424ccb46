import { Duration, Size, Tags } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as ecs from "aws-cdk-lib/aws-ecs";
import * as iam from "aws-cdk-lib/aws-iam";
import { Construct } from "constructs";
import { acknowledge } from "../acknowledge";
import { invalidProp, oneOf } from "../invalid-prop";
import { DEPLOYMENT_TAG } from "../names";
import { allow, give } from "../permission";
import { Capacity } from "./capacity";
import { RunnerHost } from "./host";
import { instancePermissions, Isolation, takeName } from "./instances";
import { RunnerArchitecture } from "./runner-architecture";

/** Instances that AWS starts, patches and ends, for runners that need what Fargate doesn't have. */
export interface ManagedInstancesCapacityProps {
  /** The deployment that the instances belong to; its network has private subnets. */
  readonly runners: RunnerHost;
  /**
   * What the capacity provider is called after the prefix; unique in a deployment.
   * @default "managed"
   */
  readonly name?: string;
  /**
   * The processor.
   * @default "x64"
   */
  readonly architecture?: RunnerArchitecture;
  /**
   * vCPU of each instance.
   * @default 4
   */
  readonly vCpus?: number;
  /**
   * Memory of each instance in GiB, at least: AWS chooses the type.
   * @default - four for each vCPU
   */
  readonly memoryGiB?: number;
  /**
   * NVIDIA GPUs of each instance; a runner gets all of them.
   * @default 0
   */
  readonly gpus?: number;
  /**
   * Each instance's disk in GiB, for images, logs and what jobs write.
   * @default 100
   */
  readonly diskGiB?: number;
  /**
   * Whether instances are Spot instances: cheaper, and taken back at any time.
   * @default false
   */
  readonly spot?: boolean;
  /**
   * How long an instance without a task is kept for the next one, up to an hour.
   * @default - not at all
   */
  readonly scaleInAfter?: Duration;
  /**
   * What else AWS has to look for when it chooses an instance's type.
   * @default - nothing
   */
  readonly instanceRequirements?: Omit<
    Partial<ec2.InstanceRequirementsConfig>,
    "vCpuCountMin" | "vCpuCountMax" | "memoryMin"
  >;
}

/**
 * A capacity provider of ECS Managed Instances: no machine image, no Auto Scaling group and no launch
 * template of one's own.
 *
 * By default a runner takes more than half of an instance, so one job runs there at a time. The next
 * job may get the same instance before AWS ends it: an `Ec2Capacity` replaces instances.
 */
export class ManagedInstancesCapacity extends Construct {
  /** For the `capacity` of runners. */
  readonly capacity: Capacity;
  /** The processor. */
  readonly architecture: RunnerArchitecture;
  /** NVIDIA GPUs of each instance. */
  readonly gpus: number;
  /** CPU units of a runner that names none: AWS does not say how many an instance keeps to itself. */
  readonly defaultCpu: number;
  /** Memory in MiB of a runner that names none. */
  readonly defaultMemoryMiB: number;

  private readonly vCpus: number;
  private readonly memoryMiB: number;
  private isolation?: Isolation;

  constructor(scope: Construct, id: string, props: ManagedInstancesCapacityProps) {
    super(scope, id);
    const { runners, gpus = 0, vCpus = 4, diskGiB = 100, spot = false } = props;
    const { network, names, roles } = runners;
    const memoryGiB = props.memoryGiB ?? 4 * vCpus;
    this.architecture = oneOf("architecture", props.architecture ?? "x64", ["x64", "arm64"]);
    const name = takeName(runners, "ManagedInstancesCapacity", props.name ?? "managed");
    whole("vCpus", vCpus, 1, 448);
    whole("memoryGiB", memoryGiB, 1, 24_576);
    whole("gpus", gpus, 0, 16);
    whole("diskGiB", diskGiB, SMALLEST_DISK_GIB, 16_384);
    const idle = props.scaleInAfter?.toSeconds() ?? 0;
    if (!(idle >= 0 && idle <= 3600)) {
      throw invalidProp("scaleInAfter", props.scaleInAfter?.toHumanString(), "0 to 1 hour");
    }
    if (network.assignPublicIp) {
      const allowed =
        "a network with private subnets, as NatVpc: a task on a managed instance gets no public address";
      throw invalidProp("runners.network", "public subnets", allowed);
    }
    this.vCpus = vCpus;
    this.memoryMiB = 1024 * memoryGiB;
    this.gpus = gpus;
    this.defaultCpu = 768 * vCpus;
    this.defaultMemoryMiB = 768 * memoryGiB;

    const instanceRole = roles.service(
      this,
      "InstanceRole",
      "ec2.amazonaws.com",
      "Registers an instance with the cluster and runs its tasks",
    );
    give(instanceRole, instancePermissions(names, ["ecs:PutSystemLogEvents"]));
    const infrastructureRole = roles.service(
      this,
      "InfrastructureRole",
      "ecs.amazonaws.com",
      "Starts and ends the instances",
    );
    // What ECS needs for it changes with ECS; the policy is AWS's own, and limited to what ECS has made.
    infrastructureRole.addManagedPolicy(
      iam.ManagedPolicy.fromAwsManagedPolicyName(INFRASTRUCTURE_POLICY),
    );
    acknowledge(infrastructureRole, {
      [`AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/${INFRASTRUCTURE_POLICY}]`]:
        "ECS itself assumes the role; the policy follows what it needs and names only resources that it made.",
    });
    // That policy passes roles of a certain name only, which lie under no path.
    give(infrastructureRole, [
      allow(["iam:PassRole"], [instanceRole.roleArn], {
        conditions: { StringLike: { "iam:PassedToService": "ec2.*" } },
      }),
    ]);
    const provider = new ecs.ManagedInstancesCapacityProvider(this, "Provider", {
      // The name may not begin with `fargate`, as our default prefix does.
      capacityProviderName: `managed-${names.prefix}-${name}`,
      infrastructureRole,
      ec2InstanceProfile: new iam.InstanceProfile(this, "InstanceProfile", { role: instanceRole }),
      subnets: network.subnets,
      securityGroups: network.securityGroups,
      taskVolumeStorage: Size.gibibytes(diskGiB),
      capacityOptionType: spot ? ecs.CapacityOptionType.SPOT : ecs.CapacityOptionType.ON_DEMAND,
      propagateTags: ecs.PropagateManagedInstancesTags.CAPACITY_PROVIDER,
      instanceRequirements: {
        cpuManufacturers:
          this.architecture === "arm64"
            ? [ec2.CpuManufacturer.AWS]
            : [ec2.CpuManufacturer.INTEL, ec2.CpuManufacturer.AMD],
        ...(gpus > 0 && {
          acceleratorTypes: [ec2.AcceleratorType.GPU],
          acceleratorManufacturers: [ec2.AcceleratorManufacturer.NVIDIA],
          acceleratorCountMin: gpus,
          acceleratorCountMax: gpus,
        }),
        ...props.instanceRequirements,
        vCpuCountMin: vCpus,
        vCpuCountMax: vCpus,
        memoryMin: Size.gibibytes(memoryGiB),
      },
    });
    // The toolkit's construct has no prop for it.
    (provider.node.defaultChild as ecs.CfnCapacityProvider).addPropertyOverride(
      "ManagedInstancesProvider.InfrastructureOptimization.ScaleInAfter",
      idle,
    );
    runners.cluster.addManagedInstancesCapacityProvider(provider);
    this.capacity = Capacity.of(provider.capacityProviderName);
    Tags.of(this).add(DEPLOYMENT_TAG, names.deployment);
  }

  /**
   * Says how a runner's jobs share the instances, which is the same for all runners of a capacity.
   *
   * @param task what the runner's task takes of an instance
   */
  isolate(isolation: Isolation, task: { readonly cpu: number; readonly memoryMiB: number }): void {
    if (this.isolation !== undefined && this.isolation !== isolation) {
      const allowed = `"${this.isolation}", as the other runners of this capacity have; or a ManagedInstancesCapacity of its own`;
      throw invalidProp("isolation", isolation, allowed);
    }
    this.isolation = isolation;
    const all = 1024 * this.vCpus;
    if (task.cpu > all) {
      throw invalidProp("cpu", task.cpu, `up to ${all}, as the capacity's vCpus (${this.vCpus})`);
    }
    if (task.memoryMiB > this.memoryMiB) {
      const allowed = `up to ${this.memoryMiB}, as the capacity's memoryGiB (${this.memoryMiB / 1024})`;
      throw invalidProp("memoryMiB", task.memoryMiB, allowed);
    }
    if (isolation === "instance" && 2 * task.cpu <= all) {
      const allowed = `more than ${all / 2}, half of an instance, so that no other job fits beside it; or isolation "shared"`;
      throw invalidProp("cpu", task.cpu, allowed);
    }
  }
}

/** AWS's own: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/infrastructure_IAM_role.html */
const INFRASTRUCTURE_POLICY = "AmazonECSInfrastructureRolePolicyForManagedInstances";
/** https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ManagedInstancesStorageConfiguration.html */
const SMALLEST_DISK_GIB = 30;

function whole(prop: string, value: number, least: number, most: number): void {
  if (!(Number.isInteger(value) && value >= least && value <= most)) {
    throw invalidProp(prop, value, `a whole number from ${least} to ${most}`);
  }
}
