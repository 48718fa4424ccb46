import * as ec2 from "aws-cdk-lib/aws-ec2";
import { Construct } from "constructs";
import { invalidProp } from "../invalid-prop";
import { addTableEndpoint, DEFAULT_ZONES, gatewayHosts, newVpc, NewVpcProps } from "./new-vpc";
import { RunnerNetwork, runnerSecurityGroup } from "./runner-network";

/** A VPC of private subnets behind NAT gateways. */
export interface NatVpcProps extends NewVpcProps {
  /**
   * How many NAT gateways there are, at most one per zone. With one, an outage of its zone cuts
   * off all runners.
   * @default 1
   */
  readonly natGateways?: number;
}

/**
 * A VPC of private subnets behind NAT gateways: all runners share few public addresses, for
 * services that know their callers by address.
 */
export class NatVpc extends Construct implements RunnerNetwork {
  readonly vpc: ec2.Vpc;
  readonly subnets: ec2.ISubnet[];
  readonly securityGroups: ec2.ISecurityGroup[];
  readonly assignPublicIp = false;

  constructor(scope: Construct, id: string, props: NatVpcProps = {}) {
    super(scope, id);
    const natGateways = props.natGateways ?? 1;
    const zones = props.maxAzs ?? DEFAULT_ZONES;
    if (!(Number.isInteger(natGateways) && natGateways >= 1 && natGateways <= zones)) {
      const allowed = `1 to maxAzs (${zones}), because without one runners reach nothing`;
      throw invalidProp("natGateways", natGateways, allowed);
    }
    const vpc = newVpc(this, props, {
      natGateways,
      subnetConfiguration: [
        { name: "Public", subnetType: ec2.SubnetType.PUBLIC, mapPublicIpOnLaunch: false },
        { name: "Runners", subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      ],
    });
    this.vpc = vpc;
    this.subnets = vpc.privateSubnets;
    this.securityGroups = [runnerSecurityGroup(this, vpc)];
  }

  get endpointHosts(): readonly string[] {
    return gatewayHosts(this.vpc);
  }

  addWarmTasks(): void {
    addTableEndpoint(this.vpc);
  }
}
