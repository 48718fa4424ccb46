import * as ecs from "aws-cdk-lib/aws-ecs";
import { Construct } from "constructs";
import { Capacity } from "./capacity";
import { checkFargateSize } from "./fargate-size";
import { Runner, RunnerProps } from "./runner";

/** A runner on Fargate. */
export interface FargateRunnerProps extends RunnerProps {
  /**
   * Disk in GiB, 21 to 200.
   * @default - the 20 GiB that Fargate gives without charge
   */
  readonly ephemeralStorageGiB?: number;
  /**
   * Fargate on demand, Spot, or Spot with on demand where there is none.
   * @default - the deployment's default
   */
  readonly capacity?: Capacity;
}

/** A task definition for runners on Fargate: an Ubuntu one unless told otherwise. */
export class FargateRunner extends Runner {
  constructor(scope: Construct, id: string, props: FargateRunnerProps) {
    super(scope, id, props, {
      capacity: props.capacity,
      taskDefinition: (self, basics) => {
        const { ephemeralStorageGiB } = props;
        checkFargateSize({ ...basics, ephemeralStorageGiB });
        return new ecs.FargateTaskDefinition(self, "TaskDefinition", {
          ...basics,
          memoryLimitMiB: basics.memoryMiB,
          ephemeralStorageGiB,
        });
      },
    });
  }
}
