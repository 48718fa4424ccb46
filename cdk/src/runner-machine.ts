import { Duration } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as iam from "aws-cdk-lib/aws-iam";
import * as logs from "aws-cdk-lib/aws-logs";
import * as sfn from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import { acknowledge } from "./acknowledge";
import { definition, DefinitionProps } from "./definition";
import { DeployedHandlers, handlerSpec, STANDING_HANDLERS } from "./handlers/record";
import { writeWaits } from "./handlers/stock-grants";
import { Logs } from "./logs";
import { Names } from "./names";
import { allow, give, Permission } from "./permission";
import { Roles } from "./roles";
import { passRole, runTasks } from "./run-tasks";

/** The functions that the machine calls itself, with the name that stands for each in its definition. */
const STEPS = STANDING_HANDLERS.flatMap((name) => {
  const { substitution } = handlerSpec(name);
  return substitution === undefined ? [] : [{ name, substitution }];
});

/** What the state machine needs. */
export interface RunnerMachineProps {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** The definition: Amazon States Language with a substitution per function. */
  readonly definitionFile: string;
  /** The functions, of which it calls some. */
  readonly handlers: DeployedHandlers;
  /** How long a job may take. */
  readonly maxJobDuration: Duration;
  /** Whether a task definition needs the deployment's tag to be run, or only the prefix. */
  readonly trustedDefinitions: "deployment" | "prefix";
  /** Makes the machine's role and says which roles may be passed to tasks. */
  readonly roles: Roles;
  /** Makes the log group. */
  readonly logs: Logs;
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
  private patches: Pick<DefinitionProps, "warmFile" | "capsFile"> = {};

  constructor(
    scope: Construct,
    id: string,
    private readonly props: RunnerMachineProps,
  ) {
    super(scope, id);
    const { names } = props;
    // Under /aws/vendedlogs/ one resource policy serves all log groups; elsewhere each costs a
    // part of the 5,120 characters that an account's policy may have.
    this.logGroup = props.logs.group(this, "Log", `/aws/vendedlogs/states/${names.stateMachine}`);
    this.role = props.roles.service(
      this,
      "Role",
      "states.amazonaws.com",
      "Calls the functions and runs the tasks of each job",
    );
    give(this.role, machinePermissions(props));
    acknowledge(this.role, {
      "AwsSolutions-IAM5[Resource::*]":
        "The calls by which Step Functions arranges log delivery and traces take no resource.",
    });
    this.stateMachine = new sfn.StateMachine(this, "StateMachine", {
      stateMachineName: names.stateMachine,
      stateMachineType: sfn.StateMachineType.STANDARD,
      definitionBody: sfn.DefinitionBody.fromString(definition(props)),
      definitionSubstitutions: Object.fromEntries(
        STEPS.map(({ name, substitution }) => [
          substitution,
          props.handlers[name].function.currentVersion.functionArn,
        ]),
      ),
      role: this.role,
      tracingEnabled: props.tracing,
      // The events are enough; the data would copy every job's names into the log.
      logs: {
        destination: this.logGroup,
        level: sfn.LogLevel.ALL,
        includeExecutionData: false,
      },
    });
    if (!props.tracing) {
      acknowledge(this.stateMachine, {
        "AwsSolutions-SF2": "An execution's history shows each step; tracing switches X-Ray on.",
      });
    }
  }

  /** Allows the machine to pass a role that is not under our path. */
  allowPassing(role: iam.IRole): void {
    give(this.role, [passRole(role.roleArn)]);
  }

  /**
   * Has it wait for adopted tasks.
   *
   * @param warmFile what that changes in the definition, as a JSON merge patch
   */
  addWarmTasks(table: dynamodb.ITable, warmFile: string): void {
    const machine = this.patch({ warmFile });
    machine.definitionSubstitutions = {
      ...(machine.definitionSubstitutions as Record<string, string>),
      StockTable: table.tableName,
    };
    give(this.role, writeWaits(this.props.names));
  }

  /**
   * Has it wait for slots.
   *
   * @param capsFile what that changes in the definition, as a JSON merge patch
   */
  addCaps(capsFile: string): void {
    this.patch({ capsFile });
  }

  private patch(file: Pick<DefinitionProps, "warmFile" | "capsFile">): sfn.CfnStateMachine {
    this.patches = { ...this.patches, ...file };
    const machine = this.stateMachine.node.defaultChild as sfn.CfnStateMachine;
    machine.definitionString = definition({ ...this.props, ...this.patches });
    return machine;
  }
}

function machinePermissions({
  names,
  roles,
  trustedDefinitions,
}: RunnerMachineProps): Permission[] {
  const { run, tag, pass } = runTasks({
    names,
    taskRolePath: roles.taskPath,
    trustedDefinitions,
  });
  return [
    allow(
      ["lambda:InvokeFunction"],
      STEPS.map(({ name }) => `${names.functionArn(name)}:*`),
      { wildcard: "An execution of an earlier deployment calls the version it began with." },
    ),
    run,
    allow(["ecs:StopTask", "ecs:DescribeTasks"], [names.taskArns], {
      conditions: { ArnEquals: { "ecs:cluster": names.clusterArn } },
      wildcard: "ECS names tasks itself; all of this cluster's are runners.",
    }),
    tag,
    // How Step Functions learns that a task has ended:
    // https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html
    allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], [names.managedRuleArn]),
    pass,
  ];
}
