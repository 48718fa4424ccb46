import * as ecs from "aws-cdk-lib/aws-ecs";
import * as iam from "aws-cdk-lib/aws-iam";
import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { checkFargateSize } from "./fargate-size";
import { addContainers, cpuArchitecture, offer, resolveRunner, RunnerProps } from "./runner";
import { RunnerRoles } from "./runner-roles";
import { ubuntuImage } from "./ubuntu-image";

/** A runner on Fargate. */
export interface FargateRunnerProps extends RunnerProps {
  /**
   * CPU units; 1024 is one vCPU.
   * @default 2048
   */
  readonly cpu?: number;
  /**
   * Memory in MiB; which values go with which `cpu` is Fargate's table.
   * @default 4096
   */
  readonly memoryMiB?: number;
  /**
   * Disk in GiB, 21 to 200.
   * @default - the 20 GiB that Fargate gives without charge
   */
  readonly ephemeralStorageGiB?: number;
}

/** A task definition for runners on Fargate: an Ubuntu one unless told otherwise. */
export class FargateRunner extends Construct implements iam.IGrantable {
  /** What jobs run under: grant it what jobs need. */
  readonly grantPrincipal: iam.IPrincipal;
  /** The task definition. */
  readonly taskDefinition: ecs.FargateTaskDefinition;
  /** The container that the agent runs in. */
  readonly container: ecs.ContainerDefinition;
  /** Output of the agent and the listener. */
  readonly logGroup: logs.LogGroup;

  constructor(scope: Construct, id: string, props: FargateRunnerProps) {
    super(scope, id);
    const resolved = resolveRunner(props);
    const cpu = props.cpu ?? 2048;
    const memoryMiB = props.memoryMiB ?? 4096;
    checkFargateSize({ cpu, memoryMiB, ephemeralStorageGiB: props.ephemeralStorageGiB });

    const roles = new RunnerRoles(this, "Roles", props.runners, props.taskRole);
    this.grantPrincipal = roles.taskRole.grantPrincipal;
    this.logGroup = props.runners.newLogGroup(this, "Log", `/ecs/${resolved.family}`);
    this.taskDefinition = new ecs.FargateTaskDefinition(this, "TaskDefinition", {
      family: resolved.family,
      cpu,
      memoryLimitMiB: memoryMiB,
      ephemeralStorageGiB: props.ephemeralStorageGiB,
      runtimePlatform: {
        cpuArchitecture: cpuArchitecture(resolved.architecture),
        operatingSystemFamily: ecs.OperatingSystemFamily.LINUX,
      },
      executionRole: roles.executionRole,
      taskRole: roles.taskRole,
    });
    this.container = addContainers(this.taskDefinition, props, {
      image: props.image ?? ubuntuImage(resolved.architecture),
      logGroup: this.logGroup,
    });
    offer(this.taskDefinition, props, resolved);
  }
}
