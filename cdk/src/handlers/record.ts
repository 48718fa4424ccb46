import { Duration } from "aws-cdk-lib";
import { allow } from "../permission";
import {
  describeExecutions,
  endRunners,
  followExecutions,
  gitHubAddress,
  jobPolicy,
  readTaskDefinitions,
  runnersAndJobs,
  visibility,
  writeRunnerParameters,
} from "./grants";
import { Handler } from "./handler";
import { HandlerContext, HandlerSpec } from "./handler-spec";
import {
  claimTasks,
  endJobs,
  keepStock,
  noteJobs,
  noteLostJobs,
  repairSlots,
  repairStock,
  rerunLostJobs,
  shareSlots,
} from "./stock-grants";

/** What a function needs to act as the App. */
const APP_KEY = ["app-id", "private-key"] as const;

/** Where a runner's tasks start. */
function placement({ names, network }: HandlerContext): Record<string, string> {
  return {
    CLUSTER: names.cluster,
    SUBNETS: network.subnets.map((subnet) => subnet.subnetId).join(","),
    SECURITY_GROUPS: network.securityGroups.map((group) => group.securityGroupId).join(","),
    ASSIGN_PUBLIC_IP: String(network.assignPublicIp),
  };
}

/** The table of the stock, for the functions that write to it. */
const stockTable = ({ names }: HandlerContext) => ({ TABLE: names.stockTable });

/**
 * The functions, named after their directories in `handlers/`. Everything that differs between them
 * is here; their triggers are in `triggers.ts`, `front-door.ts` and `runner-machine.ts`.
 *
 * The public-facing function reads the webhook's secret and nothing else; the App's private key is
 * readable by those three that call GitHub.
 */
