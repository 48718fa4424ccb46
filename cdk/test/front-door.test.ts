import { Match } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { test } from "node:test";
import { deployment, templateOf } from "./support";

test("by default the webhook's address is a function URL, and there is no API", () => {
  const template = templateOf();
  template.resourceCountIs("AWS::Lambda::Url", 1);
  template.resourceCountIs("AWS::ApiGatewayV2::Api", 0);
});

test("an HTTP API takes POST at its root, throttles, and hands on the payload that verify reads", () => {
  const template = templateOf({ frontDoor: "http-api", requestsPerSecond: 20 });
  template.resourceCountIs("AWS::Lambda::Url", 0);
  template.allResourcesProperties("AWS::ApiGatewayV2::Route", { RouteKey: "POST /" });
  template.hasResourceProperties("AWS::ApiGatewayV2::Integration", { PayloadFormatVersion: "2.0" });
  template.hasResourceProperties("AWS::ApiGatewayV2::Stage", {
    StageName: "$default",
    AutoDeploy: true,
    DefaultRouteSettings: { ThrottlingRateLimit: 20, ThrottlingBurstLimit: 40 },
  });
  // Nobody may call the function but this API, and nobody by a URL of its own.
  template.hasResourceProperties("AWS::Lambda::Permission", {
    Action: "lambda:InvokeFunction",
    Principal: "apigateway.amazonaws.com",
    SourceArn: Match.anyValue(),
  });
  const { stack, runners } = deployment({ frontDoor: "http-api" });
  assert.match(JSON.stringify(stack.resolve(runners.webhookUrl)), /\.execute-api\./);
});

test("the alarm for failing webhooks watches the address that there is", () => {
  const metric = (props: Parameters<typeof templateOf>[0]) => {
    const alarms = templateOf(props).findResources("AWS::CloudWatch::Alarm", {
      Properties: { AlarmName: "fargate-runners-webhook-down" },
    });
    const { Namespace, MetricName } = Object.values(alarms)[0]!.Properties;
    return `${Namespace} ${MetricName}`;
  };
  assert.equal(metric({}), "AWS/Lambda Url5xxCount");
  assert.equal(metric({ frontDoor: "http-api" }), "AWS/ApiGateway 5xx");
});
