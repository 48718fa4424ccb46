import { Annotations, Tags } from "aws-cdk-lib";
import * as ecs from "aws-cdk-lib/aws-ecs";
import { Construct } from "constructs";
import { costOf } from "../warm/cost";
import { poolOf, WARM_TAG, warmTag } from "../warm/pool";
import { WarmProps } from "../warm/warm-props";
import { warmWarnings } from "../warm/warnings";
import { Capacity, checkFargateCapacity } from "./capacity";
import { checkFargateLimits, checkFargateSize, FREE_GIB, LIMIT_TAGS } from "./fargate-size";
import { RERUN_TAG } from "./rerun";
import { Runner, RunnerProps } from "./runner";
import { changed } from "./runner-roles";

/** A runner on Fargate. */
export interface FargateRunnerProps extends RunnerProps {
  /**
   * Disk in GiB, 20 to 200. The first 20 are free of charge.
   * @default 20
   */
  readonly ephemeralStorageGiB?: number;
  /**
   * The most vCPUs that a job may ask for by a label such as `cpu-4`.
   * @default - the runner's own
   */
  readonly maxCpu?: number;
  /**
   * The most memory in GiB that a job may ask for by a label such as `ram-16`.
   * @default - the runner's own
   */
  readonly maxMemory?: number;
  /**
   * The most disk in GiB that a job may ask for by a label such as `disk-100`.
   * @default - the runner's own
   */
  readonly maxDisk?: number;
  /**
   * Fargate on demand, Spot, or Spot with on demand where there is none.
   * @default - the deployment's default
   */
  readonly capacity?: Capacity;
  /**
   * Tasks that have started before their job comes, so that it begins within seconds.
   * @default - none: each job starts its task
   */
  readonly warm?: WarmProps;
  /**
   * Whether a job is run again, at most twice and then on demand, if Spot or the platform takes it away
   * while it runs. The App needs `actions: write`.
   * @default false
   */
  readonly rerunAfterInterruption?: boolean;
}

/** A task definition for runners on Fargate: an Ubuntu one unless told otherwise. */
export class FargateRunner extends Runner {
  constructor(scope: Construct, id: string, props: FargateRunnerProps) {
    checkFargateCapacity("capacity", props.capacity);
    super(scope, id, props, {
      capacity: props.capacity,
      taskDefinition: (self, basics) => {
        const { ephemeralStorageGiB } = props;
        checkFargateSize({ ...basics, ephemeralStorageGiB });
        checkFargateLimits(props, { ...basics, ephemeralStorageGiB });
        return new ecs.FargateTaskDefinition(self, "TaskDefinition", {
          ...basics,
          memoryLimitMiB: basics.memoryMiB,
          // What every task has can't be asked for.
          ephemeralStorageGiB: ephemeralStorageGiB === FREE_GIB ? undefined : ephemeralStorageGiB,
        });
      },
    });
    for (const [prop, tag] of Object.entries(LIMIT_TAGS)) {
      const limit = props[prop as keyof typeof LIMIT_TAGS];
      if (limit !== undefined) {
        Tags.of(this.taskDefinition).add(tag, String(limit), {
          includeResourceTypes: ["AWS::ECS::TaskDefinition"],
        });
      }
    }
    if (props.rerunAfterInterruption === true) {
      Tags.of(this.taskDefinition).add(RERUN_TAG, "true", {
        includeResourceTypes: ["AWS::ECS::TaskDefinition"],
      });
      props.runners.addReruns();
    }
    if (props.warm !== undefined) {
      this.addWarmTasks(props, props.warm);
    }
  }

  private addWarmTasks(props: FargateRunnerProps, warm: WarmProps): void {
    const { runners } = props;
    const { family, taskRole } = this.taskDefinition;
    const pool = {
      ...poolOf("warm", family, warm, props.capacity ?? runners.capacity),
      ...(props.shell === true && { shell: true }),
    };
    Tags.of(this.taskDefinition).add(WARM_TAG, warmTag(pool), {
      includeResourceTypes: ["AWS::ECS::TaskDefinition"],
    });
    runners.addWarmTasks({ pool, taskRole, ownTaskRole: props.taskRole !== undefined });
    const annotations = Annotations.of(this);
    const { cpu, memoryMiB } = this.taskDefinition as ecs.FargateTaskDefinition;
    const cost = costOf(pool, {
      cpu,
      memoryMiB,
      ephemeralStorageGiB: props.ephemeralStorageGiB,
      architecture: props.architecture ?? "x64",
      publicAddress: runners.network.assignPublicIp,
    });
    annotations.addInfoV2("fargate-runners:warm-cost", cost);
    const facts = { ownImage: props.image !== undefined, changeableRole: changed(taskRole) };
    for (const { id, message } of warmWarnings(pool, facts, runners.names)) {
      annotations.addWarningV2(`fargate-runners:${id}`, message);
    }
  }
}
