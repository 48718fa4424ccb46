import * as ec2 from "aws-cdk-lib/aws-ec2";
import { Construct } from "constructs";

/** Where the runners' network interfaces go. */
export interface RunnerNetwork {
  /** The VPC. */
  readonly vpc: ec2.IVpc;
  /** The subnets that tasks are started in. */
  readonly subnets: ec2.ISubnet[];
  /** The security groups of each task. */
  readonly securityGroups: ec2.ISecurityGroup[];
  /**
   * Whether a task gets a public address. In a public subnet it must, or it reaches nothing; in a
   * private one it can't.
   */
  readonly assignPublicIp: boolean;
  /**
   * Gives waiting tasks a way to the table of warm tasks.
   * @default - nothing: the tasks have a way to DynamoDB
   */
  addWarmTasks?(): void;
  /**
   * Gives tasks a way to the endpoint of ECS Exec's sessions, `ssmmessages`.
   * @default - nothing: the tasks have a way to it
   */
  addShell?(): void;
  /**
   * Hosts of AWS that the VPC has endpoints of its own to, so that a proxy is not needed for them.
   * @default - none: all of AWS is reached through the deployment's `proxy`, if it has one
   */
  readonly endpointHosts?: readonly string[];
}

/** A group without ingress: nothing ever connects to a runner, it fetches its job itself. */
export function runnerSecurityGroup(scope: Construct, vpc: ec2.IVpc): ec2.SecurityGroup {
  return new ec2.SecurityGroup(scope, "SecurityGroup", {
    vpc,
    description: "GitHub Actions runners: no ingress, all egress",
    allowAllOutbound: true,
  });
}
