import * as apigateway from "aws-cdk-lib/aws-apigatewayv2";
import { HttpLambdaIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import { acknowledge } from "./acknowledge";
import { invalidProp } from "./invalid-prop";

/** What the HTTP API needs. */
export interface WebhookApiProps {
  /** The function that GitHub's webhooks reach. */
  readonly verify: lambda.Function;
  /**
   * Requests a second that are let through; twice as many at once.
   * @default 100
   */
  readonly requestsPerSecond?: number;
}

/**
 * An HTTP API as the webhook's address, for organizations that forbid function URLs without IAM.
 *
 * It hands the function the same event as a function URL does, and throttles: what exceeds the limit is
 * answered with 429 without a call of the function, and the sweep has GitHub redeliver it.
 */
export class WebhookApi extends Construct {
  /** The address. */
  readonly url: string;
  /** Requests that were answered with a 5xx. */
  readonly serverErrors: cloudwatch.IMetric;

  constructor(scope: Construct, id: string, props: WebhookApiProps) {
    super(scope, id);
    const { requestsPerSecond = 100 } = props;
    if (!Number.isInteger(requestsPerSecond) || requestsPerSecond < 1 || requestsPerSecond > 5000) {
      throw invalidProp("requestsPerSecond", requestsPerSecond, "a whole number from 1 to 5000");
    }
    const api = new apigateway.HttpApi(this, "Api", {
      description: "Webhooks of GitHub",
      createDefaultStage: false,
    });
    const [route] = api.addRoutes({
      path: "/",
      methods: [apigateway.HttpMethod.POST],
      integration: new HttpLambdaIntegration("Verify", props.verify, {
        payloadFormatVersion: apigateway.PayloadFormatVersion.VERSION_2_0,
      }),
    });
    const stage = api.addStage("Stage", {
      stageName: "$default",
      autoDeploy: true,
      throttle: { rateLimit: requestsPerSecond, burstLimit: 2 * requestsPerSecond },
    });
    acknowledge(route!, {
      "AwsSolutions-APIG4":
        "GitHub can't sign for IAM: the HMAC over the body is the authentication.",
    });
    acknowledge(stage, {
      "AwsSolutions-APIG1":
        "The function logs every request, with the reason where it refuses one.",
    });
    this.url = stage.url;
    this.serverErrors = api.metricServerError({ statistic: cloudwatch.Stats.SUM });
  }
}
