import { App, Environment } from "aws-cdk-lib";
import { Config, readConfig } from "../app/config";
import { FargateRunnersStack } from "../app/stack";

const app = new App();
const config = readConfig(app.node.getAllContext());
new FargateRunnersStack(app, config.prefix ?? "fargate-runners", config, {
  description: "Ephemeral self-hosted GitHub Actions runners on ECS",
  env: environment(config),
});

/** A template for any account and region, unless a VPC must be looked up in one. */
function environment({ vpcId, subnetIds }: Config): Environment | undefined {
  return vpcId !== undefined && subnetIds === undefined
    ? { account: process.env.CDK_DEFAULT_ACCOUNT, region: process.env.CDK_DEFAULT_REGION }
    : undefined;
}
