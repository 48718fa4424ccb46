import { Tags, Token } from "aws-cdk-lib";
import * as autoscaling from "aws-cdk-lib/aws-autoscaling";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as ecs from "aws-cdk-lib/aws-ecs";
import { Construct } from "constructs";
import { acknowledge } from "../acknowledge";
import { invalidProp, oneOf } from "../invalid-prop";
import { DEPLOYMENT_TAG } from "../names";
import { give } from "../permission";
import { Capacity } from "./capacity";
import { RunnerHost } from "./host";
import { instancePermissions, Isolation, takeName } from "./instances";
import { Recycling } from "./recycling";
import { RunnerArchitecture } from "./runner-architecture";

/** EC2 instances for runners that need what Fargate doesn't have. */
export interface Ec2CapacityProps {
  /** The deployment that the instances belong to. */
  readonly runners: RunnerHost;
  /**
   * What the capacity provider is called after the prefix; unique in a deployment.
   * @default "docker"
   */
  readonly name?: string;
  /**
   * The processor.
   * @default "x64"
   */
  readonly architecture?: RunnerArchitecture;
  /**
   * The instances' type; runners with `isolation: "shared"` share one when they fit.
   * @default - m7i.xlarge, for arm64 m7g.xlarge (4 vCPU, 16 GiB)
   */
  readonly instanceType?: ec2.InstanceType;
  /**
   * How many instances there are at least, busy or not.
   * @default 0
   */
  readonly minInstances?: number;
  /**
   * How many instances there are at most; jobs beyond that wait.
   * @default 10
   */
  readonly maxInstances?: number;
  /**
   * Each instance's disk in GiB, shared by its runners.
   * @default 100
   */
  readonly diskGiB?: number;
}

/**
 * An Auto Scaling group that scales out with waiting runners, and in by instances without one.
 *
 * Where its runners have Docker inside (or `isolation: "instance"`), each instance is replaced after
 * its first job.
 */
export class Ec2Capacity extends Construct {
  /** For the `capacity` of runners. */
  readonly capacity: Capacity;
  /** The instances. */
  readonly autoScalingGroup: autoscaling.AutoScalingGroup;
  /** The processor. */
  readonly architecture: RunnerArchitecture;

  private readonly runners: RunnerHost;
  private readonly name: string;
  private isolation?: Isolation;

