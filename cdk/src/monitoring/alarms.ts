import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import * as sns from "aws-cdk-lib/aws-sns";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { Handler } from "../handlers/handler";
import { HANDLER_NAMES, HandlerName, handlerSpec } from "../handlers/record";
import { Names } from "../names";
import { Metrics } from "./metrics";

/** When somebody should look. */
export interface AlarmsOptions {
  /**
   * Where alarms are sent.
   * @default - nowhere: they show in the console and on the dashboard
   */
  readonly topic?: sns.ITopic;
  /**
   * How many refused or failed webhooks within five minutes are too many. Scanners find every
   * public address: a few refused requests mean nothing.
   * @default 10
   */
  readonly webhookErrors?: number;
  /**
   * How few GitHub calls may be left in the hour.
   * @default 500
   */
  readonly rateLimitRemaining?: number;
  /**
   * How old the runner's version may be, in days. GitHub stops giving jobs to versions that are
   * 30 days behind.
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
  /** The functions, some of which have alarms of their own. */
  readonly handlers: Readonly<Record<HandlerName, Handler>>;
}

/**
 * The alarms. They look at outcomes, not at how often a function failed on the way to one: a
 * throttled call that was made again is nobody's business.
 */
export class Alarms extends Construct {
  /** All of them, for a dashboard. */
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
      description: "An execution ended without its job served. Its cause says what to change.",
    });
    this.alarm("FirstFailedStarts", {
      metric: sum("FirstFailedStarts"),
      description:
        "A job's first runner did not come up; another one is tried. The first sign of a bad image, network or permission.",
    });
    this.alarm("Unmatched", {
      metric: sum("Unmatched"),
      description:
        "A job asks for labels that no task definition offers. Its execution names the nearest.",
    });
    this.alarm("JobsWaitingTooLong", {
      metric: metrics.of("JobsWaitingTooLong", cloudwatch.Stats.MAXIMUM),
      description: "A job has been queued for longer than the limit.",
    });
    this.alarm("DeadLetters", {
      metric: props.deadLetters.metricApproximateNumberOfMessagesVisible(),
      description: "An event could not be handled. The message says which; see the README.",
    });
    this.alarm("WebhookErrors", {
      metric: sum("WebhookErrors"),
      threshold: props.webhookErrors ?? 10,
      description: "Webhooks are refused: a wrong secret, or a body that can't be read.",
    });
    for (const name of HANDLER_NAMES) {
      for (const { id: alarmId, metric, ...options } of handlerSpec(name).alarms ?? []) {
        this.alarm(alarmId, { ...options, metric: metric(props.handlers[name].function) });
      }
    }
    this.alarm("RunnerVersionAge", {
      metric: metrics.of("RunnerVersionAgeDays", cloudwatch.Stats.MAXIMUM, {
        period: Duration.hours(1),
      }),
      threshold: props.runnerVersionAgeDays ?? 20,
      description:
        "The runner in the image is old; GitHub stops giving it jobs at 30 days behind. Rebuild the image.",
    });
    this.alarm("RateLimit", {
      metric: metrics.of("GitHubRateLimitRemaining", cloudwatch.Stats.MINIMUM),
      threshold: props.rateLimitRemaining ?? 500,
      comparison: cloudwatch.ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD,
      description: "Few GitHub calls are left in the hour; at none, jobs wait for the next one.",
    });
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
      // Nothing was emitted because nothing happened.
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
