import * as iam from "aws-cdk-lib/aws-iam";
import { HandlerName, Names } from "./names";

/** What the statements name besides what {@link Names} gives. */
export interface PermissionsProps {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /**
   * Customer-managed key of the SecureStrings.
   * @default - the AWS-managed key `aws/ssm`, which needs no permission
   */
  readonly parameterKeyArn?: string;
  /** Region, for the condition that ties the key to Parameter Store. */
  readonly region: string;
}

/**
 * Who may call what: the whole of each function's role, except for writing its own log and for
 * what its event sources add.
 *
 * The public-facing function reads the webhook's secret and nothing else; the App's private key is
 * readable by those three that talk to GitHub.
 */
export function handlerPermissions(
  handler: HandlerName,
  props: PermissionsProps,
): iam.PolicyStatement[] {
  const { names } = props;
  switch (handler) {
    case "verify":
      return [
        ...readSecrets(props, `${names.githubParameters}/webhook-secret`),
        allow(["states:StartExecution"], names.stateMachineArn),
        allow(["states:DescribeExecution"], names.executionArns),
        allow(["lambda:InvokeFunction"], names.functionArn("cleanup")),
      ];
    case "match":
      return [
        readTaskDefinitions(),
        allow(["ssm:GetParameter"], names.parameterArn(names.catalogueParameter)),
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
        allow(["states:ListExecutions"], names.stateMachineArn),
        readTaskDefinitions(),
        allow(["ssm:PutParameter"], names.parameterArn(names.catalogueParameter)),
        allow(["lambda:InvokeFunction"], names.functionArn("cleanup")),
      ];
  }
}

/**
 * What the agent in the container may call: take its registration, then delete it.
 *
 * Never a call that lists parameters: the 128 random bits in the path are what keeps one job from
 * reading another runner's registration with the same role.
 */
export function agentPermissions(props: PermissionsProps): iam.PolicyStatement[] {
  const { names } = props;
  return [
    ...readSecrets(props, `${names.runnerParameters}/*`),
    allow(["ssm:DeleteParameter"], names.parameterArn(`${names.runnerParameters}/*`)),
  ];
}

/** A statement that allows actions on resources. */
export function allow(actions: string[], ...resources: string[]): iam.PolicyStatement {
  return new iam.PolicyStatement({ actions, resources });
}

function readAppKey(props: PermissionsProps): iam.PolicyStatement[] {
  const path = props.names.githubParameters;
  return readSecrets(props, `${path}/app-id`, `${path}/private-key`);
}

function readSecrets(props: PermissionsProps, ...parameters: string[]): iam.PolicyStatement[] {
  const arns = parameters.map((name) => props.names.parameterArn(name));
  return [allow(["ssm:GetParameter"], ...arns), ...useKey(props, ["kms:Decrypt"], arns)];
}

function writeRunnerParameters(props: PermissionsProps): iam.PolicyStatement[] {
  const arn = props.names.parameterArn(`${props.names.runnerParameters}/*`);
  return [
    allow(["ssm:PutParameter", "ssm:AddTagsToResource"], arn),
    // Encrypt for the Standard tier, GenerateDataKey for the Advanced tier:
    // https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
    ...useKey(props, ["kms:Encrypt", "kms:GenerateDataKey"], [arn]),
  ];
}

/**
 * The key may be used only through Parameter Store and only for these parameters: Parameter Store
 * puts the parameter's ARN into the encryption context, so one key keeps the secrets apart.
 */
function useKey(
  props: PermissionsProps,
  actions: string[],
  parameterArns: string[],
): iam.PolicyStatement[] {
  if (props.parameterKeyArn === undefined) {
    return [];
  }
  return [
    new iam.PolicyStatement({
      actions,
      resources: [props.parameterKeyArn],
      conditions: {
        StringEquals: { "kms:ViaService": `ssm.${props.region}.amazonaws.com` },
        StringLike: { "kms:EncryptionContext:PARAMETER_ARN": parameterArns },
      },
    }),
  ];
}

function readTaskDefinitions(): iam.PolicyStatement {
  // Neither call can be limited to a resource:
  // https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
  return allow(["ecs:ListTaskDefinitionFamilies", "ecs:DescribeTaskDefinition"], "*");
}

function endRunners(names: Names): iam.PolicyStatement[] {
  const inCluster = { ArnEquals: { "ecs:cluster": names.clusterArn } };
  return [
    allow(["ssm:DeleteParameter"], names.parameterArn(`${names.runnerParameters}/*`)),
    // Finds a runner's parameter from the runner's name; the call can't be limited to a path.
    allow(["ssm:DescribeParameters"], "*"),
    // ListTasks is limited by container instance, which Fargate has none of: hence the condition.
    new iam.PolicyStatement({
      actions: ["ecs:ListTasks"],
      resources: ["*"],
      conditions: inCluster,
    }),
    new iam.PolicyStatement({
      actions: ["ecs:DescribeTasks", "ecs:StopTask"],
      resources: [names.taskArns],
      conditions: inCluster,
    }),
  ];
}

function followExecutions(names: Names): iam.PolicyStatement[] {
  return [
    allow(["states:StartExecution"], names.stateMachineArn),
    allow(
      ["states:DescribeExecution", "states:StopExecution", "states:GetExecutionHistory"],
      names.executionArns,
    ),
  ];
}
