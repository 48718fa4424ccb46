import { GitHubProps } from "../github-props";
import { Names } from "../names";
import { allow, deny, Permission } from "../permission";
import { HandlerContext, SecretName } from "./handler-spec";

/** What the statements name besides what {@link Names} gives. */
export type KeyContext = Pick<HandlerContext, "names" | "region" | "parameterKeyArn">;

/**
 * What the agent in the container may call: take its registration, then delete it.
 *
 * Never a call that lists parameters: the 128 random bits in the path are what keeps one job from
 * reading another runner's registration with the same role.
 */
export function agentPermissions(context: KeyContext): Permission[] {
  const arns = [context.names.parameterArn(`${context.names.runnerParameters}/*`)];
  return [
    allow(["ssm:GetParameter"], arns, { wildcard: RUNNERS }),
    ...useKey(context, ["kms:Decrypt"], arns),
    allow(["ssm:DeleteParameter"], arns, { wildcard: RUNNERS }),
    ...jobDenials(context.names),
  ];
}

/**
 * What no job may do, whatever its role is allowed besides: a task role with `ssm:*` on `*` must
 * not reach the App's key, find another runner's registration, or write what the functions and
 * `fargate-runners` read.
 */
function jobDenials(names: Names): Permission[] {
  const { prefix, runnerParameters } = names;
  const parameter = (name: string) => names.parameterArn(name);
  return [
    deny(
      ["ssm:*"],
      [
        parameter(`${names.githubParameters}/*`),
        parameter(names.policyParameter),
        parameter(names.pausedParameter),
        parameter(names.catalogueParameter),
        parameter(names.sweepMark),
        parameter(`${names.runnerVersions}/*`),
      ],
    ),
    // A name that is known opens a registration, so names must not be told. The call that lists
    // them takes no resource.
    deny(["ssm:DescribeParameters"], ["*"]),
    // It is authorized for the path that it asks for, not for what it returns: each path above counts.
    // https://docs.aws.amazon.com/systems-manager/latest/userguide/ps-restrict-parameter-access.html
    deny(
      ["ssm:GetParametersByPath"],
      [parameter("/"), parameter(`/${prefix}`), parameter(`/${prefix}/*`)],
    ),
    deny(
      ["ssm:GetParameterHistory", "ssm:PutParameter", "ssm:LabelParameterVersion"],
      [parameter(`${runnerParameters}/*`)],
    ),
  ];
}

const EXECUTIONS = "The machine's executions are named after jobs, which nobody knows beforehand.";
const TASKS = "ECS names tasks itself; all of this cluster's are runners.";
const RUNNERS = "Runners are named after jobs, and each parameter's path ends in 128 random bits.";

/** Lets a function read the App's secrets; several at once, out of Parameter Store's 40 calls a second. */
export function readSecrets(context: KeyContext, secrets: readonly SecretName[]): Permission[] {
  const arns = secrets.map((name) => secretArn(context.names, name));
  const action = arns.length > 1 ? "ssm:GetParameters" : "ssm:GetParameter";
  return [allow([action], arns), ...useKey(context, ["kms:Decrypt"], arns)];
}

/** The ARN of a secret's parameter. */
export function secretArn(names: Names, secret: SecretName): string {
  return names.parameterArn(`${names.githubParameters}/${secret}`);
}

export function writeRunnerParameters(context: KeyContext): Permission[] {
  const arn = context.names.parameterArn(`${context.names.runnerParameters}/*`);
  return [
    allow(["ssm:PutParameter", "ssm:AddTagsToResource"], [arn], { wildcard: RUNNERS }),
    // Encrypt for the Standard tier, GenerateDataKey for the Advanced tier:
    // https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
    ...useKey(context, ["kms:Encrypt", "kms:GenerateDataKey"], [arn]),
  ];
}

/**
 * The key may be used only through Parameter Store and only for these parameters: Parameter Store
 * puts the parameter's ARN into the encryption context, so one key keeps the secrets apart.
 */
function useKey(context: KeyContext, actions: string[], parameterArns: string[]): Permission[] {
  if (context.parameterKeyArn === undefined) {
    return [];
  }
  return [
    allow(actions, [context.parameterKeyArn], {
      conditions: {
        StringEquals: { "kms:ViaService": `ssm.${context.region}.amazonaws.com` },
        StringLike: { "kms:EncryptionContext:PARAMETER_ARN": parameterArns },
      },
    }),
  ];
}

export function readTaskDefinitions(): Permission {
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
  return allow(["ecs:ListTaskDefinitionFamilies", "ecs:DescribeTaskDefinition"], ["*"], {
    wildcard: "Neither call can be limited to a resource.",
  });
}

export function endRunners(names: Names): Permission[] {
  const conditions = inCluster(names);
  return [
    allow(["ssm:DeleteParameter"], [names.parameterArn(`${names.runnerParameters}/*`)], {
      wildcard: RUNNERS,
    }),
    allow(["ecs:ListTasks"], ["*"], {
      conditions,
      wildcard: "Limited by cluster: its resource is a container instance, Fargate has none.",
    }),
    allow(["ecs:StopTask", "ecs:DescribeTasks"], [names.taskArns], {
      conditions,
      wildcard: TASKS,
    }),
  ];
}

function inCluster(names: Names) {
  return { ArnEquals: { "ecs:cluster": names.clusterArn } };
}

export function followExecutions(names: Names): Permission[] {
  return [
    allow(["states:StartExecution"], [names.stateMachineArn]),
    allow(
      ["states:DescribeExecution", "states:StopExecution", "states:GetExecutionHistory"],
      [names.executionArns],
      { wildcard: EXECUTIONS },
    ),
  ];
}

/** Lets a function ask whether a job's execution exists and how it ended. */
export function describeExecutions(names: Names): Permission {
  return allow(["states:DescribeExecution"], [names.executionArns], { wildcard: EXECUTIONS });
}

/** The variable that says where GitHub is. */
export function gitHubAddress(github: Required<GitHubProps>): Record<string, string> {
  return { GITHUB_API_URL: github.apiUrl };
}

/** The variables that say whose jobs are run. */
export function jobPolicy(github: Required<GitHubProps>): Record<string, string> {
  return {
    ALLOWED_OWNERS: github.allowedOwners.join(" "),
    ALLOWED_REPOSITORIES: github.allowedRepositories.join(" "),
    ALLOW_PUBLIC_REPOSITORIES: String(github.allowPublicRepositories),
    ALLOW_INTERNAL_REPOSITORIES: String(github.allowInternalRepositories),
    REQUIRED_LABELS: github.requiredLabels.join(" "),
  };
}

/** The variables of the function that asks again whose code a job runs. */
export function visibility(github: Required<GitHubProps>): Record<string, string> {
  return {
    ALLOW_PUBLIC_REPOSITORIES: String(github.allowPublicRepositories),
    ALLOW_INTERNAL_REPOSITORIES: String(github.allowInternalRepositories),
    ALLOW_FORKS: String(github.allowForks),
  };
}

/** The variables of functions that end runners and restart jobs. */
export function runnersAndJobs(
  names: Names,
  github: Required<GitHubProps>,
): Record<string, string> {
  return {
    STATE_MACHINE_ARN: names.stateMachineArn,
    CLUSTER: names.cluster,
    RUNNER_SCOPE: github.scope,
  };
}
