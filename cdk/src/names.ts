import { ArnFormat, Stack } from "aws-cdk-lib";
import { Construct } from "constructs";
import { invalidProp } from "./invalid-prop";

/** What the keys of our tags on tasks begin with, and the names of the tasks' groups. */
export const TAG_PREFIX = "fargate-runners";

/** The cost-allocation tag of everything that a deployment consists of; tasks have it from their definitions. */
export const DEPLOYMENT_TAG = `${TAG_PREFIX}:deployment`;

/**
 * The tag that says whose a task definition is: the prefix, which no other deployment has in the same
 * account and Region. Only definitions that carry it are offered to jobs.
 */
export const PREFIX_TAG = `${TAG_PREFIX}:prefix`;

/**
 * Every name that two parts must agree on, derived from the prefix alone.
 *
 * The functions, the state machine, the cluster and the task definitions carry fixed names because
 * they refer to each other in a circle (the machine calls `cleanup`, `cleanup` restarts the
 * machine): an ARN built from a name breaks the circle, a CloudFormation reference would close it.
 */
export class Names {
  /** SSM path of the secrets that `fargate-runners setup` writes. */
  readonly githubParameters: string;
  /** Alias of the key of the App's secrets, where the construct makes one. */
  readonly secretsKeyAlias: string;
  /** SSM path under which each runner finds its registration. */
  readonly runnerParameters: string;
  /** SSM parameter that tells `fargate-runners setup` whose jobs are run. */
  readonly policyParameter: string;
  /** SSM parameter that is there while `fargate-runners pause` holds. */
  readonly pausedParameter: string;
  /** SSM parameter in which `sweep` publishes the catalogue of task definitions. */
  readonly catalogueParameter: string;
  /** SSM parameter in which `sweep` remembers how far back it has seen GitHub's deliveries. */
  readonly sweepMark: string;
  /** SSM path of the runner versions of rebuilt images. */
  readonly runnerVersions: string;
  /** Name of the state machine. */
  readonly stateMachine: string;
  /** Name of the ECS cluster. */
  readonly cluster: string;
  /** Log group of all runners: one stream per task. */
  readonly runnerLogGroup: string;
  /** Prefix of every task definition's family; `match` filters by it. */
  readonly familyPrefix: string;
  /** Table of the stock of warm tasks, where there is one. */
  readonly stockTable: string;
  /** ECS group of the tasks that were started for the stock. */
  readonly warmGroup: string;

  constructor(
    private readonly scope: Construct,
    readonly prefix: string,
    readonly deployment: string,
  ) {
    // SSM refuses names that begin with `aws` or `ssm`; a Lambda function's name holds 64
    // characters, of which `-cleanup` takes 8; CloudWatch Logs, ECS and Step Functions allow more.
    if (!/^[a-z][a-z0-9-]{0,38}[a-z0-9]$/.test(prefix) || /^(aws|ssm)/.test(prefix)) {
      throw invalidProp(
        "prefix",
        prefix,
        "2 to 40 characters of a-z, 0-9 and '-', beginning with a letter, ending without '-', and not beginning with 'aws' or 'ssm', which Parameter Store reserves",
      );
    }
    if (!/^[a-z0-9]{1,5}$/.test(deployment)) {
      throw invalidProp(
        "deployment",
        deployment,
        "1 to 5 characters of a-z and 0-9 (every runner's name at GitHub begins with it)",
      );
    }
    this.githubParameters = `/${prefix}/github`;
    this.secretsKeyAlias = `alias/${prefix}-secrets`;
    this.runnerParameters = `/${prefix}/runners`;
    this.policyParameter = `/${prefix}/policy`;
    this.pausedParameter = `/${prefix}/paused`;
    this.catalogueParameter = `/${prefix}/catalogue`;
    this.sweepMark = `/${prefix}/sweep/deliveries-seen`;
    this.runnerVersions = `/${prefix}/runner-versions`;
    this.stateMachine = prefix;
    this.cluster = prefix;
    this.runnerLogGroup = `/ecs/${prefix}`;
    this.familyPrefix = `${prefix}-`;
    this.stockTable = `${prefix}-stock`;
    this.warmGroup = `${TAG_PREFIX}:${deployment}:warm`;
  }

  /** The name of a function, from its key in `HANDLERS`. */
  function(handler: string): string {
    return `${this.prefix}-${handler}`;
  }

  /** The ARN of a function, without a version. */
  functionArn(handler: string): string {
    return this.arn("lambda", "function", this.function(handler), ArnFormat.COLON_RESOURCE_NAME);
  }

  /** The ARN of the state machine. */
  get stateMachineArn(): string {
    return this.arn("states", "stateMachine", this.stateMachine, ArnFormat.COLON_RESOURCE_NAME);
  }

  /** The ARNs of the machine's executions. */
  get executionArns(): string {
    return this.arn("states", "execution", `${this.stateMachine}:*`, ArnFormat.COLON_RESOURCE_NAME);
  }

  /** The ARN of the cluster. */
  get clusterArn(): string {
    return this.arn("ecs", "cluster", this.cluster);
  }

  /** The ARNs of the cluster's tasks. */
  get taskArns(): string {
    return this.arn("ecs", "task", `${this.cluster}/*`);
  }

  /** The ARN of the table of the stock. */
  get stockTableArn(): string {
    return this.arn("dynamodb", "table", this.stockTable);
  }

  /** The ARNs of the cluster's instances. */
  get containerInstanceArns(): string {
    return this.arn("ecs", "container-instance", `${this.cluster}/*`);
  }

  /** The ARNs of every task definition that `match` may choose, whoever registered it. */
  get taskDefinitionArns(): string {
    return this.arn("ecs", "task-definition", `${this.familyPrefix}*`);
  }

  /** The ARN of an SSM parameter whose name begins with a slash; may end in `*`. */
  parameterArn(name: string): string {
    return this.arn("ssm", "parameter", name.replace(/^\//, ""));
  }

  /** The rule by which Step Functions learns that a task has ended; it makes it itself. */
  get managedRuleArn(): string {
    return this.arn("events", "rule", "StepFunctionsGetEventsForECSTaskRule");
  }

  /** The ARNs of all roles under a path, which begins and ends with a slash. */
  roleArns(path: string): string {
    return Stack.of(this.scope).formatArn({
      service: "iam",
      region: "",
      resource: "role",
      resourceName: `${path.slice(1)}*`,
    });
  }

  private arn(
    service: string,
    resource: string,
    resourceName: string,
    arnFormat = ArnFormat.SLASH_RESOURCE_NAME,
  ): string {
    return Stack.of(this.scope).formatArn({ service, resource, resourceName, arnFormat });
  }
}
