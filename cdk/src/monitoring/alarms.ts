import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import * as sns from "aws-cdk-lib/aws-sns";
import * as sqs from "aws-cdk-lib/aws-sqs";
import * as sfn from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import {
  DeployedHandlers,
  HANDLER_NAMES,
  HandlerName,
  handlerSpec,
  STANDING_HANDLERS,
} from "../handlers/record";
import { Names } from "../names";
import { Metrics } from "./metrics";

/** Thresholds of the alarms, and the topic that they notify. */
export interface AlarmsOptions {
  /**
   * Topic that alarms notify.
   * @default - none: alarms show in the console and on the dashboard
   */
  readonly topic?: sns.ITopic;
  /**
   * Number of GitHub's webhooks in five minutes that could not be used, from which the alarm rings.
   * @default 1
   */
  readonly webhooksUnusable?: number;
  /**
   * Number of unsigned requests in a quarter of an hour without a webhook taken, from which the alarm
   * rings: a secret that differs. Beside webhooks they mean nothing, since anybody can send them.
   * @default 10
   */
  readonly webhooksUnsigned?: number;
  /**
   * Number of GitHub calls left in the hour at or below which the alarm rings.
   * @default 500
   */
  readonly rateLimitRemaining?: number;
  /**
   * Age of the runner's version, in days, from which the alarm rings. GitHub assigns no jobs to
   * versions that are 30 days behind.
   * @default 20
   */
  readonly runnerVersionAgeDays?: number;
}

/** What the alarms watch. */
export interface AlarmsProps extends AlarmsOptions {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** What the handlers measure. */
  readonly metrics: Metrics;
  /** Events that nobody could handle. */
  readonly deadLetters: sqs.IQueue;
  /** Webhooks that were answered with a 5xx. */
  readonly webhookServerErrors: cloudwatch.IMetric;
  /** The functions, some of which have alarms of their own. */
  readonly handlers: DeployedHandlers;
}

/**
 * Alarms on outcomes, not on failed invocations: a throttled call that a retry repaired needs no
 * attention.
 */
export class Alarms extends Construct {
  /** All alarms, for a dashboard. */
  readonly all: cloudwatch.Alarm[] = [];

  constructor(
    scope: Construct,
    id: string,
    private readonly props: AlarmsProps,
  ) {
    super(scope, id);
    const { metrics } = props;
    const sum = (name: Parameters<Metrics["of"]>[0]) => metrics.of(name, cloudwatch.Stats.SUM);

    this.alarm("FailedExecutions", {
      metric: sum("FailedExecutions"),
      description:
        "An execution failed, and its job was not served. The execution's cause says what to change.",
    });
    this.alarm("FirstFailedStarts", {
      metric: sum("FirstFailedStarts"),
      description:
        "A job's first runner did not start; a retry is under way. Check the task's stoppedReason: image, network or permission.",
    });
    this.alarm("Unmatched", {
      metric: sum("Unmatched"),
      description:
        "No task definition offers the labels that a job asks for. The execution's cause lists the nearest offers.",
    });
    this.alarm("JobsWaitingTooLong", {
      metric: metrics.of("JobsWaitingTooLong", cloudwatch.Stats.MAXIMUM),
      description:
        "A job has been queued for longer than waitingLimit. Check whether its execution waits for capacity or for GitHub.",
    });
    this.alarm("DeadLetters", {
      metric: props.deadLetters.metricApproximateNumberOfMessagesVisible(),
      description:
        "An event failed permanently and is in the dead-letter queue. Read the message, fix the cause, then purge the queue.",
    });
    this.alarm("WebhooksUnusable", {
      metric: sum("WebhooksUnusable"),
      threshold: props.webhooksUnusable ?? 1,
      description:
        "Webhooks that GitHub signed can't be read, or start no execution. Read the log of verify.",
    });
    const period = Duration.minutes(15);
    this.alarm("WebhooksUnsigned", {
      metric: new cloudwatch.MathExpression({
        // Anybody can send unsigned requests, so they count only while nothing arrives well. `verify`
        // emits a zero of the one with each of the other: where either has no value, the expression has
        // none, and before the first webhook that would hide a secret that was wrong from the start.
        expression: "IF(taken == 0, unsigned, 0)",
        usingMetrics: {
          unsigned: metrics.of("WebhooksUnsigned", cloudwatch.Stats.SUM, { period }),
          taken: metrics.of("WebhooksTaken", cloudwatch.Stats.SUM, { period }),
        },
        label: "Unsigned requests, no webhook taken",
        period,
      }),
      threshold: props.webhooksUnsigned ?? 10,
      description:
        "Requests arrive, but no webhook of GitHub's: its secret differs from that in Parameter Store (run fargate-runners setup --configure-webhook), or allowedSources lacks its addresses (deploy again).",
    });
    this.alarm("RunnersTakenByStrangers", {
      metric: sum("RunnersTakenByStrangers"),
      description:
        "A runner runs a job of a repository that this deployment does not serve. The log of verify names it; narrow the runner group.",
    });
    this.alarm("WebhookDown", {
      metric: props.webhookServerErrors,
      description:
        "The webhook answered GitHub with a 5xx, and GitHub does not retry a delivery. Read the log of verify; the sweep asks GitHub for redelivery.",
    });
    this.watch(STANDING_HANDLERS, props.handlers);
    this.alarm("RunnerVersionAge", {
      metric: metrics.of("RunnerVersionAgeDays", cloudwatch.Stats.MAXIMUM, {
        period: Duration.hours(1),
      }),
      threshold: props.runnerVersionAgeDays ?? 20,
      description:
        "The runner in an image is old; GitHub assigns no jobs to a version that is 30 days behind. Rebuild the image.",
    });
    this.alarm("RateLimit", {
      metric: metrics.of("GitHubRateLimitRemaining", cloudwatch.Stats.MINIMUM),
      threshold: props.rateLimitRemaining ?? 500,
      comparison: cloudwatch.ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD,
      description:
        "Few GitHub API calls are left in this hour; when none is left, jobs wait for the next hour.",
    });
  }

