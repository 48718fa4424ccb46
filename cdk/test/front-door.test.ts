import { Match } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
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

/** A GitHub's answer about its addresses, by a server in a thread: synthesis blocks this one. */
async function withMeta<T>(meta: object, use: (apiUrl: string) => T): Promise<T> {
  const source = `
    const { parentPort, workerData } = require("node:worker_threads");
    const server = require("node:http").createServer((request, response) => {
      response.writeHead(request.url === "/meta" ? 200 : 404);
      response.end(workerData);
    });
    server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));`;
  const worker = new Worker(source, { eval: true, workerData: JSON.stringify(meta) });
  try {
    const [port] = (await once(worker, "message")) as [number];
    return use(`http://127.0.0.1:${port}`);
  } finally {
    await worker.terminate();
  }
}

const sourcesOf = (props: Parameters<typeof templateOf>[0]) => {
  const [verify] = Object.values(
    templateOf(props).findResources("AWS::Lambda::Function", {
      Properties: { FunctionName: "fargate-runners-verify" },
    }),
  );
  return verify!.Properties.Environment.Variables.ALLOWED_SOURCES as string | undefined;
};

test("where webhooks may come from is told to verify, which alone can look at it", () => {
  assert.equal(sourcesOf({}), undefined);
  assert.equal(
    sourcesOf({ allowedSources: ["192.30.252.0/22", "2606:50c0::/32"] }),
    "192.30.252.0/22 2606:50c0::/32",
  );
});

test("GitHub's own ranges are read at synthesis", async () => {
  const meta = {
    verifiable_password_authentication: false,
    hooks: ["192.0.2.0/24", "2001:db8::/32"],
  };
  const read = (apiUrl: string) => sourcesOf({ allowedSources: "github", github: { apiUrl } });
  assert.equal(await withMeta(meta, read), "192.0.2.0/24 2001:db8::/32");
});

test("a GitHub that publishes no ranges is no reason to let nobody or everybody in", async () => {
  for (const [meta, message] of [
    [
      { installed_version: "3.20.0" },
      /Invalid allowedSources: "github".*\/meta publishes none for webhooks/,
    ],
    [{ hooks: ["everywhere"] }, /Invalid allowedSources: "everywhere"/],
  ] as const) {
    const read = (apiUrl: string) =>
      assert.throws(() => sourcesOf({ allowedSources: "github", github: { apiUrl } }), message);
    await withMeta(meta, read);
  }
});
