import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as sfn from "aws-cdk-lib/aws-stepfunctions";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { Names } from "../names";
import { Metrics, SplitMetricName } from "./metrics";

/** What the dashboard shows. */
export interface DashboardProps {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** What the handlers measure. */
  readonly metrics: Metrics;
  /** Alarms shown at the top. */
  readonly alarms: readonly cloudwatch.IAlarm[];
  /** The machine whose executions are the jobs. */
  readonly stateMachine: sfn.IStateMachine;
  /** The function that GitHub's webhooks reach. */
  readonly verify: lambda.IFunction;
  /** Queue of events whose execution could not be started yet. */
  readonly overflow: sqs.IQueue;
  /** Events that failed permanently. */
  readonly deadLetters: sqs.IQueue;
}

const { AVERAGE, MAXIMUM, MINIMUM, SUM } = cloudwatch.Stats;

/** One page: alarms, waiting times, outcomes, cost and GitHub's limits. */
export class Dashboard extends Construct {
  /** The page. */
  readonly dashboard: cloudwatch.Dashboard;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: DashboardProps,
  ) {
    super(scope, id);
    const { metrics } = props;
    this.dashboard = new cloudwatch.Dashboard(this, "Dashboard", {
      dashboardName: props.names.prefix,
      defaultInterval: Duration.days(1),
    });
    if (props.alarms.length > 0) {
      this.dashboard.addWidgets(
        new cloudwatch.AlarmStatusWidget({
          title: "Alarms",
          // Not a copy: warm tasks bring more.
          alarms: props.alarms as cloudwatch.IAlarm[],
          width: 24,
          height: 3,
        }),
      );
    }
    const latency = (label: string, statistic: string) =>
      metrics.of("QueuedToStartedSeconds", statistic, { label });
    this.dashboard.addWidgets(
      graph("Queued to started (seconds)", [
        latency("median", cloudwatch.Stats.p(50)),
        latency("p90", cloudwatch.Stats.p(90)),
        latency("p99", cloudwatch.Stats.p(99)),
      ]),
      graph("Jobs", [
        props.stateMachine.metricStarted({ label: "Started" }),
        props.stateMachine.metricSucceeded({ label: "Succeeded" }),
        metrics.of("FailedExecutions", SUM, { label: "Failed" }),
        metrics.of("Unmatched", SUM, { label: "Unmatched" }),
        metrics.of("JobsWaitingTooLong", MAXIMUM, { label: "Waiting too long" }),
      ]),
    );
    this.dashboard.addWidgets(
      graph("Runners by outcome", [metrics.split("Outcomes", SUM)], { stacked: true }),
      graph("Runners", [
        metrics.of("Launches", SUM, { label: "Launched" }),
        metrics.of("Relaunches", SUM, { label: "Relaunched" }),
        metrics.of("FirstFailedStarts", SUM, { label: "First start failed" }),
        metrics.of("Thefts", SUM, { label: "Ran another job" }),
        metrics.of("SurplusRunners", SUM, { label: "Got no job" }),
      ]),
    );
    this.dashboard.addWidgets(
      graph("Estimated cost by repository (USD)", [metrics.split("EstimatedCost", SUM)], {
        stacked: true,
      }),
      graph("Runner time by repository (seconds)", [metrics.split("RunnerSeconds", SUM)], {
        stacked: true,
      }),
    );
    this.dashboard.addWidgets(
      graph("Webhooks", [
        metrics.of("WebhooksTaken", SUM, { label: "Taken" }),
        metrics.of("WebhooksUnusable", SUM, { label: "Signed, not usable or failed" }),
        metrics.of("WebhooksUnsigned", SUM, { label: "Not signed by GitHub" }),
        props.verify.metricThrottles({ label: "Throttled by Lambda" }),
        metrics.of("KeptEvents", SUM, { label: "Queued for retry" }),
        props.overflow.metricApproximateNumberOfMessagesVisible({ label: "In the queue" }),
        props.deadLetters.metricApproximateNumberOfMessagesVisible({ label: "Dead letters" }),
      ]),
      graph("Strangers", [
        metrics.of("RunnersTakenByStrangers", SUM, { label: "Runners taken" }),
        metrics.of("NewFamilies", SUM, { label: "New families" }),
        metrics.of("ForeignDefinitions", MAXIMUM, { label: "Definitions not offered" }),
      ]),
      graph("GitHub calls left in the hour", [
        metrics.of("GitHubRateLimitRemaining", MINIMUM, { label: "minimum" }),
        metrics.of("GitHubRateLimitRemaining", AVERAGE, { label: "average" }),
      ]),
      graph("Runner version (days old)", [
        metrics.of("RunnerVersionAgeDays", MAXIMUM, { label: "oldest" }),
      ]),
      graph("Jobs not served, by reason", [metrics.split("JobsNotServed", SUM)], {
        stacked: true,
      }),
    );
  }

  /** Shows the slots of caps too. */
  addCaps(): void {
    const { metrics } = this.props;
    this.dashboard.addWidgets(
      graph("Slots of caps", [
        metrics.of("SlotsTaken", MAXIMUM, { label: "Taken" }),
        metrics.of("SlotsAwaited", MAXIMUM, { label: "Jobs in line" }),
      ]),
    );
  }

  /** Shows the stock of warm tasks too. */
  addWarmTasks(): void {
    const { metrics } = this.props;
    const by = (name: SplitMetricName, statistic: string, what: string) =>
      metrics.split(name, statistic, { label: `\${PROP('Dim.Family')} ${what}` });
    this.dashboard.addWidgets(
      graph("Warm tasks", [
        by("StockWanted", MAXIMUM, "wanted"),
        by("StockReady", AVERAGE, "ready"),
        by("StockStarting", AVERAGE, "starting"),
      ]),
      graph("Jobs on warm tasks", [
        by("WarmStarts", SUM, "started warm"),
        by("WarmMisses", SUM, "found none"),
        by("WarmTasksLost", SUM, "lost"),
      ]),
    );
    const start = (label: string, statistic: string) =>
      metrics.split("StartSeconds", statistic, { label: `\${PROP('Dim.Start')} ${label}` });
    this.dashboard.addWidgets(
      graph("Queued to started, warm and cold (seconds)", [
        start("median", cloudwatch.Stats.p(50)),
        start("p95", cloudwatch.Stats.p(95)),
      ]),
      graph("Oldest warm task (seconds)", [metrics.split("StockOldestSeconds", MAXIMUM)]),
    );
    this.dashboard.addWidgets(
      graph("Warm tasks do not start (1: paused)", [metrics.split("StockPaused", MAXIMUM)]),
    );
  }
}

function graph(
  title: string,
  left: cloudwatch.IMetric[],
  options: Partial<cloudwatch.GraphWidgetProps> = {},
): cloudwatch.GraphWidget {
  return new cloudwatch.GraphWidget({
    title,
    left,
    width: 12,
    height: 6,
    leftYAxis: { min: 0, showUnits: false },
    ...options,
  });
}