  constructor(scope: Construct, id: string, props: Ec2CapacityProps) {
    super(scope, id);
    const { runners } = props;
    this.runners = runners;
    const minInstances = props.minInstances ?? 0;
    const maxInstances = props.maxInstances ?? 10;
    if (!(minInstances >= 0 && minInstances <= maxInstances && maxInstances > 0)) {
      throw invalidProp("minInstances", minInstances, `0 to maxInstances (${maxInstances})`);
    }
    for (const [prop, value] of Object.entries({ minInstances, maxInstances })) {
      if (!Number.isInteger(value)) {
        throw invalidProp(prop, value, "a whole number");
      }
    }
    this.architecture = oneOf("architecture", props.architecture ?? "x64", ["x64", "arm64"]);
    const arm = this.architecture === "arm64";
    const name = takeName(runners, "Ec2Capacity", props.name ?? "docker");
    this.name = name;
    checkCapacity(props, arm);
    const role = runners.roles.service(
      this,
      "Role",
      "ec2.amazonaws.com",
      "Registers an instance with the cluster and runs its tasks",
    );
    give(role, instancePermissions(runners.names));
    const { network } = runners;
    const template = new ec2.LaunchTemplate(this, "LaunchTemplate", {
      machineImage: ecs.EcsOptimizedImage.amazonLinux2023(
        arm ? ecs.AmiHardwareType.ARM : ecs.AmiHardwareType.STANDARD,
      ),
      instanceType: props.instanceType ?? new ec2.InstanceType(arm ? "m7g.xlarge" : "m7i.xlarge"),
      securityGroup: network.securityGroups[0],
      associatePublicIpAddress: network.assignPublicIp ? true : undefined,
      // Its permissions are below; the toolkit would allow it to write every log of the account.
      role: role.withoutPolicyUpdates(),
      userData: ec2.UserData.forLinux(),
      requireImdsv2: true,
      // One hop: a container on the bridge is two away, so no job gets the instance's credentials.
      httpPutResponseHopLimit: 1,
      blockDevices: [
        {
          deviceName: "/dev/xvda",
          volume: ec2.BlockDeviceVolume.ebs(props.diskGiB ?? 100, {
            volumeType: ec2.EbsDeviceVolumeType.GP3,
            encrypted: true,
          }),
        },
      ],
    });
    for (const group of network.securityGroups.slice(1)) {
      template.connections.addSecurityGroup(group);
    }
    this.autoScalingGroup = new autoscaling.AutoScalingGroup(this, "Instances", {
      vpc: network.vpc,
      vpcSubnets: { subnets: network.subnets },
      launchTemplate: template,
      minCapacity: minInstances,
      maxCapacity: maxInstances,
      groupMetrics: [autoscaling.GroupMetrics.all()],
      // ECS lifts the protection once an instance runs no task, so shrinking ends no job.
      newInstancesProtectedFromScaleIn: true,
    });
    this.autoScalingGroup.addUserData(
      // A stopped task's disk is freed after three hours by default.
      "echo ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=5m >> /etc/ecs/ecs.config",
    );
    const provider = new ecs.AsgCapacityProvider(this, "Provider", {
      // The name may not begin with `fargate`, as our default prefix does.
      capacityProviderName: `ec2-${runners.names.prefix}-${name}`,
      autoScalingGroup: this.autoScalingGroup,
      enableManagedScaling: true,
      enableManagedTerminationProtection: true,
    });
    runners.cluster.addAsgCapacityProvider(provider, { machineImageType: undefined });
    this.capacity = Capacity.of(provider.capacityProviderName);
    Tags.of(this).add(DEPLOYMENT_TAG, runners.names.deployment);
    acknowledge(this, {
      "AwsSolutions-AS3": "Instances scale with the jobs; a notification for each would be noise.",
    });
  }

  /**
   * Says how jobs share the instances, which is the same for all runners of a capacity: a job of the
   * one kind would run beside those of the other.
   */
  isolate(isolation: Isolation): void {
    if (this.isolation !== undefined && this.isolation !== isolation) {
      const allowed = `"${this.isolation}", as the other runners of this capacity have; or an Ec2Capacity of its own`;
      throw invalidProp("isolation", isolation, allowed);
    }
    if (this.isolation === undefined && isolation === "instance") {
      new Recycling(this, "Recycling", {
        runners: this.runners,
        name: this.name,
        capacityProvider: this.capacity.toString(),
        autoScalingGroup: this.autoScalingGroup,
      });
    }
    this.isolation = isolation;
  }
}

/** The disk of the image that instances start from, in GiB: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-ami-storage-config.html */
const IMAGE_GIB = 30;

function checkCapacity(props: Ec2CapacityProps, arm: boolean): void {
  const { instanceType, diskGiB } = props;
  const wanted = arm ? ec2.InstanceArchitecture.ARM_64 : ec2.InstanceArchitecture.X86_64;
  if (
    instanceType !== undefined &&
    !Token.isUnresolved(instanceType.toString()) &&
    instanceType.architecture !== wanted
  ) {
    const other = arm ? "x64" : "arm64";
    const allowed = `a type with architecture ${wanted}, or architecture '${other}' beside it`;
    throw invalidProp("instanceType", instanceType.toString(), allowed);
  }
  if (diskGiB !== undefined && !(Number.isInteger(diskGiB) && diskGiB >= IMAGE_GIB)) {
    throw invalidProp("diskGiB", diskGiB, `a whole number from ${IMAGE_GIB} on, the image's size`);
  }
}
