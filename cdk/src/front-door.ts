import { Annotations, Duration, Stack, Token } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { SqsEventSource } from "aws-cdk-lib/aws-lambda-event-sources";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { HANDLERS } from "./handlers/record";
import { invalidProp } from "./invalid-prop";
import { WebhookApi } from "./webhook-api";

/**
 * Regions where Lambda has no function URLs, as AWS lists them (2026-11-27):
 * https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html
 */
const REGIONS_WITHOUT_FUNCTION_URLS: readonly string[] = [
  "ap-east-2",
  "ap-south-2",
  "ap-southeast-4",
  "ap-southeast-5",
  "ap-southeast-6",
  "ap-southeast-7",
  "ca-west-1",
  "eu-central-2",
  "eu-south-2",
  "il-central-1",
  "me-central-1",
];

/** What the front door needs. */
export interface FrontDoorProps {
  /** What the address belongs to. */
  readonly kind: "function-url" | "http-api";
  /** Requests a second that the HTTP API lets through. */
  readonly requestsPerSecond?: number;
  /** The function that GitHub's webhooks reach. */
  readonly verify: lambda.Function;
  /** Queue of events that failed permanently. */
  readonly deadLetters: sqs.IQueue;
}

/**
 * Public address of the webhook, and the queue of events whose execution could not be started yet.
 *
 * GitHub does not retry a failed delivery. When StartExecution is throttled, `verify` queues the checked
 * event and starts it later, as fast as StartExecution grants.
 */
export class FrontDoor extends Construct {
  /** The address; every request's signature is checked before its body is looked at. */
  readonly url: string;
  /** Requests that were answered with a 5xx. */
  readonly serverErrors: cloudwatch.IMetric;
  /** Queue of events whose execution could not be started yet. */
  readonly overflow: sqs.Queue;

  constructor(scope: Construct, id: string, props: FrontDoorProps) {
    super(scope, id);
    const { verify } = props;
    if (props.kind === "http-api") {
      const api = new WebhookApi(this, "Api", {
        verify,
        requestsPerSecond: props.requestsPerSecond,
      });
      this.url = api.url;
      this.serverErrors = api.serverErrors;
    } else {
      if (props.requestsPerSecond !== undefined) {
        const needed = "nothing, unless frontDoor is 'http-api': a function URL has no such limit";
        throw invalidProp("requestsPerSecond", props.requestsPerSecond, needed);
      }
      this.warnOfRegion();
      // GitHub can't sign for IAM: the HMAC over the body is the authentication.
      this.url = verify.addFunctionUrl({ authType: lambda.FunctionUrlAuthType.NONE }).url;
      this.serverErrors = new cloudwatch.Metric({
        namespace: "AWS/Lambda",
        metricName: "Url5xxCount",
        dimensionsMap: { FunctionName: verify.functionName },
        statistic: cloudwatch.Stats.SUM,
      });
    }
    this.overflow = new sqs.Queue(this, "Overflow", {
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      visibilityTimeout: Duration.seconds(6 * HANDLERS.verify.timeout.toSeconds()),
      retentionPeriod: Duration.days(1),
      // `verify` delays a job that waits for StartExecution by up to a quarter of an hour: it is received
      // 140 times a day at most. What cannot be read comes back after five seconds.
      deadLetterQueue: { queue: props.deadLetters, maxReceiveCount: 150 },
    });
    this.overflow.grantSendMessages(props.verify);
    props.verify.addEnvironment("OVERFLOW_QUEUE_URL", this.overflow.queueUrl);
    props.verify.addEventSource(
      new SqsEventSource(this.overflow, {
        // The most without a wait for a batch to fill, and the most whose visibility one call changes.
        batchSize: 10,
        // The lowest that Lambda accepts: few readers find the pace that Step Functions grants sooner. Two
        // start more than 150 jobs a second, which is what it grants by default.
        maxConcurrency: 2,
        // `verify` reports each message that failed; without this Lambda would delete it.
        reportBatchItemFailures: true,
      }),
    );
  }

  private warnOfRegion(): void {
    const { region } = Stack.of(this);
    // A warning, not an error: AWS adds regions before this list does.
    if (!Token.isUnresolved(region) && REGIONS_WITHOUT_FUNCTION_URLS.includes(region)) {
      Annotations.of(this).addWarningV2(
        "fargate-runners:no-function-url",
        `AWS lists no Lambda function URLs in ${region}, so the deployment is likely to fail. Set ` +
          `frontDoor to 'http-api', or deploy to another region: GitHub does not care which.`,
      );
    }
  }
}
