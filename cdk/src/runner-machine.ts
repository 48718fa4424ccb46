import { RemovalPolicy } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import * as sfn from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import { readFileSync } from "node:fs";
import { Names } from "./names";
import { allow } from "./permissions";

/** The functions that the machine calls itself. */
export const MACHINE_HANDLERS = ["match", "launch", "token", "cleanup"] as const;

/** One of the functions that the machine calls itself. */
export type MachineHandler = (typeof MACHINE_HANDLERS)[number];

/** What the state machine needs. */
export interface RunnerMachineProps {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** The definition: Amazon States Language with a substitution per function. */
  readonly definitionFile: string;
  /** The functions it calls. */
  readonly functions: Record<MachineHandler, lambda.Function>;
  /** Path of the machine's role. */
  readonly rolePath: string;
  /** Path of the roles that tasks run under, which alone may be passed. */
  readonly taskRolePath: string;
  /** How long the log is kept. */
  readonly logRetention: logs.RetentionDays;
  /** Whether the log outlives the stack. */
  readonly removalPolicy: RemovalPolicy;
  /** Whether X-Ray traces executions. */
  readonly tracing: boolean;
}

/** The state machine of which every job is one execution. */
export class RunnerMachine extends Construct {
  /** The machine. */
  readonly stateMachine: sfn.StateMachine;
  /** Its log: every event, without the executions' data. */
  readonly logGroup: logs.LogGroup;

  private readonly role: iam.Role;

  constructor(scope: Construct, id: string, props: RunnerMachineProps) {
    super(scope, id);
    const { names } = props;
    // Under /aws/vendedlogs/ one resource policy serves all log groups; elsewhere each costs a
    // part of the 5,120 characters that an account's policy may have.
    this.logGroup = new logs.LogGroup(this, "Log", {
      logGroupName: `/aws/vendedlogs/states/${names.stateMachine}`,
      retention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    this.role = new iam.Role(this, "Role", {
      path: props.rolePath,
      description: `${names.stateMachine}: calls the functions and runs the tasks`,
      assumedBy: new iam.ServicePrincipal("states.amazonaws.com"),
    });
    for (const statement of machinePermissions(props)) {
      this.role.addToPolicy(statement);
    }
    this.stateMachine = new sfn.StateMachine(this, "StateMachine", {
      stateMachineName: names.stateMachine,
      stateMachineType: sfn.StateMachineType.STANDARD,
      definitionBody: sfn.DefinitionBody.fromString(readFileSync(props.definitionFile, "utf8")),
      definitionSubstitutions: {
        MatchFunction: props.functions.match.currentVersion.functionArn,
        LaunchFunction: props.functions.launch.currentVersion.functionArn,
        TokenFunction: props.functions.token.currentVersion.functionArn,
        CleanupFunction: props.functions.cleanup.currentVersion.functionArn,
      },
      role: this.role,
      tracingEnabled: props.tracing,
      // The events say what happened; the data would repeat every job's names in a second place.
      logs: {
        destination: this.logGroup,
        level: sfn.LogLevel.ALL,
        includeExecutionData: false,
      },
    });
  }

  /** Lets the machine start tasks under a role that isn't under our path. */
  allowPassing(role: iam.IRole): void {
    this.role.addToPolicy(passRole(role.roleArn));
  }
}

function passRole(roleArn: string): iam.PolicyStatement {
  return new iam.PolicyStatement({
    actions: ["iam:PassRole"],
    resources: [roleArn],
    conditions: { StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" } },
  });
}

function machinePermissions(props: RunnerMachineProps): iam.PolicyStatement[] {
  const { names } = props;
  const inCluster = { ArnEquals: { "ecs:cluster": names.clusterArn } };
  return [
    // Every version: an execution of an earlier deployment calls the version it began with.
    allow(
      ["lambda:InvokeFunction"],
      ...MACHINE_HANDLERS.map((handler) => `${names.functionArn(handler)}:*`),
    ),
    new iam.PolicyStatement({
      actions: ["ecs:RunTask"],
      resources: [names.taskDefinitionArns],
      conditions: inCluster,
    }),
    new iam.PolicyStatement({
      actions: ["ecs:StopTask", "ecs:DescribeTasks"],
      resources: [names.taskArns],
      conditions: inCluster,
    }),
    new iam.PolicyStatement({
      actions: ["ecs:TagResource"],
      resources: [names.taskArns],
      conditions: { StringEquals: { "ecs:CreateAction": "RunTask" } },
    }),
    // How Step Functions learns that a task has ended:
    // https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html
    allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], names.managedRuleArn),
    passRole(names.roleArns(props.taskRolePath)),
  ];
}
