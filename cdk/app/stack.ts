import { CfnOutput, Duration, RemovalPolicy, Stack, StackProps } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as sns from "aws-cdk-lib/aws-sns";
import { Construct } from "constructs";
import {
  Capacity,
  FargateRunner,
  FargateRunners,
  HANDLER_NAMES,
  imageFromUri,
  WarmProps,
} from "../src";
import { Config, RunnerConfig, WarmConfig } from "./config";
import { refuseUseless } from "./contradictions";
import { placeOf, within } from "./failure";
import { networkOf } from "./network";

/** The stack that the app deploys: one {@link FargateRunners} made from a configuration. */
export class FargateRunnersStack extends Stack {
  /** The deployment. */
  readonly runners: FargateRunners;

  constructor(scope: Construct, id: string, config: Config, props: StackProps = {}) {
    super(scope, id, props);
    refuseUseless(config);
    // The toolkit lets a function depend on its role although the reference to it says the same.
    this.templateOptions.metadata = { "cfn-lint": { config: { ignore_checks: ["W3005"] } } };
    const { permissionsBoundaryArn, parameterKeyArn, alarmTopicArn } = config;
    const permissionsBoundary =
      permissionsBoundaryArn === undefined
        ? undefined
        : iam.ManagedPolicy.fromManagedPolicyArn(this, "Boundary", permissionsBoundaryArn);
    if (permissionsBoundary !== undefined) {
      // The network's and the image's roles, too, where they have any.
      iam.PermissionsBoundary.of(this).apply(permissionsBoundary);
    }
    this.runners = new FargateRunners(this, "Runners", {
      prefix: config.prefix,
      deployment: config.deployment,
      github: {
        apiUrl: config.githubApiUrl,
        insideNetwork: config.githubInsideNetwork,
        scope: config.runnerScope,
        runnerGroup: config.runnerGroup,
        registration: config.registration,
        allowedOwners: config.allowedOwners,
        allowedRepositories: config.allowedRepositories,
        allowPublicRepositories: config.allowPublicRepositories,
        allowInternalRepositories: config.allowInternalRepositories,
        allowForks: config.allowForks,
        requiredLabels: config.requiredLabels,
        reconcileCalls: config.reconcileCalls,
        checkRuns: config.checkRuns,
      },
      defaultRunner:
        config.runners === undefined &&
        this.runnerProps("Ubuntu", {
          labels: config.labels,
          architecture: config.runnerArchitecture,
          image: config.image,
          runnerVersion: config.runnerVersion,
          rebuildWeekly: config.rebuildWeekly,
          warm: config.warm,
        }),
      capacity: config.capacity && Capacity.of(...config.capacity),
      maxJobDuration:
        config.maxJobDurationMinutes === undefined
          ? undefined
          : Duration.minutes(config.maxJobDurationMinutes),
      trustedDefinitions: config.trustedDefinitions,
      network: networkOf(this, config),
      frontDoor: config.frontDoor,
      requestsPerSecond: config.requestsPerSecond,
      allowedSources: config.allowedSources?.join() === "github" ? "github" : config.allowedSources,
      reservedConcurrency:
        config.webhookConcurrency === undefined ? {} : { verify: config.webhookConcurrency },
      architecture:
        config.architecture === "x86_64" ? lambda.Architecture.X86_64 : lambda.Architecture.ARM_64,
      handlersDirectory: config.handlersDirectory,
      definitionFile: config.definitionFile,
      logLevel: config.logLevel,
      logRetention: config.logRetentionDays,
      logRemovalPolicy: config.keepLogs ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      parameterKey: parameterKeyArn
        ? kms.Key.fromKeyArn(this, "ParameterKey", parameterKeyArn)
        : undefined,
      secretsKey: config.secretsKey,
      secretsReaders: config.secretsReaderArns?.map((arn) => new iam.ArnPrincipal(arn)),
      permissionsBoundary,
      rolePath: config.rolePath,
      tracing: config.tracing,
      containerInsights: config.containerInsights,
      monitoring: {
        alarms: (config.alarms ?? true) && {
          topic: alarmTopicArn
            ? sns.Topic.fromTopicArn(this, "AlarmTopic", alarmTopicArn)
            : undefined,
        },
        waitingLimit:
          config.waitingLimitSeconds === undefined
            ? undefined
            : Duration.seconds(config.waitingLimitSeconds),
        dashboard: config.dashboard,
        savedQueries: config.savedQueries,
      },
    });
    for (const [index, runner] of (config.runners ?? []).entries()) {
      within(placeOf(index, runner), () => this.addRunner(index, runner, config));
    }
    this.addOutputs(config);
  }

  private addRunner(index: number, runner: RunnerConfig, config: Config): void {
    const id = runner.name ?? `Runner${index}`;
    new FargateRunner(this, id, {
      ...this.runnerProps(id, {
        ...(runner.image || runner.rebuildWeekly
          ? {}
          : { image: config.image, runnerVersion: config.runnerVersion }),
        ...runner,
      }),
      runners: this.runners,
    });
  }

  private runnerProps(id: string, config: RunnerConfig) {
    const { rebuildWeekly: rebuild, warm, ...rest } = config;
    return {
      ...rest,
      rebuild,
      warm: warm === undefined ? undefined : warmProps(warm),
      image: config.image ? imageFromUri(this, `${id}Image`, config.image) : undefined,
      capacity: config.capacity && Capacity.of(...config.capacity),
    };
  }

  private addOutputs(config: Config): void {
    const { runners, region } = this;
    const output = (id: string, value: string, description: string) =>
      new CfnOutput(this, id, { value, description });
    output("WebhookUrl", runners.webhookUrl, "Webhook URL of the GitHub App");
    output(
      "StateMachineArn",
      runners.stateMachine.stateMachineArn,
      "State machine; each job is one execution",
    );
    output("ClusterName", runners.cluster.clusterName, "Cluster of the runners' tasks");
    output(
      "ParameterPath",
      runners.names.githubParameters,
      "Path of the secrets in Parameter Store",
    );
    // The command line finds the deployment by these.
    output("DeploymentId", runners.names.deployment, "First part of every runner's name");
    output("TaskLogGroup", runners.names.runnerLogGroup, "Log group of the runners' tasks");
    const github = config.githubApiUrl ?? "https://api.github.com";
    output("GitHubApiUrl", github, "REST API of GitHub");
    for (const name of HANDLER_NAMES) {
      const handler = runners.handlers[name];
      if (handler !== undefined) {
        const id = `${name.charAt(0).toUpperCase()}${name.slice(1)}Function`;
        output(id, handler.function.functionName, `Function ${name}`);
      }
    }
    const console = `https://${region}.console.aws.amazon.com`;
    const machineArn = runners.stateMachine.stateMachineArn;
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
}

function warmProps(config: number | WarmConfig): WarmProps {
  if (typeof config === "number") {
    return { size: config };
  }
  const { maxAgeMinutes, ...rest } = config;
  return {
    ...rest,
    maxAge: maxAgeMinutes === undefined ? undefined : Duration.minutes(maxAgeMinutes),
  };
}