  /** Watches the functions of warm tasks. */
  addWarmTasks(handlers: DeployedHandlers): void {
    this.watch(
      HANDLER_NAMES.filter((name) => handlerSpec(name).onlyWithWarmTasks),
      handlers,
    );
  }

  /** Watches the stock of a family. */
  addPool(family: string): void {
    const period = Duration.minutes(15);
    const of = (name: "StockWanted" | "StockReady", statistic: string) =>
      this.props.metrics.one(name, family, statistic, { period });
    const name = family.slice(this.props.names.familyPrefix.length);
    this.alarm(`StockEmpty-${name}`, {
      metric: new cloudwatch.MathExpression({
        // Wanted all the time, and ready at none.
        expression: "IF(wanted >= 1 AND ready < 1, 1, 0)",
        usingMetrics: {
          wanted: of("StockWanted", cloudwatch.Stats.MINIMUM),
          ready: of("StockReady", cloudwatch.Stats.MAXIMUM),
        },
        label: "Warm tasks wanted, none ready",
        period,
      }),
      description:
        "For a quarter of an hour no warm task was ready, so jobs start cold. StockPaused 1: tasks do not start, the log of stock says why. Otherwise raise size.",
    });
  }

  /** Watches the machine that replaces a capacity's instances. */
  addRecycling(capacity: string, machine: sfn.IStateMachine): void {
    this.alarm(`InstanceNotReplaced-${capacity}`, {
      metric: machine.metricFailed({ period: Duration.minutes(15) }),
      description:
        "An instance could not be replaced after its job. It runs no other, but it costs. Read the failed execution of the machine that recycles instances.",
    });
  }

  /** The alarms that functions have of their own. */
  private watch(names: readonly HandlerName[], handlers: DeployedHandlers): void {
    for (const name of names) {
      for (const { id, metric, ...options } of handlerSpec(name).alarms ?? []) {
        this.alarm(id, { ...options, metric: metric(handlers[name]!.function) });
      }
    }
  }

  private alarm(
    id: string,
    options: {
      metric: cloudwatch.IMetric;
      description: string;
      threshold?: number;
      comparison?: cloudwatch.ComparisonOperator;
    },
  ): void {
    const alarm = new cloudwatch.Alarm(this, id, {
      alarmName: `${this.props.names.prefix}-${kebab(id)}`,
      alarmDescription: options.description,
      metric: options.metric,
      threshold: options.threshold ?? 1,
      comparisonOperator:
        options.comparison ?? cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      evaluationPeriods: 1,
      // No data means that nothing happened.
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    if (this.props.topic !== undefined) {
      alarm.addAlarmAction(new SnsAction(this.props.topic));
      alarm.addOkAction(new SnsAction(this.props.topic));
    }
    this.all.push(alarm);
  }
}

function kebab(id: string): string {
  return id.replace(/([a-z])([A-Z])/g, "$1-$2").toLowerCase();
}
