import { Duration, RemovalPolicy } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";

/** What one of the six functions needs. */
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
  readonly permissions: iam.PolicyStatement[];
  /** How long one invocation may take. */
  readonly timeout: Duration;
  /** In MiB; also sets the share of a processor. */
  readonly memorySize: number;
  /** Path of the execution role. */
  readonly rolePath: string;
  /** How long the log is kept. */
  readonly logRetention: logs.RetentionDays;
  /** Whether the log outlives the stack. */
  readonly removalPolicy: RemovalPolicy;
  /**
   * Concurrency set aside for this function alone.
   * @default - none is set aside
   */
  readonly reservedConcurrency?: number;
}

/** One Lambda function with its own role and its own log group. */
export class Handler extends Construct {
  /** The function. */
  readonly function: lambda.Function;
  /** Its log. */
  readonly logGroup: logs.LogGroup;

  constructor(scope: Construct, id: string, props: HandlerProps) {
    super(scope, id);
    this.logGroup = new logs.LogGroup(this, "Log", {
      logGroupName: `/aws/lambda/${props.functionName}`,
      retention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    // Not AWSLambdaBasicExecutionRole: that policy may write to every log group of the account.
    const role = new iam.Role(this, "Role", {
      path: props.rolePath,
      description: `${props.functionName}: ${props.description}`,
      assumedBy: new iam.ServicePrincipal("lambda.amazonaws.com"),
    });
    this.logGroup.grantWrite(role);
    for (const statement of props.permissions) {
      role.addToPolicy(statement);
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
      // An execution can run for days and calls the versions it began with.
      currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
    });
  }
}
