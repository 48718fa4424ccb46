import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";

/** Namespace of the handlers' metrics. */
export const NAMESPACE = "FargateRunners";

const { COUNT, NONE, SECONDS } = cloudwatch.Unit;

/**
 * What the handlers emit, with the dimension that a metric has besides the deployment's id.
 * `crates/runtime/metrics.json` says what each one means; a test holds the two together.
 */
export const METRICS = {
  QueuedToStartedSeconds: { unit: SECONDS },
  Launches: { unit: COUNT },
  Outcomes: { unit: COUNT, dimension: "Outcome" },
  Relaunches: { unit: COUNT },
  Thefts: { unit: COUNT },
  Unmatched: { unit: COUNT },
  SurplusRunners: { unit: COUNT },
  GitHubRateLimitRemaining: { unit: COUNT },
  RunnerSeconds: { unit: SECONDS, dimension: "Repository" },
  EstimatedCost: { unit: NONE, dimension: "Repository" },
  FailedExecutions: { unit: COUNT },
  FirstFailedStarts: { unit: COUNT },
  JobsWaitingTooLong: { unit: COUNT },
  RunnerVersionAgeDays: { unit: NONE },
  ForeignDefinitions: { unit: COUNT },
  NewFamilies: { unit: COUNT },
  RunnersTakenByStrangers: { unit: COUNT },
  WebhooksTaken: { unit: COUNT },
  WebhooksUnsigned: { unit: COUNT },
  WebhooksUnusable: { unit: COUNT },
  KeptEvents: { unit: COUNT },
  JobsNotServed: { unit: COUNT, dimension: "Reason" },
  StockWanted: { unit: COUNT, dimension: "Family" },
  StockReady: { unit: COUNT, dimension: "Family" },
  StockStarting: { unit: COUNT, dimension: "Family" },
  StockOldestSeconds: { unit: SECONDS, dimension: "Family" },
  StockPaused: { unit: COUNT, dimension: "Family" },
  WarmStarts: { unit: COUNT, dimension: "Family" },
  WarmMisses: { unit: COUNT, dimension: "Family" },
  WarmTasksLost: { unit: COUNT, dimension: "Family" },
  SlotsTaken: { unit: COUNT },
  SlotsAwaited: { unit: COUNT },
  StartSeconds: { unit: SECONDS, dimension: "Start" },
} as const satisfies Record<string, { unit: cloudwatch.Unit; dimension?: string }>;

/** Name of a metric that the handlers emit. */
export type MetricName = keyof typeof METRICS;

/** Names of the metrics that have one series for each value of a dimension. */
export type SplitMetricName = {
  [Name in MetricName]: (typeof METRICS)[Name] extends { dimension: string } ? Name : never;
}[MetricName];

/** The metrics of one deployment. */
export class Metrics {
  constructor(private readonly deployment: string) {}

  /** A metric that isn't split. */
  of(
    metricName: Exclude<MetricName, SplitMetricName>,
    statistic: string,
    options: cloudwatch.MetricOptions = {},
  ): cloudwatch.Metric {
    return new cloudwatch.Metric({
      namespace: NAMESPACE,
      metricName,
      dimensionsMap: { Deployment: this.deployment },
      statistic,
      ...options,
    });
  }

  /** One series of a metric that is split. */
  one(
    metricName: SplitMetricName,
    value: string,
    statistic: string,
    options: cloudwatch.MetricOptions = {},
  ): cloudwatch.Metric {
    return new cloudwatch.Metric({
      namespace: NAMESPACE,
      metricName,
      dimensionsMap: { Deployment: this.deployment, [METRICS[metricName].dimension]: value },
      statistic,
      ...options,
    });
  }

  /** All series of a metric that is split, each named after its dimension's value. */
  split(
    metricName: SplitMetricName,
    statistic: string,
    options: cloudwatch.MathExpressionOptions = {},
  ): cloudwatch.IMetric {
    const { dimension } = METRICS[metricName];
    const search = `{${NAMESPACE},Deployment,${dimension}} MetricName="${metricName}" Deployment="${this.deployment}"`;
    return new cloudwatch.MathExpression({
      expression: `SEARCH('${search}', '${statistic}')`,
      usingMetrics: {},
      label: `\${PROP('Dim.${dimension}')}`,
      ...options,
    });
  }
}
