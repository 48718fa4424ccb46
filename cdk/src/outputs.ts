import { CfnOutput, Stack } from "aws-cdk-lib";
import * as ecs from "aws-cdk-lib/aws-ecs";
import * as sqs from "aws-cdk-lib/aws-sqs";
import * as sfn from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DeployedHandlers, HANDLER_NAMES } from "./handlers/record";
import { Monitoring } from "./monitoring/monitoring";
import { Names } from "./names";

/** What the outputs tell of a deployment. */
interface Deployed extends Construct {
  readonly names: Names;
  readonly webhookUrl: string;
  readonly stateMachine: sfn.StateMachine;
  readonly cluster: ecs.Cluster;
  readonly handlers: DeployedHandlers;
  readonly monitoring: Monitoring;
  readonly deadLetters: sqs.IQueue;
}

/** The outputs of a deployment's stack. The command line finds the deployment by them. */
export function outputs(runners: Deployed, githubApiUrl: string): void {
  const stack = Stack.of(runners);
  const { region } = stack;
  const output = (id: string, value: string, description: string) =>
    new CfnOutput(stack, id, { value, description });
  const machineArn = runners.stateMachine.stateMachineArn;
  output("WebhookUrl", runners.webhookUrl, "Webhook URL of the GitHub App");
  output("StateMachineArn", machineArn, "State machine; each job is one execution");
  output("ClusterName", runners.cluster.clusterName, "Cluster of the runners' tasks");
  output("ParameterPath", runners.names.githubParameters, "Path of the secrets in Parameter Store");
  output("DeploymentId", runners.names.deployment, "First part of every runner's name");
  output("TaskLogGroup", runners.names.runnerLogGroup, "Log group of the runners' tasks");
  output("DeadLetterQueue", runners.deadLetters.queueUrl, "Events that failed for good");
  output("GitHubApiUrl", githubApiUrl, "REST API of GitHub");
  output("Version", version(), "Version of the package that deployed this");
  for (const name of HANDLER_NAMES) {
    const handler = runners.handlers[name];
    if (handler !== undefined) {
      const id = `${name.charAt(0).toUpperCase()}${name.slice(1)}Function`;
      output(id, handler.function.functionName, `Function ${name}`);
    }
  }
  const console = `https://${region}.console.aws.amazon.com`;
  output(
    "ExecutionsLink",
    `${console}/states/home?region=${region}#/statemachines/view/${machineArn}`,
    "Executions, one per job",
  );
  output(
    "TasksLink",
    `${console}/ecs/v2/clusters/${runners.cluster.clusterName}/tasks?region=${region}`,
    "Tasks, one per runner",
  );
  output(
    "LogsLink",
    `${console}/cloudwatch/home?region=${region}#logsV2:logs-insights`,
    "Logs Insights, with the saved queries on the right",
  );
  if (runners.monitoring.dashboard !== undefined) {
    output(
      "DashboardLink",
      `${console}/cloudwatch/home?region=${region}#dashboards/dashboard/${runners.names.prefix}`,
      "Dashboard",
    );
  }
}

/** The version of this package; its manifest lies beside `src/` in a checkout, beside `dist/` in the package. */
function version(): string {
  const manifest = readFileSync(join(__dirname, "..", "package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
