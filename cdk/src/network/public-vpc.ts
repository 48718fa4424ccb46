import * as ec2 from "aws-cdk-lib/aws-ec2";
import { Construct } from "constructs";
import { addTableEndpoint, gatewayHosts, newVpc, NewVpcProps } from "./new-vpc";
import { RunnerNetwork, runnerSecurityGroup } from "./runner-network";

/**
 * A VPC of public subnets: each task has a public address, and a security group without ingress.
 *
 * The default, because it costs nothing while nothing runs: a NAT gateway is about 33 USD a month
 * and 0.045 USD per GB, a task's public address 0.005 USD per hour.
 */
export class PublicVpc extends Construct implements RunnerNetwork {
  readonly vpc: ec2.Vpc;
  readonly subnets: ec2.ISubnet[];
  readonly securityGroups: ec2.ISecurityGroup[];
  readonly assignPublicIp = true;

  constructor(scope: Construct, id: string, props: NewVpcProps = {}) {
    super(scope, id);
    const vpc = newVpc(this, props, {
      natGateways: 0,
      subnetConfiguration: [
        { name: "Public", subnetType: ec2.SubnetType.PUBLIC, mapPublicIpOnLaunch: false },
      ],
    });
    this.vpc = vpc;
    this.subnets = vpc.publicSubnets;
    this.securityGroups = [runnerSecurityGroup(this, vpc)];
  }

  get endpointHosts(): readonly string[] {
    return gatewayHosts(this.vpc);
  }

  addWarmTasks(): void {
    addTableEndpoint(this.vpc);
  }
}
