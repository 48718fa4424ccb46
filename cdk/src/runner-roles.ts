import * as iam from "aws-cdk-lib/aws-iam";
import { Construct } from "constructs";
import { RunnerHost } from "./runner";

/** The two roles of a task: one for ECS to start it, one for what runs inside. */
export class RunnerRoles extends Construct {
  /** ECS pulls the image and writes the log under this role; the job can't use it. */
  readonly executionRole: iam.IRole;
  /** What the agent, and thereby every job, may call. */
  readonly taskRole: iam.IRole;

  constructor(scope: Construct, id: string, runners: RunnerHost, taskRole?: iam.IRole) {
    super(scope, id);
    const assumedBy = new iam.ServicePrincipal("ecs-tasks.amazonaws.com");
    this.executionRole = new iam.Role(this, "Execution", {
      path: runners.taskRolePath,
      description: "Starts runner tasks: pulls the image, writes the log",
      assumedBy,
    });
    if (taskRole !== undefined) {
      runners.allowPassing(taskRole);
    }
    this.taskRole =
      taskRole ??
      new iam.Role(this, "Task", {
        path: runners.taskRolePath,
        description: "What the agent and the job in a runner task may call",
        assumedBy,
      });
    for (const statement of runners.agentPermissions()) {
      this.taskRole.addToPrincipalPolicy(statement);
    }
  }
}
