import { Stack } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import { ExistingVpc, IsolatedVpc, NatVpc, PublicVpc, RunnerNetwork } from "../src";
import { Config } from "./config";

/** The network that a configuration asks for. */
export function networkOf(stack: Stack, config: Config): RunnerNetwork {
  if (config.vpcId !== undefined) {
    return existing(stack, config.vpcId, config);
  }
  switch (config.network ?? "public") {
    case "public":
      return new PublicVpc(stack, "Network", config);
    case "nat":
      return new NatVpc(stack, "Network", config);
    case "isolated":
      return new IsolatedVpc(stack, "Network", {
        ...config,
        handlerEndpoints: config.githubInsideNetwork,
      });
  }
}

function existing(stack: Stack, vpcId: string, config: Config): RunnerNetwork {
  const { subnetIds, securityGroupIds, assignPublicIp } = config;
  const vpc =
    subnetIds === undefined
      ? // Asks the account, and remembers the answer in cdk.context.json.
        ec2.Vpc.fromLookup(stack, "Vpc", { vpcId })
      : ec2.Vpc.fromVpcAttributes(stack, "Vpc", {
          vpcId,
          // Nothing of ours reads it, but it may not be empty.
          availabilityZones: [`${stack.region}a`],
        });
  return new ExistingVpc(stack, "Network", {
    vpc,
    subnets: subnetIds?.map((id, index) => ec2.Subnet.fromSubnetId(stack, `Subnet${index}`, id)),
    securityGroups: securityGroupIds?.map((id, index) =>
      ec2.SecurityGroup.fromSecurityGroupId(stack, `SecurityGroup${index}`, id),
    ),
    assignPublicIp,
  });
}
