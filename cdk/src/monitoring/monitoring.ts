import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import * as sfn from "aws-cdk-lib/aws-stepfunctions";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { DeployedHandlers } from "../handlers/record";
import { Names } from "../names";
import { Alarms, AlarmsOptions } from "./alarms";
import { Dashboard } from "./dashboard";
import { Metrics } from "./metrics";
import { SavedQueries } from "./saved-queries";

/** Which alarms, dashboard and queries a deployment has. */
export interface MonitoringOptions {
  /**
   * The alarms' topic and thresholds, or false for none: thirteen alarms cost about 1.40 USD a month.
   * @default - all alarms, without a topic
   */
  readonly alarms?: AlarmsOptions | false;
  /**
   * How long a job may be queued before it counts as waiting too long.
   * @default Duration.minutes(15)
   */
  readonly waitingLimit?: Duration;
  /**
   * Whether there is a dashboard; beyond an account's first three it costs 3 USD a month.
   * @default true
   */
  readonly dashboard?: boolean;
  /**
   * Whether Logs Insights gets queries.
   * @default true
   */
  readonly savedQueries?: boolean;
}

/** What monitoring is made from. */
export interface MonitoringProps extends MonitoringOptions {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** The machine whose executions are the jobs. */
  readonly stateMachine: sfn.IStateMachine;
  /** The functions. */
  readonly handlers: DeployedHandlers;
  /** Webhooks that were answered with a 5xx. */
  readonly webhookServerErrors: cloudwatch.IMetric;
  /** Queue of events whose execution could not be started yet. */
  readonly overflow: sqs.IQueue;
  /** Events that failed permanently. */
  readonly deadLetters: sqs.IQueue;
}

/** Alarms, dashboard and saved queries of a deployment. */
export class Monitoring extends Construct {
  /** The alarms, unless switched off. */
  readonly alarms?: Alarms;
  /** The dashboard, unless switched off. */
  readonly dashboard?: Dashboard;

  private readonly savedQueries?: SavedQueries;

  constructor(scope: Construct, id: string, props: MonitoringProps) {
    super(scope, id);
    const { names, handlers, deadLetters, overflow, stateMachine } = props;
    const metrics = new Metrics(names.deployment);
    if (props.alarms !== false) {
      this.alarms = new Alarms(this, "Alarms", {
        ...props.alarms,
        names,
        metrics,
        deadLetters,
        webhookServerErrors: props.webhookServerErrors,
        handlers,
      });
    }
    if (props.dashboard ?? true) {
      this.dashboard = new Dashboard(this, "Dashboard", {
        names,
        metrics,
        alarms: this.alarms?.all ?? [],
        stateMachine,
        verify: handlers.verify.function,
        overflow,
        deadLetters,
      });
    }
    if (props.savedQueries ?? true) {
      this.savedQueries = new SavedQueries(this, "SavedQueries", {
        names,
        handlers,
      });
    }
  }

  /** Watches the stock of one more family. */
  addPool(family: string): void {
    this.alarms?.addPool(family);
  }

  /** Watches the machine that replaces a capacity's instances. */
  addRecycling(capacity: string, machine: sfn.IStateMachine): void {
    this.alarms?.addRecycling(capacity, machine);
  }

  /** Shows the slots of caps too. */
  addCaps(): void {
    this.dashboard?.addCaps();
  }

  /** Watches warm tasks too. */
  addWarmTasks(handlers: DeployedHandlers): void {
    this.alarms?.addWarmTasks(handlers);
    this.dashboard?.addWarmTasks();
    this.savedQueries?.read(handlers);
  }
}
