import { Duration } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import * as logs from "aws-cdk-lib/aws-logs";
import * as sfn from "aws-cdk-lib/aws-stepfunctions";
import { Construct } from "constructs";
import { readFileSync } from "node:fs";
import { acknowledge } from "./acknowledge";
import { Handler } from "./handlers/handler";
import { HANDLER_NAMES, HandlerName, handlerSpec } from "./handlers/record";
import { Logs } from "./logs";
import { withTimeouts } from "./max-job-duration";
import { Names, PREFIX_TAG } from "./names";
import { allow, give, Permission } from "./permission";
import { Roles } from "./roles";

/** The functions that the machine calls itself, with the name that stands for each in its definition. */
const STEPS = HANDLER_NAMES.flatMap((name) => {
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
  readonly handlers: Readonly<Record<HandlerName, Handler>>;
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

  constructor(scope: Construct, id: string, props: RunnerMachineProps) {
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
    give(this.role, machinePermissions(names, props.roles.taskPath, props.trustedDefinitions));
    acknowledge(this.role, {
      "AwsSolutions-IAM5[Resource::*]":
        "The calls by which Step Functions arranges log delivery and traces take no resource.",
    });
    this.stateMachine = new sfn.StateMachine(this, "StateMachine", {
      stateMachineName: names.stateMachine,
      stateMachineType: sfn.StateMachineType.STANDARD,
      definitionBody: sfn.DefinitionBody.fromString(
        withTimeouts(readFileSync(props.definitionFile, "utf8"), props.maxJobDuration),
      ),
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
}

function passRole(roleArn: string, wildcard?: string): Permission {
  return allow(["iam:PassRole"], [roleArn], {
    conditions: { StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" } },
    wildcard,
  });
}

function machinePermissions(
  names: Names,
  taskRolePath: string,
  trustedDefinitions: "deployment" | "prefix",
): Permission[] {
  const inCluster = { ArnEquals: { "ecs:cluster": names.clusterArn } };
  const tasks = "ECS names tasks itself; all of this cluster's are runners.";
  return [
    allow(
      ["lambda:InvokeFunction"],
      STEPS.map(({ name }) => `${names.functionArn(name)}:*`),
      { wildcard: "An execution of an earlier deployment calls the version it began with." },
    ),
    allow(["ecs:RunTask"], [names.taskDefinitionArns], {
      // A prefix can begin with another deployment's, so the tag decides. RunTask knows the tags of
      // the task definition:
      // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
      conditions:
        trustedDefinitions === "deployment"
          ? {
              ...inCluster,
              StringEquals: { [`aws:ResourceTag/${PREFIX_TAG}`]: names.prefix },
            }
          : inCluster,
      wildcard: "A deployment has as many task definitions as it has kinds of runners.",
    }),
    allow(["ecs:StopTask", "ecs:DescribeTasks"], [names.taskArns], {
      conditions: inCluster,
      wildcard: tasks,
    }),
    allow(["ecs:TagResource"], [names.taskArns], {
      conditions: { StringEquals: { "ecs:CreateAction": "RunTask" } },
      wildcard: tasks,
    }),
    // How Step Functions learns that a task has ended:
    // https://docs.aws.amazon.com/step-functions/latest/dg/connect-ecs.html
    allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], [names.managedRuleArn]),
    passRole(
      names.roleArns(taskRolePath),
      "Task definitions that others register bring roles of their own, under this path.",
    ),
  ];
}
