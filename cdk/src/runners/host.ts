import * as ecs from "aws-cdk-lib/aws-ecs";
import * as iam from "aws-cdk-lib/aws-iam";
import * as logs from "aws-cdk-lib/aws-logs";
import * as sfn from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import { Names } from "../names";
import { RunnerNetwork } from "../network/runner-network";
import { Roles } from "../roles";
import { Pool } from "../warm/pool";
import { Capacity } from "./capacity";

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
  /** Capacity of runners that name none. */
  readonly capacity: Capacity;
  /** Variables of every runner's container: the proxy and the certificate authorities. */
  readonly runnerEnvironment: Readonly<Record<string, string>>;
  /**
   * Gives the role of a runner's tasks what the agent needs.
   *
   * @param own whether somebody brought it, so that the state machine must be allowed to pass it
   */
  addTaskRole(role: iam.IRole, own: boolean): void;
  /** Notes what a runner offers and warns where jobs can't reach it or another. */
  addOffer(offer: Offer): void;
  /** Keeps warm tasks of a runner ready. */
  addWarmTasks(warm: WarmRunner): void;
  /** Notes jobs that are interrupted, and runs them again. */
  addReruns(): void;
  /** Watches the machine that replaces a capacity's instances after their job. */
  addRecycling(capacity: string, machine: sfn.IStateMachine): void;
}

/** A runner with warm tasks. */
export interface WarmRunner {
  /** What its keeper has to know. */
  readonly pool: Pool;
  /** The role that its tasks run under. */
  readonly taskRole: iam.IRole;
  /** Whether somebody brought it. */
  readonly ownTaskRole: boolean;
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
  /**
   * How many of its runners may run at once.
   * @default - as many as there are jobs
   */
  readonly maxRunning?: number;
}
