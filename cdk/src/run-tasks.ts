import { Names, PREFIX_TAG } from "./names";
import { allow, Permission } from "./permission";

/** What a role needs to start runners' tasks. */
export interface RunTasksProps {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** Path of the roles that tasks run under. */
  readonly taskRolePath: string;
  /** Whether a task definition needs the deployment's tag to be run, or only the prefix. */
  readonly trustedDefinitions: "deployment" | "prefix";
}

/** Lets a role start tasks of the deployment's task definitions, in its cluster. */
export function runTasks({ names, taskRolePath, trustedDefinitions }: RunTasksProps): {
  readonly run: Permission;
  readonly tag: Permission;
  readonly pass: Permission;
} {
  const inCluster = { ArnEquals: { "ecs:cluster": names.clusterArn } };
  return {
    run: allow(["ecs:RunTask"], [names.taskDefinitionArns], {
      // A prefix can begin with another deployment's, so the tag decides. RunTask knows the tags of
      // the task definition:
      // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
      conditions:
        trustedDefinitions === "deployment"
          ? { ...inCluster, StringEquals: { [`aws:ResourceTag/${PREFIX_TAG}`]: names.prefix } }
          : inCluster,
      wildcard: "A deployment has as many task definitions as it has kinds of runners.",
    }),
    tag: allow(["ecs:TagResource"], [names.taskArns], {
      conditions: { StringEquals: { "ecs:CreateAction": "RunTask" } },
      wildcard: "ECS names tasks itself; all of this cluster's are runners.",
    }),
    pass: passRole(
      names.roleArns(taskRolePath),
      "Task definitions that others register bring roles of their own, under this path.",
    ),
  };
}

/** Lets a role pass another one to tasks, and to nothing else. */
export function passRole(roleArn: string, wildcard?: string): Permission {
  return allow(["iam:PassRole"], [roleArn], {
    conditions: { StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" } },
    wildcard,
  });
}