export const HANDLERS = {
  verify: {
    description: "Checks a webhook's signature and starts the job's execution",
    // GitHub closes the connection after 10 seconds.
    timeout: Duration.seconds(9),
    memorySize: 256,
    environment: ({ names, github, allowedSources }) => ({
      STATE_MACHINE_ARN: names.stateMachineArn,
      CLEANUP_FUNCTION: names.function("cleanup"),
      ...jobPolicy(github),
      ...(allowedSources.length > 0 && { ALLOWED_SOURCES: allowedSources.join(" ") }),
    }),
    secrets: ["webhook-secret"],
    permissions: ({ names }) => [
      allow(["states:StartExecution"], [names.stateMachineArn]),
      describeExecutions(names),
      allow(["lambda:InvokeFunction"], [names.functionArn("cleanup")]),
      // While the deployment is paused, jobs stay queued at GitHub.
      allow(["ssm:GetParameter"], [names.parameterArn(names.pausedParameter)]),
    ],
    warm: { environment: stockTable, permissions: noteJobs },
    alarms: [
      {
        id: "WebhookThrottled",
        metric: (verify) => verify.metricThrottles({ period: Duration.minutes(5) }),
        description:
          "Lambda throttled the webhook: the account has no concurrency left. The sweep has GitHub redeliver within minutes. Request a higher quota of concurrent executions.",
      },
    ],
  },
  match: {
    description: "Finds the task definition whose labels serve a job",
    timeout: Duration.seconds(60),
    memorySize: 256,
    substitution: "MatchFunction",
    environment: ({ names, trustedDefinitions }) => ({
      FAMILY_PREFIX: names.familyPrefix,
      TRUSTED_DEFINITIONS: trustedDefinitions,
    }),
    permissions: ({ names }) => [
      readTaskDefinitions(),
      allow(["ssm:GetParameter"], [names.parameterArn(names.catalogueParameter)]),
    ],
  },
  launch: {
    description: "Builds the request that starts a runner's task",
    timeout: Duration.seconds(10),
    memorySize: 128,
    substitution: "LaunchFunction",
    environment: (context) => ({
      ...placement(context),
      CAPACITY: context.capacity.toString(),
      ...(context.repositoryRoles && {
        REPOSITORY_ROLES: context.repositoryRoles.names,
        TASK_ROLES: context.repositoryRoles.path,
        RUNNER_SCOPE: context.github.scope,
      }),
    }),
    permissions: () => [],
  },
  token: {
    description: "Registers a runner at GitHub and leaves its configuration in Parameter Store",
    // A burst is throttled first by Parameter Store, at 40 writes a second.
    timeout: Duration.seconds(60),
    memorySize: 256,
    callsGitHub: true,
    substitution: "TokenFunction",
    environment: ({ github, parameterKeyArn }) => ({
      ...gitHubAddress(github),
      RUNNER_SCOPE: github.scope,
      RUNNER_GROUP: github.runnerGroup,
      REGISTRATION: github.registration,
      ...visibility(github),
      ...(parameterKeyArn && { KMS_KEY_ID: parameterKeyArn }),
    }),
    secrets: APP_KEY,
    permissions: writeRunnerParameters,
    warm: {
      environment: (context) => ({
        ...stockTable(context),
        STOCK_FUNCTION: context.names.function("stock"),
      }),
      permissions: claimTasks,
    },
    caps: shareSlots,
  },
  cleanup: {
    description: "Removes what a runner leaves behind and checks that its job left the queue",
    timeout: Duration.seconds(60),
    memorySize: 256,
    callsGitHub: true,
    substitution: "CleanupFunction",
    environment: ({ names, github }) => ({
      ...gitHubAddress(github),
      ...runnersAndJobs(names, github),
      RUNNER_LOG_GROUP: names.runnerLogGroup,
      ...(github.checkRuns && { CHECK_RUNS: "true" }),
    }),
    secrets: APP_KEY,
    permissions: ({ names }) => [...endRunners(names), ...followExecutions(names)],
    warm: { environment: stockTable, permissions: endJobs },
    caps: shareSlots,
    reruns: noteLostJobs,
  },
  sweep: {
    description: "Finds and repairs what events have missed",
    // Less than its schedule of five minutes, so that two never run at once.
    timeout: Duration.seconds(240),
    memorySize: 256,
    callsGitHub: true,
    environment: ({ names, github, waitingLimit, trustedDefinitions }) => ({
      ...gitHubAddress(github),
      ...runnersAndJobs(names, github),
      FAMILY_PREFIX: names.familyPrefix,
      TRUSTED_DEFINITIONS: trustedDefinitions,
      ...(github.reconcileCalls > 0 && {
        ...jobPolicy(github),
        RECONCILE_CALLS: String(github.reconcileCalls),
      }),
      ...(waitingLimit && { WAITING_LIMIT_SECONDS: String(waitingLimit.toSeconds()) }),
    }),
    secrets: APP_KEY,
    permissions: ({ names }) => {
      return [
        ...endRunners(names),
        ...followExecutions(names),
        // Registrations whose runner and execution are gone are found by listing.
        allow(["ssm:DescribeParameters"], ["*"], {
          wildcard: "The call can't be limited to a path; it shows names, never values.",
        }),
        allow(["states:ListExecutions"], [names.stateMachineArn]),
        readTaskDefinitions(),
        // What it published before tells which families are new.
        allow(
          ["ssm:GetParameter", "ssm:PutParameter"],
          [names.parameterArn(names.catalogueParameter)],
        ),
        // While the deployment is paused, it begins no job. The other says how far back it has looked
        // through GitHub's deliveries.
        allow(
          ["ssm:GetParameters"],
          [names.parameterArn(names.pausedParameter), names.parameterArn(names.sweepMark)],
        ),
        allow(["ssm:PutParameter"], [names.parameterArn(names.sweepMark)]),
        allow(["ssm:GetParameter"], [names.parameterArn(`${names.runnerVersions}/*`)], {
          wildcard: "Each rebuilt image writes its runner's version to a parameter there.",
        }),
      ];
    },
    warm: { environment: stockTable, permissions: repairStock },
    caps: repairSlots,
    reruns: rerunLostJobs,
    alarms: [
      {
        id: "SweepFails",
        metric: (sweep) => sweep.metricErrors({ period: Duration.minutes(15) }),
        threshold: 2,
        description:
          "The sweep fails repeatedly, so missed events are not repaired. Read the log of sweep.",
      },
    ],
  },
  stock: {
    description: "Keeps warm tasks ready, as many as the runners' settings want",
    onlyWithWarmTasks: true,
    // Less than its schedule of a minute, so that two ticks never run at once.
    timeout: Duration.seconds(50),
    memorySize: 256,
    environment: (context) => ({ ...placement(context), ...stockTable(context) }),
    permissions: keepStock,
    alarms: [
      {
        id: "StockFails",
        metric: (stock) => stock.metricErrors({ period: Duration.minutes(15) }),
        threshold: 5,
        description:
          "The keeper of warm tasks fails repeatedly, so used ones are not replaced and jobs start cold. Read the log of stock.",
      },
    ],
  },
} as const satisfies Record<string, HandlerSpec>;

/** One of the functions. */
export type HandlerName = keyof typeof HANDLERS;

/** One of the functions that only a deployment with warm tasks has. */
export type WarmHandlerName = {
  [Name in HandlerName]: (typeof HANDLERS)[Name] extends { onlyWithWarmTasks: true } ? Name : never;
}[HandlerName];

/** The functions of a deployment by name. */
export type DeployedHandlers = Readonly<
  Record<Exclude<HandlerName, WarmHandlerName>, Handler> & Partial<Record<WarmHandlerName, Handler>>
>;

/** The functions' names, in the order in which a job meets them. */
export const HANDLER_NAMES = Object.keys(HANDLERS) as readonly HandlerName[];

/** The functions that every deployment has. */
export const STANDING_HANDLERS = HANDLER_NAMES.filter(
  (name) => !handlerSpec(name).onlyWithWarmTasks,
) as readonly Exclude<HandlerName, WarmHandlerName>[];

/** What the record says about one of them. */
export function handlerSpec(name: HandlerName): HandlerSpec {
  return HANDLERS[name];
}
