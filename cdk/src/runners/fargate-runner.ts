import { Annotations, Tags } from "aws-cdk-lib";
import * as ecs from "aws-cdk-lib/aws-ecs";
import { Construct } from "constructs";
import { costOf } from "../warm/cost";
import { poolOf, WARM_TAG, warmTag } from "../warm/pool";
import { WarmProps } from "../warm/warm-props";
import { warmWarnings } from "../warm/warnings";
import { Capacity, checkFargateCapacity } from "./capacity";
import { checkFargateSize, FREE_GIB } from "./fargate-size";
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
   * Fargate on demand, Spot, or Spot with on demand where there is none.
   * @default - the deployment's default
   */
  readonly capacity?: Capacity;
  /**
   * Tasks that have started before their job comes, so that it begins within seconds.
   * @default - none: each job starts its task
   */
  readonly warm?: WarmProps;
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
        return new ecs.FargateTaskDefinition(self, "TaskDefinition", {
          ...basics,
          memoryLimitMiB: basics.memoryMiB,
          // What every task has can't be asked for.
          ephemeralStorageGiB: ephemeralStorageGiB === FREE_GIB ? undefined : ephemeralStorageGiB,
        });
      },
    });
    if (props.warm !== undefined) {
      this.addWarmTasks(props, props.warm);
    }
  }

  private addWarmTasks(props: FargateRunnerProps, warm: WarmProps): void {
    const { runners } = props;
    const { family, taskRole } = this.taskDefinition;
    const pool = poolOf("warm", family, warm, props.capacity ?? runners.capacity);
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
