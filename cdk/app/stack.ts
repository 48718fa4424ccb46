import { CfnOutput, RemovalPolicy, Stack, StackProps } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import {
  Capacity,
  ExistingVpc,
  FargateRunner,
  FargateRunners,
  imageFromUri,
  PublicVpc,
  RunnerNetwork,
} from "../src";
import { HANDLERS } from "../src/names";
import { Config, RunnerConfig } from "./config";

/** The stack that the app deploys: one {@link FargateRunners} made from a configuration. */
export class FargateRunnersStack extends Stack {
  /** The deployment. */
  readonly runners: FargateRunners;

  constructor(scope: Construct, id: string, config: Config, props: StackProps = {}) {
    super(scope, id, props);
    this.runners = new FargateRunners(this, "Runners", {
      prefix: config.prefix,
      deployment: config.deployment,
      github: {
        apiUrl: config.githubApiUrl,
        scope: config.runnerScope,
        runnerGroup: config.runnerGroup,
        registration: config.registration,
        allowedOwners: config.allowedOwners,
        allowedRepositories: config.allowedRepositories,
        allowPublicRepositories: config.allowPublicRepositories,
        requiredLabels: config.requiredLabels,
      },
      defaultRunner:
        config.runners === undefined
          ? this.runnerProps("Ubuntu", { labels: config.labels, image: config.image })
          : false,
      capacity: config.capacity && Capacity.of(...config.capacity),
      network: this.networkOf(config),
      architecture:
        config.architecture === "x86_64" ? lambda.Architecture.X86_64 : lambda.Architecture.ARM_64,
      handlersDirectory: config.handlersDirectory,
      definitionFile: config.definitionFile,
      logLevel: config.logLevel,
      logRetention: config.logRetentionDays,
      logRemovalPolicy: config.keepLogs ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    });
    for (const [index, runner] of (config.runners ?? []).entries()) {
      const id = runner.name ?? `Runner${index}`;
      new FargateRunner(this, id, {
        ...this.runnerProps(id, { ...runner, image: runner.image ?? config.image }),
        runners: this.runners,
      });
    }
    this.addOutputs();
  }

  private runnerProps(id: string, config: RunnerConfig) {
    return {
      ...config,
      image:
        config.image === undefined ? undefined : imageFromUri(this, `${id}Image`, config.image),
      capacity: config.capacity && Capacity.of(...config.capacity),
    };
  }

  private networkOf(config: Config): RunnerNetwork | undefined {
    if (config.vpcId === undefined) {
      return new PublicVpc(this, "Network");
    }
    const subnetIds = config.subnetIds ?? [];
    const vpc = ec2.Vpc.fromVpcAttributes(this, "Vpc", {
      vpcId: config.vpcId,
      availabilityZones: subnetIds.map((_, index) => `${this.region}${"abcdef"[index]}`),
    });
    return new ExistingVpc(this, "Network", {
      vpc,
      subnets: subnetIds.map((subnetId, index) =>
        ec2.Subnet.fromSubnetId(this, `Subnet${index}`, subnetId),
      ),
      assignPublicIp: config.assignPublicIp ?? false,
    });
  }

  private addOutputs(): void {
    const { runners, region } = this;
    const output = (name: string, value: string, description: string) =>
      new CfnOutput(this, name, { value, description });
    const console = `https://${region}.console.aws.amazon.com`;
    output("WebhookUrl", runners.webhookUrl, "Webhook URL of the GitHub App");
    output("StateMachineArn", runners.stateMachine.stateMachineArn, "One execution per job");
    output("ClusterName", runners.cluster.clusterName, "Where the runners' tasks are");
    for (const name of HANDLERS) {
      const id = `${name.charAt(0).toUpperCase()}${name.slice(1)}Function`;
      output(id, runners.handlers[name].function.functionName, `The function ${name}`);
    }
    output(
      "ExecutionsLink",
      `${console}/states/home?region=${region}#/statemachines/view/${runners.stateMachine.stateMachineArn}`,
      "The jobs, in the console",
    );
    output(
      "TasksLink",
      `${console}/ecs/v2/clusters/${runners.cluster.clusterName}/tasks?region=${region}`,
      "The runners, in the console",
    );
  }
}
