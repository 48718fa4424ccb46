import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { Egress } from "../egress/egress";
import { GitHubProps } from "../github-props";
import { Names } from "../names";
import { RunnerNetwork } from "../network/runner-network";
import { Permission } from "../permission";
import { Capacity } from "../runners/capacity";

/** One of the App's secrets, by the last part of its parameter's name. */
export type SecretName = "app-id" | "private-key" | "webhook-secret";

/** What a deployment knows about itself before its functions exist. */
export interface HandlerContext {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** Region, for the condition that ties the key to Parameter Store. */
  readonly region: string;
  /** How the deployment uses GitHub. */
  readonly github: Required<GitHubProps>;
  /** Where the runners are. */
  readonly network: RunnerNetwork;
  /** How GitHub is reached. */
  readonly egress: Egress;
  /** Capacity of runners that name none. */
  readonly capacity: Capacity;
  /** Whether a task definition needs the deployment's tag to be offered, or only the prefix. */
  readonly trustedDefinitions: "deployment" | "prefix";
  /** Path of the roles that tasks run under. */
  readonly taskRolePath: string;
  /**
   * Roles of repositories: which name belongs to which pattern, as JSON, and what their ARNs begin with.
   * @default - there are none
   */
  readonly repositoryRoles?: { readonly names: string; readonly path: string };
  /** Ranges of addresses that webhooks may come from; none for anywhere. */
  readonly allowedSources: readonly string[];
  /** How much the functions log. */
  readonly logLevel: string;
  /**
   * How long a job may be queued before it counts as waiting too long.
   * @default - the program's own default
   */
  readonly waitingLimit?: Duration;
  /**
   * ARN of the customer-managed key of the SecureStrings.
   * @default - the AWS-managed key `aws/ssm`, which needs no permission
   */
  readonly parameterKeyArn?: string;
}

/** An alarm on one of Lambda's own metrics of a function. */
export interface FunctionAlarm {
  /** Id of the construct; the alarm's name follows from it. */
  readonly id: string;
  /** What is watched. */
  readonly metric: (fn: lambda.IFunction) => cloudwatch.IMetric;
  /**
   * The alarm rings from this value on.
   * @default 1
   */
  readonly threshold?: number;
  /** What an operator reads. */
  readonly description: string;
}

/** What a function gets besides where a runner has warm tasks. */
export interface WarmSpec {
  /** Its environment, over what it has in every deployment. */
  readonly environment: (context: HandlerContext) => Record<string, string>;
  /** Its role, over what it may do in every deployment. */
  readonly permissions: (context: HandlerContext) => Permission[];
}

/** All that CDK has to know about one function. */
export interface HandlerSpec {
  /** One sentence for the console. */
  readonly description: string;
  /**
   * Whether only a deployment with warm tasks has it.
   * @default false
   */
  readonly onlyWithWarmTasks?: boolean;
  /** How long one invocation may take. */
  readonly timeout: Duration;
  /** In MiB; also sets the share of a processor. */
  readonly memorySize: number;
  /**
   * Whether it calls GitHub, so that it runs in the runners' network with `github.insideNetwork`.
   * @default false
   */
  readonly callsGitHub?: boolean;
  /**
   * The name in `runner.asl.json` that stands for its published version, if the state machine calls it.
   * @default - the state machine does not call it
   */
  readonly substitution?: string;
  /**
   * Its environment, besides what all functions have. Only what differs from the program's own
   * default in some deployment is here, and never a secret: secrets are read from Parameter Store.
   */
  readonly environment: (context: HandlerContext) => Record<string, string>;
  /** Its role, except for reading its secrets, writing its log and what its event sources add. */
  readonly permissions: (context: HandlerContext) => Permission[];
  /**
   * What it gets besides where a runner has warm tasks.
   * @default - nothing
   */
  readonly warm?: WarmSpec;
  /**
   * What its role may do besides where the number of runners is capped.
   * @default - it does not read the caps
   */
  readonly caps?: (context: HandlerContext) => Permission[];
  /**
   * What its role may do besides where a runner has interrupted jobs run again.
   * @default - it does not read or write notes of them
   */
  readonly reruns?: (context: HandlerContext) => Permission[];
  /**
   * The App's secrets that it reads, by the last part of their parameters' names.
   * @default - none
   */
  readonly secrets?: readonly SecretName[];
  /**
   * Alarms on the function itself.
   * @default - none
   */
  readonly alarms?: readonly FunctionAlarm[];
}
