import { Duration } from "aws-cdk-lib";
import { Capacity } from "../runners/capacity";
import { GitHubProps } from "../github-props";
import { HandlerName, Names } from "../names";
import { RunnerNetwork } from "../network/runner-network";

/** What the functions' environment is made from. */
export interface HandlerEnvironmentProps {
  /** Every fixed name and ARN of the deployment. */
  readonly names: Names;
  /** How the deployment meets GitHub. */
  readonly github: Required<GitHubProps>;
  /** Where the runners are. */
  readonly network: RunnerNetwork;
  /** Capacity of runners that don't say. */
  readonly capacity: Capacity;
  /** How much the functions log. */
  readonly logLevel: string;
  /** How long a job may be queued before it counts as waiting too long; the program's default else. */
  readonly waitingLimit?: Duration;
  /** Customer-managed key of the SecureStrings, if there is one. */
  readonly permissions: { readonly parameterKeyArn?: string };
}

/**
 * The environment of each function. Only what differs from the program's own default in some
 * deployment is here, and never a secret: secrets are read from Parameter Store by path.
 */
export function handlerEnvironment(
  props: HandlerEnvironmentProps,
): Record<HandlerName, Record<string, string>> {
  const { names, github, network } = props;
  const common = {
    DEPLOYMENT: names.deployment,
    PREFIX: names.prefix,
    LOG_LEVEL: props.logLevel,
  };
  const gitHub = { GITHUB_API_URL: github.apiUrl };
  const policy = {
    ALLOWED_OWNERS: github.allowedOwners.join(" "),
    ALLOWED_REPOSITORIES: github.allowedRepositories.join(" "),
    ALLOW_PUBLIC_REPOSITORIES: String(github.allowPublicRepositories),
    REQUIRED_LABELS: github.requiredLabels.join(" "),
  };
  const ending = {
    STATE_MACHINE_ARN: names.stateMachineArn,
    CLUSTER: names.cluster,
    RUNNER_SCOPE: github.scope,
  };
  return {
    verify: {
      ...common,
      STATE_MACHINE_ARN: names.stateMachineArn,
      CLEANUP_FUNCTION: names.function("cleanup"),
      ...policy,
    },
    match: { ...common, FAMILY_PREFIX: names.familyPrefix },
    launch: {
      ...common,
      CLUSTER: names.cluster,
      SUBNETS: network.subnets.map((subnet) => subnet.subnetId).join(","),
      SECURITY_GROUPS: network.securityGroups.map((group) => group.securityGroupId).join(","),
      ASSIGN_PUBLIC_IP: String(network.assignPublicIp),
      CAPACITY: props.capacity.toString(),
    },
    token: {
      ...common,
      ...gitHub,
      RUNNER_SCOPE: github.scope,
      RUNNER_GROUP: github.runnerGroup,
      REGISTRATION: github.registration,
      ...(props.permissions.parameterKeyArn && { KMS_KEY_ID: props.permissions.parameterKeyArn }),
    },
    cleanup: {
      ...common,
      ...gitHub,
      ...ending,
      RUNNER_LOG_GROUP: names.runnerLogGroup,
      ...(github.checkRuns && { CHECK_RUNS: "true" }),
    },
    sweep: {
      ...common,
      ...gitHub,
      ...ending,
      FAMILY_PREFIX: names.familyPrefix,
      ...(github.reconcileCalls > 0 && {
        ...policy,
        RECONCILE_CALLS: String(github.reconcileCalls),
      }),
      ...(props.waitingLimit && {
        WAITING_LIMIT_SECONDS: String(props.waitingLimit.toSeconds()),
      }),
    },
  };
}
