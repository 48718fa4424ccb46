import { Annotations } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import { Construct } from "constructs";
import { acknowledgeWildcard } from "../acknowledge";
import { Names } from "../names";
import { RunnerHost } from "./host";

/** The two roles of a task: one for ECS to start it, one for what runs inside. */
export class RunnerRoles extends Construct {
  /** ECS pulls the image and writes the log under this role; the job can't use it. */
  readonly executionRole: iam.IRole;
  /** What the agent, and thereby every job, may call. */
  readonly taskRole: iam.IRole;

  /** @param taskRole a role to use instead of one that can do nothing but what the agent must */
  constructor(scope: Construct, id: string, runners: RunnerHost, taskRole?: iam.IRole) {
    super(scope, id);
    this.executionRole = runners.roles.task(
      this,
      "Execution",
      "Starts runner tasks: pulls the image, writes the log",
    );
    this.taskRole =
      taskRole ??
      runners.roles.task(this, "Task", "What the agent and the job in a runner task may call");
    runners.addTaskRole(this.taskRole, taskRole !== undefined);
    warnIfUnchangeable(this, this.taskRole, runners.names);
    acknowledgeWildcard(
      this.executionRole,
      "*",
      "ecr:GetAuthorizationToken, with which a pull begins, can't be limited to a repository.",
    );
  }
}

/** Warns of a task role that keeps the permissions that it has. Call it after it has got those of the agent. */
export function warnIfUnchangeable(scope: Construct, role: iam.IRole, names: Names): void {
  if (!changed(role)) {
    Annotations.of(scope).addWarningV2(
      "fargate-runners:unchangeable-task-role",
      `The task role ${role.roleName} is imported and can't be changed here. Allow it ` +
        `ssm:GetParameter and ssm:DeleteParameter on ${names.runnerParameters}/*, or no ` +
        `runner starts; and deny it ssm:* on ${names.githubParameters}/* and ` +
        `ssm:DescribeParameters and ssm:GetParametersByPath, or its jobs may read the App's key.`,
    );
  }
}

/** Whether what a role was given will be deployed: the toolkit drops it silently where it can't be. */
export function changed(role: iam.IRole): boolean {
  return role.node.findAll().some((child) => child instanceof iam.Policy);
}
