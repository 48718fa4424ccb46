import * as ecs from "aws-cdk-lib/aws-ecs";
import * as iam from "aws-cdk-lib/aws-iam";
import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { Names } from "../names";
import { Permission } from "../permission";
import { RunnerNetwork } from "../network/runner-network";
import { Roles } from "../roles";

/** What a runner takes from the deployment it belongs to. */
export interface RunnerHost {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** The cluster that the tasks run in. */
  readonly cluster: ecs.Cluster;
  /** Where the runners are. */
  readonly network: RunnerNetwork;
  /** Makes the tasks' roles. */
  readonly roles: Roles;
  /** Log group of all runners. */
  readonly runnerLog: logs.ILogGroup;
  /** What the agent in the container may call. */
  agentPermissions(): Permission[];
  /** Notes what a runner offers and warns where jobs can't reach it or another. */
  addOffer(offer: Offer): void;
  /** Lets the state machine start tasks under a role that isn't one of ours. */
  allowPassing(role: iam.IRole): void;
}

/** A task definition as `match` will see it. */
export interface Offer {
  /** The construct, for warnings. */
  readonly construct: Construct;
  /** Family of the task definition. */
  readonly family: string;
  /** Labels that it offers. */
  readonly labels: readonly string[];
  /**
   * Whose jobs may use it.
   * @default - all that the deployment serves
   */
  readonly repositories?: readonly string[];
  /**
   * The runner group of its runners.
   * @default - the deployment's
   */
  readonly runnerGroup?: string;
  /** Whether its jobs run under a role that somebody brought. */
  readonly ownTaskRole: boolean;
}
