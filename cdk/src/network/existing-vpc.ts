import * as ec2 from "aws-cdk-lib/aws-ec2";
import { Construct, IConstruct } from "constructs";
import { invalidProp } from "../invalid-prop";
import { RunnerNetwork, runnerSecurityGroup } from "./runner-network";

/** An existing VPC. */
export interface ExistingVpcProps {
  /** The VPC. */
  readonly vpc: ec2.IVpc;
  /**
   * The subnets that tasks are started in; they need a way to GitHub and to AWS.
   * @default - the VPC's private subnets with egress
   */
  readonly subnets?: ec2.ISubnet[];
  /**
   * Security groups of each task.
   * @default - a new one without ingress
   */
  readonly securityGroups?: ec2.ISecurityGroup[];
  /**
   * Whether a task gets a public address; true exactly when the subnets are public ones.
   * @default false
   */
  readonly assignPublicIp?: boolean;
}

/** Runners in a VPC that this stack does not manage. */
export class ExistingVpc extends Construct implements RunnerNetwork {
  readonly vpc: ec2.IVpc;
  readonly subnets: ec2.ISubnet[];
  readonly securityGroups: ec2.ISecurityGroup[];
  readonly assignPublicIp: boolean;

  constructor(scope: Construct, id: string, props: ExistingVpcProps) {
    super(scope, id);
    this.vpc = props.vpc;
    this.subnets = props.subnets ?? props.vpc.privateSubnets;
    // As many as a task's network interface may name:
    // https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_AwsVpcConfiguration.html
    const subnets = props.subnets ? "subnets of the VPC" : "subnets; the VPC has no private ones";
    checkNumber("subnets", this.subnets, 16, subnets);
    this.assignPublicIp = props.assignPublicIp ?? false;
    this.securityGroups = props.securityGroups ?? [runnerSecurityGroup(this, props.vpc)];
    checkNumber(
      "securityGroups",
      this.securityGroups,
      5,
      "security groups; leave it out for a new one",
    );
  }
}

function checkNumber(prop: string, given: readonly IConstruct[], most: number, what: string) {
  if (given.length === 0 || given.length > most) {
    const ids = given.map(({ node }) => node.id);
    throw invalidProp(prop, ids, `1 to ${most} ${what}`);
  }
}
