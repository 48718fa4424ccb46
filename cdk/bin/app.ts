import { App, Environment } from "aws-cdk-lib";
import { Config, readConfig } from "../app/config";
import { reporting } from "../app/failure";
import { FargateRunnersStack } from "../app/stack";

reporting(() => {
  const app = new App();
  const config = readConfig(app.node.getAllContext());
  new FargateRunnersStack(app, config.prefix ?? "fargate-runners", config, {
    description: "Ephemeral self-hosted GitHub Actions runners on ECS",
    env: environment(config),
  });
  app.synth();
});

/** A template for any account and region, unless a VPC must be looked up in one. */
function environment({ vpcId, subnetIds }: Config): Environment | undefined {
  if (vpcId === undefined || subnetIds !== undefined) {
    return undefined;
  }
  const { CDK_DEFAULT_ACCOUNT: account, CDK_DEFAULT_REGION: region } = process.env;
  if (!account || !region) {
    throw new Error(
      `The subnets of ${vpcId} are looked up in your account, for which there are no credentials or ` +
        `no region: set AWS_PROFILE and AWS_REGION, or give subnetIds.`,
    );
  }
  return { account, region };
}
