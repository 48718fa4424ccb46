import { HandlerName, Names } from "../names";
import { allow, Permission } from "../permission";

/** What the statements name besides what {@link Names} gives. */
export interface PermissionsProps {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** Region, for the condition that ties the key to Parameter Store. */
  readonly region: string;
  /**
   * ARN of the customer-managed key of the SecureStrings.
   * @default - the AWS-managed key `aws/ssm`, which needs no permission
   */
  readonly parameterKeyArn?: string;
}

/**
 * Who may call what: the whole of each function's role, except for writing its own log and for
 * what its event sources add.
 *
 * The public-facing function reads the webhook's secret and nothing else; the App's private key is
 * readable by those three that talk to GitHub.
 */
export function handlerPermissions(handler: HandlerName, props: PermissionsProps): Permission[] {
  const { names } = props;
  switch (handler) {
    case "verify":
      return [
        ...readSecrets(props, "ssm:GetParameter", `${names.githubParameters}/webhook-secret`),
        allow(["states:StartExecution"], [names.stateMachineArn]),
        allow(["states:DescribeExecution"], [names.executionArns], { wildcard: EXECUTIONS }),
        allow(["lambda:InvokeFunction"], [names.functionArn("cleanup")]),
      ];
    case "match":
      return [
        readTaskDefinitions(),
        allow(["ssm:GetParameter"], [names.parameterArn(names.catalogueParameter)]),
      ];
    case "launch":
      return [];
    case "token":
      return [...readAppKey(props), ...writeRunnerParameters(props)];
    case "cleanup":
      return [...readAppKey(props), ...endRunners(names), ...followExecutions(names)];
    case "sweep":
      return [
        ...readAppKey(props),
        ...endRunners(names),
        ...followExecutions(names),
        // What nobody speaks for any more is found by listing.
        allow(["ssm:DescribeParameters"], ["*"], {
          wildcard: "The call can't be limited to a path; it shows names, never values.",
        }),
        allow(["states:ListExecutions"], [names.stateMachineArn]),
        readTaskDefinitions(),
        allow(["ssm:PutParameter"], [names.parameterArn(names.catalogueParameter)]),
        // How far back it has looked through GitHub's deliveries.
        allow(["ssm:GetParameter", "ssm:PutParameter"], [names.parameterArn(names.sweepMark)]),
        allow(["ssm:GetParameter"], [names.parameterArn(`${names.runnerVersions}/*`)], {
          wildcard: "Each image that is rebuilt tells its runner's version in a parameter there.",
        }),
      ];
  }
}

/**
 * What the agent in the container may call: take its registration, then delete it.
 *
 * Never a call that lists parameters: the 128 random bits in the path are what keeps one job from
 * reading another runner's registration with the same role.
 */
export function agentPermissions(props: PermissionsProps): Permission[] {
  const { names } = props;
  return [
    ...readSecrets(props, "ssm:GetParameter", `${names.runnerParameters}/*`),
    allow(["ssm:DeleteParameter"], [names.parameterArn(`${names.runnerParameters}/*`)], {
      wildcard: RUNNERS,
    }),
  ];
}

const EXECUTIONS = "The machine's executions are named after jobs, which nobody knows beforehand.";
const TASKS = "ECS names tasks itself; all of this cluster's are runners.";
const RUNNERS = "Runners are named after jobs, and each parameter's path ends in 128 random bits.";

function readAppKey(props: PermissionsProps): Permission[] {
  const path = props.names.githubParameters;
  // Both at once: one call out of Parameter Store's 40 a second.
  return readSecrets(props, "ssm:GetParameters", `${path}/app-id`, `${path}/private-key`);
}

function readSecrets(
  props: PermissionsProps,
  action: string,
  ...parameters: string[]
): Permission[] {
  const arns = parameters.map((name) => props.names.parameterArn(name));
  const wildcard = parameters.some((name) => name.endsWith("*")) ? RUNNERS : undefined;
  return [allow([action], arns, { wildcard }), ...useKey(props, ["kms:Decrypt"], arns)];
}

function writeRunnerParameters(props: PermissionsProps): Permission[] {
  const arn = props.names.parameterArn(`${props.names.runnerParameters}/*`);
  return [
    allow(["ssm:PutParameter", "ssm:AddTagsToResource"], [arn], { wildcard: RUNNERS }),
    // Encrypt for the Standard tier, GenerateDataKey for the Advanced tier:
    // https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
    ...useKey(props, ["kms:Encrypt", "kms:GenerateDataKey"], [arn]),
  ];
}

/**
 * The key may be used only through Parameter Store and only for these parameters: Parameter Store
 * puts the parameter's ARN into the encryption context, so one key keeps the secrets apart.
 */
function useKey(props: PermissionsProps, actions: string[], parameterArns: string[]): Permission[] {
  if (props.parameterKeyArn === undefined) {
    return [];
  }
  return [
    allow(actions, [props.parameterKeyArn], {
      conditions: {
        StringEquals: { "kms:ViaService": `ssm.${props.region}.amazonaws.com` },
        StringLike: { "kms:EncryptionContext:PARAMETER_ARN": parameterArns },
      },
    }),
  ];
}

function readTaskDefinitions(): Permission {
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
  return allow(["ecs:ListTaskDefinitionFamilies", "ecs:DescribeTaskDefinition"], ["*"], {
    wildcard: "Neither call can be limited to a resource.",
  });
}

function endRunners(names: Names): Permission[] {
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

function followExecutions(names: Names): Permission[] {
  return [
    allow(["states:StartExecution"], [names.stateMachineArn]),
    allow(
      ["states:DescribeExecution", "states:StopExecution", "states:GetExecutionHistory"],
      [names.executionArns],
      { wildcard: EXECUTIONS },
    ),
  ];
}
