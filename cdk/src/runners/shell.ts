import { Annotations } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import { allow, give } from "../permission";
import { RunnerHost } from "./host";
import { changed } from "./runner-roles";

/** Tag of a task definition that allows a shell in its tasks. RunTask decides it, so `launch` reads the tag. */
export const SHELL_TAG = "GH:shell";

/** https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html#ecs-exec-required-iam-permissions */
const CHANNELS = [
  "ssmmessages:CreateControlChannel",
  "ssmmessages:CreateDataChannel",
  "ssmmessages:OpenControlChannel",
  "ssmmessages:OpenDataChannel",
];

/** Lets ECS Exec's agent, which acts under the task's role, open a session's channels. */
export function allowShell(taskRole: iam.IRole, runners: RunnerHost): void {
  give(taskRole, [
    allow(CHANNELS, ["*"], { wildcard: "A session's channels have no ARN to limit this to." }),
  ]);
  runners.network.addShell?.();
  if (!changed(taskRole)) {
    Annotations.of(taskRole).addWarningV2(
      "fargate-runners:shell-task-role",
      `The task role ${taskRole.roleName} is imported and can't be changed here. Allow it ${CHANNELS.join(", ")}, or no shell can be opened.`,
    );
  }
}
