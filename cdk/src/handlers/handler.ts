import { Duration, RemovalPolicy } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { Logs } from "../logs";
import { allow, give, Permission } from "../permission";
import { Roles } from "../roles";

/** Where a function's network interfaces go. */
export interface HandlerNetwork {
  /** The VPC. */
  readonly vpc: ec2.IVpc;
  /** Its subnets. */
  readonly subnets: ec2.ISubnet[];
  /** The function's security groups. */
  readonly securityGroups: ec2.ISecurityGroup[];
}

/** What one function needs. */
export interface HandlerProps {
  /** The function's name. */
  readonly functionName: string;
  /** One sentence for the console. */
  readonly description: string;
  /** Directory or zip with a `bootstrap`. */
  readonly code: lambda.Code;
  /** The processor the program was built for. */
  readonly architecture: lambda.Architecture;
  /** Environment variables; never a secret. */
  readonly environment: Record<string, string>;
  /** What the function may call, beyond writing its own log. */
  readonly permissions: readonly Permission[];
  /** How long one invocation may take. */
  readonly timeout: Duration;
  /** In MiB; also sets the share of a processor. */
  readonly memorySize: number;
  /** Makes the execution role. */
  readonly roles: Roles;
  /** Makes the log group. */
  readonly logs: Logs;
  /**
   * Concurrency set aside for this function alone.
   * @default - none
   */
  readonly reservedConcurrency?: number;
  /**
   * Where the function's network interfaces go.
   * @default - outside of any VPC
   */
  readonly network?: HandlerNetwork;
  /** What is unpacked beside the program, below `/opt`. */
  readonly layers: lambda.ILayerVersion[];
}

/** One Lambda function with its own role and its own log group. */
export class Handler extends Construct {
  /** The function. */
  readonly function: lambda.Function;
  /** Its log. */
  readonly logGroup: logs.LogGroup;

  constructor(scope: Construct, id: string, props: HandlerProps) {
    super(scope, id);
    this.logGroup = props.logs.group(this, "Log", `/aws/lambda/${props.functionName}`);
    // Not AWSLambdaBasicExecutionRole: that policy may write to every log group of the account.
    const role = props.roles.service(this, "Role", "lambda.amazonaws.com", props.description);
    this.logGroup.grantWrite(role);
    give(role, props.permissions);
    if (props.network !== undefined) {
      give(role, [USE_NETWORK_INTERFACES]);
    }
    this.function = new lambda.Function(this, "Function", {
      functionName: props.functionName,
      description: props.description,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      handler: "bootstrap",
      code: props.code,
      architecture: props.architecture,
      environment: props.environment,
      timeout: props.timeout,
      memorySize: props.memorySize,
      reservedConcurrentExecutions: props.reservedConcurrency,
      role,
      logGroup: this.logGroup,
      ...(props.layers.length > 0 && { layers: props.layers }),
      // An execution can run for days and calls the versions it began with.
      currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
      ...(props.network && {
        vpc: props.network.vpc,
        vpcSubnets: { subnets: props.network.subnets },
        securityGroups: props.network.securityGroups,
      }),
    });
  }
}

// Lambda itself makes the interfaces, under the function's role:
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
const USE_NETWORK_INTERFACES = allow(
  [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
  ],
  ["*"],
  { wildcard: "Interfaces have no names beforehand; Lambda asks for exactly these calls." },
);
