import { readFileSync } from "node:fs";
import { RetentionDays } from "aws-cdk-lib/aws-logs";
import { WarmHours, WarmLinger } from "../src";
import { placeOf, within } from "./failure";
import { Keys, ownKeys, unknownKey, unknownNestedKey, unknownRunnerKey } from "./keys";
import {
  boolean,
  decimal,
  counts,
  int,
  intOr,
  list,
  listOf,
  nested,
  oneOf,
  Parser,
  text,
} from "./parsers";
import {
  fargateCapacity,
  keyArn,
  policyArn,
  principalArns,
  rolesByRepository,
  securityGroupIds,
  subnetIds,
  topicArn,
  vpcId,
} from "./values";

/** Warm tasks of a runner; times of the day are in UTC. */
export interface WarmConfig {
  /**
   * How many are ready at all times; with `schedule`, outside of its hours.
   * @default - none
   */
  readonly size?: number;
  /**
   * Hours with another number: objects with `days` (mon to sun), `from`, `to` (HH:MM) and `size`.
   * @default - none
   */
  readonly schedule?: WarmHours[];
  /**
   * How many stay ready after a job: an object with `size`, `minutes`, and `from` and `to` (HH:MM) if not all day.
   * @default - none
   */
  readonly linger?: WarmLinger;
  /**
   * After how many minutes a fresh task replaces one, from 10 on.
   * @default 360
   */
  readonly maxAgeMinutes?: number;
  /**
   * How many one repository may take within a minute.
   * @default - any number
   */
  readonly maxPerRepository?: number;
  /**
   * Whether they run on Fargate Spot.
   * @default - true where capacity begins with FARGATE_SPOT
   */
  readonly spot?: boolean;
}

/** A runner of the configuration. */
export interface RunnerConfig {
  /**
   * What follows the prefix in the task definition's family.
   * @default - ubuntu-x64 or ubuntu-arm64
   */
  readonly name?: string;
  /**
   * Labels that it offers.
   * @default - self-hosted, linux, x64 or arm64, ubuntu
   */
  readonly labels?: string[];
  /**
   * Its processor.
   * @default "x64"
   */
  readonly architecture?: "x64" | "arm64";
  /**
   * Image, by URI.
   * @default - the image above
   */
  readonly image?: string;
  /**
   * The version of GitHub's runner in that image, like `2.338.0`, or the name of an SSM parameter
   * below `/PREFIX/runner-versions/` that holds it.
   * @default - unknown: no alarm when it is too old
   */
  readonly runnerVersion?: string;
  /**
   * Whether the image is built inside AWS, after each deployment and every week.
   * @default false
   */
  readonly rebuildWeekly?: boolean;
  /**
   * CPU units; 1024 is one vCPU.
   * @default 2048
   */
  readonly cpu?: number;
  /**
   * Memory in MiB.
   * @default 4096
   */
  readonly memoryMiB?: number;
  /**
   * Repositories whose jobs may use it, as `owner/name` or `owner/*`.
   * @default - all that the deployment serves
   */
  readonly repositories?: string[];
  /**
   * Runner group that its runners join at organization scope.
   * @default - the runnerGroup above
   */
  readonly runnerGroup?: string;
  /**
   * Whether `fargate-runners shell JOB` may open a shell in a running job's container: read SECURITY.md first.
   * @default false
   */
  readonly shell?: boolean;
  /**
   * Disk in GiB, 20 to 200.
   * @default 20
   */
  readonly ephemeralStorageGiB?: number;
  /**
   * The most vCPUs that a job may ask for by a label such as `cpu-4`.
   * @default - the runner's own
   */
  readonly maxCpu?: number;
  /**
   * The most memory in GiB that a job may ask for by a label such as `ram-16`.
   * @default - the runner's own
   */
  readonly maxMemory?: number;
  /**
   * The most disk in GiB that a job may ask for by a label such as `disk-100`.
   * @default - the runner's own
   */
  readonly maxDisk?: number;
  /**
   * Fargate's capacity providers in order of preference.
   * @default - the capacity above
   */
  readonly capacity?: string[];
  /**
   * Tasks that are ready before a job comes: a number, or an object with the keys below.
   * @default - none
   */
  readonly warm?: number | WarmConfig;
  /**
   * Whether a job is run again, at most twice and then on demand, if Spot or the platform takes it away
   * while it runs. The App needs `actions: write`.
   * @default false
   */
  readonly rerunAfterInterruption?: boolean;
  /**
   * How many of its runners may run at once.
   * @default - as many as there are jobs
   */
  readonly maxRunning?: number;
}

/**
 * Configuration of the app: a JSON file (`-c config=FILE`), single keys (`-c KEY=VALUE`), or both,
 * where a single key wins. The constructs have more props than the app has keys.
 */
export interface Config {
  /**
   * What the deployment's names begin with.
   * @default "fargate-runners"
   */
  readonly prefix?: string;
  /**
   * What each runner's name at GitHub begins with.
   * @default "fr"
   */
  readonly deployment?: string;

  /**
   * Address of GitHub's API.
   * @default "https://api.github.com"
   */
  readonly githubApiUrl?: string;
  /**
   * Whether GitHub is inside the runners' network.
   * @default false
   */
  readonly githubInsideNetwork?: boolean;
  /**
   * Where runners are registered.
   * @default "repository"
   */
  readonly runnerScope?: "repository" | "organization";
  /**
   * Runner group at organization scope.
   * @default "Default"
   */
  readonly runnerGroup?: string;
  /**
   * How a runner is registered.
   * @default "jit"
   */
  readonly registration?: "jit" | "token";
  /**
   * Owners whose jobs are run; `*` for all that install the App. Required, unless
   * `allowedRepositories` is given.
   * @default - none
   */
  readonly allowedOwners?: string[];
  /**
   * Repositories whose jobs are run.
   * @default - all of the allowed owners
   */
  readonly allowedRepositories?: string[];
  /**
   * Whether public repositories' jobs are run.
   * @default false
   */
  readonly allowPublicRepositories?: boolean;
  /**
   * Whether internal repositories' jobs are run.
   * @default false
   */
  readonly allowInternalRepositories?: boolean;
  /**
   * Whether jobs run the code of forks.
   * @default true
   */
  readonly allowForks?: boolean;
  /**
   * Labels that a job must ask for.
   * @default - self-hosted
   */
  readonly requiredLabels?: string[];
  /**
   * Calls that each sweep may spend on queued jobs in `allowedRepositories` whose webhook never came.
   * @default - 0
   */
  readonly reconcileCalls?: number;
  /**
   * Whether a job that is given up leaves a neutral check run on its commit.
   * @default false
   */
  readonly checkRuns?: boolean;

  /**
   * The runners, instead of the default one.
   * @default - one, as the keys below describe it
   */
  readonly runners?: RunnerConfig[];
  /**
   * Image, by URI, of the runners that name none.
   * @default - built from images/ubuntu
   */
  readonly image?: string;
  /**
   * The version of GitHub's runner in that image, like `2.338.0`, or the name of an SSM parameter
   * below `/PREFIX/runner-versions/` that holds it.
   * @default - unknown: no alarm when it is too old
   */
  readonly runnerVersion?: string;
  /**
   * Whether the default runner's image is built inside AWS, instead of by `cdk deploy`.
   * @default false
   */
  readonly rebuildWeekly?: boolean;
  /**
   * Labels of the default runner.
   * @default - self-hosted, linux, x64 or arm64, ubuntu
   */
  readonly labels?: string[];
  /**
   * The most vCPUs that a job may ask the default runner for by a label such as `cpu-4`.
   * @default - its own, 2
   */
  readonly maxCpu?: number;
  /**
   * The most memory in GiB that a job may ask the default runner for by a label such as `ram-16`.
   * @default - its own, 4
   */
  readonly maxMemory?: number;
  /**
   * The most disk in GiB that a job may ask the default runner for by a label such as `disk-100`.
   * @default - its own, 20
   */
  readonly maxDisk?: number;
  /**
   * Processor of the default runner.
   * @default "x64"
   */
  readonly runnerArchitecture?: "x64" | "arm64";
  /**
   * Fargate's capacity providers in order of preference, for runners that name none.
   * @default - FARGATE
   */
  readonly capacity?: string[];
  /**
   * Tasks of the default runner that are ready before a job comes: a number, or an object with the keys below.
   * @default - none
   */
  readonly warm?: number | WarmConfig;
  /**
   * Whether a job is run again, at most twice and then on demand, if Spot or the platform takes it away
   * while it runs. The App needs `actions: write`.
   * @default false
   */
  readonly rerunAfterInterruption?: boolean;

  /**
   * How many runners may run at once; a job beyond waits for its turn.
   * @default - as many as there are jobs; 800 where repositories or runners are capped
   */
  readonly maxRunning?: number;
  /**
   * How many runners of one repository may run at once.
   * @default - as many as there are jobs
   */
  readonly maxRunningPerRepository?: number;
  /**
   * The same for single repositories: an object of numbers by `owner/name`.
   * @default - none differs
   */
  readonly maxRunningOf?: Record<string, number>;
  /**
   * How many minutes a job may take, up to 7200 (5 days).
   * @default 360
   */
  readonly maxJobDurationMinutes?: number;
  /**
   * Which task definitions are offered: those with this deployment's tag, or all with the prefix.
   * @default "deployment"
   */
  readonly trustedDefinitions?: "deployment" | "prefix";
  /**
   * ARNs of roles that the jobs of single repositories run under: an object by `owner/name` or `owner/*`.
   * Their path is `rolePath` and `tasks/`.
   * @default - none
   */
  readonly repositoryRoles?: Record<string, string>;

  /**
   * Where the runners are; an existing VPC follows from `vpcId`.
   * @default "public"
   */
  readonly network?: "public" | "nat" | "isolated";
  /**
   * Addresses of a new VPC.
   * @default "10.0.0.0/16"
   */
  readonly cidr?: string;
  /**
   * Zones of a new VPC.
   * @default 2
   */
  readonly maxAzs?: number;
  /**
   * NAT gateways of a new VPC.
   * @default 1
   */
  readonly natGateways?: number;
  /**
   * Whether connections in a new VPC are logged.
   * @default false
   */
  readonly flowLogs?: boolean;
  /**
   * An existing VPC.
   * @default - a new one
   */
  readonly vpcId?: string;
  /**
   * Subnets of the existing VPC.
   * @default - the VPC's private ones, looked up
   */
  readonly subnetIds?: string[];
  /**
   * Security groups in the existing VPC.
   * @default - a new one without ingress
   */
  readonly securityGroupIds?: string[];
  /**
   * Whether tasks in the existing VPC's subnets get a public address.
   * @default false
   */
  readonly assignPublicIp?: boolean;
  /**
   * PEM file with certificate authorities that functions, agent and jobs trust besides the usual ones.
   * @default - only the usual ones
   */
  readonly caBundle?: string;
  /**
   * Forward proxy (`http://HOST:PORT`) between the runners' network and the internet.
   * @default - none
   */
  readonly proxy?: string;
  /**
   * Hosts and domains that are reached without the proxy.
   * @default - none
   */
  readonly noProxy?: string[];

  /**
   * What the webhook's address belongs to; an HTTP API also throttles.
   * @default "function-url"
   */
  readonly frontDoor?: "function-url" | "http-api";
  /**
   * Requests a second that the HTTP API lets through.
   * @default 100
   */
  readonly requestsPerSecond?: number;
  /**
   * Ranges of addresses that webhooks may come from; `github` for those that GitHub publishes.
   * @default - from anywhere
   */
  readonly allowedSources?: string[];
  /**
   * Concurrency reserved for the webhook's function, which also limits it. The account's quota must
   * leave 100 unreserved.
   * @default - none
   */
  readonly webhookConcurrency?: number;
  /**
   * The processor of the functions.
   * @default "arm64"
   */
  readonly architecture?: "arm64" | "x86_64";
  /**
   * Directory with the handlers' programs.
   * @default - target/lambda
   */
  readonly handlersDirectory?: string;
  /**
   * The state machine's definition.
   * @default - statemachine/runner.asl.json
   */
  readonly definitionFile?: string;
  /**
   * How much the functions log.
   * @default "info"
   */
  readonly logLevel?: "error" | "warn" | "info" | "debug" | "trace";
  /**
   * How many days logs are kept.
   * @default 30
   */
  readonly logRetentionDays?: number;
  /**
   * Whether logs outlive the stack.
   * @default false
   */
  readonly keepLogs?: boolean;

  /**
   * Your own key for the App's secrets and the runners' registrations.
   * @default - secretsKey for the secrets, aws/ssm for registrations
   */
  readonly parameterKeyArn?: string;
  /**
   * Whether the App's secrets get a key that only the functions may decrypt with.
   * @default - true, unless parameterKeyArn is given
   */
  readonly secretsKey?: boolean;
  /**
   * ARNs of roles or users that may decrypt the App's secrets besides, to check and rotate them.
   * @default - none
   */
  readonly secretsReaderArns?: string[];
  /**
   * Boundary of all roles.
   * @default - none
   */
  readonly permissionsBoundaryArn?: string;
  /**
   * Path of all roles.
   * @default - the prefix between slashes
   */
  readonly rolePath?: string;

  /**
   * SNS topic that alarms notify.
   * @default - none
   */
  readonly alarmTopicArn?: string;
  /**
   * How many seconds a job may be queued before it counts as waiting too long.
   * @default 900
   */
  readonly waitingLimitSeconds?: number;
  /**
   * Whether there are alarms.
   * @default true
   */
  readonly alarms?: boolean;
  /**
   * Whether there is a dashboard.
   * @default true
   */
  readonly dashboard?: boolean;
  /**
   * Whether Logs Insights gets queries.
   * @default true
   */
  readonly savedQueries?: boolean;
  /**
   * Whether X-Ray traces executions.
   * @default false
   */
  readonly tracing?: boolean;
  /**
   * Whether ECS measures each task.
   * @default false
   */
  readonly containerInsights?: boolean;
}

type Parsers<T> = { readonly [K in keyof Required<T>]: Parser<NonNullable<T[K]>> };

const HOURS: Parsers<WarmHours> = {
  days: listOf(oneOf("mon", "tue", "wed", "thu", "fri", "sat", "sun")),
  from: text,
  to: text,
  size: int,
};

const LINGER: Parsers<WarmLinger> = { size: int, minutes: int, from: text, to: text };

const WARM: Parsers<WarmConfig> = {
  size: int,
  schedule: listOf(nested((value, where) => parseKeys(value, HOURS, `${where}.`))),
  linger: nested((value, where) => parseKeys(value, LINGER, `${where}.`)),
  maxAgeMinutes: int,
  maxPerRepository: int,
  spot: boolean,
};

const warm = intOr(nested((value, where) => parseKeys(value, WARM, `${where}.`)));

const RUNNER: Parsers<RunnerConfig> = {
  name: text,
  labels: list,
  architecture: oneOf("x64", "arm64"),
  image: text,
  runnerVersion: text,
  rebuildWeekly: boolean,
  cpu: int,
  memoryMiB: int,
  repositories: list,
  runnerGroup: text,
  shell: boolean,
  ephemeralStorageGiB: int,
  maxCpu: decimal,
  maxMemory: decimal,
  maxDisk: int,
  capacity: fargateCapacity,
  warm,
  rerunAfterInterruption: boolean,
  maxRunning: int,
};

const CONFIG: Parsers<Config> = {
  prefix: text,
  deployment: text,
  githubApiUrl: text,
  githubInsideNetwork: boolean,
  runnerScope: oneOf("repository", "organization"),
  runnerGroup: text,
  registration: oneOf("jit", "token"),
  allowedOwners: list,
  allowedRepositories: list,
  allowPublicRepositories: boolean,
  allowInternalRepositories: boolean,
  allowForks: boolean,
  requiredLabels: list,
  reconcileCalls: int,
  checkRuns: boolean,
  runners: listOf(nested(parseRunner)),
  image: text,
  runnerVersion: text,
  rebuildWeekly: boolean,
  labels: list,
  maxCpu: decimal,
  maxMemory: decimal,
  maxDisk: int,
  runnerArchitecture: oneOf("x64", "arm64"),
  capacity: fargateCapacity,
  warm,
  rerunAfterInterruption: boolean,
  maxRunning: int,
  maxRunningPerRepository: int,
  maxRunningOf: counts,
  maxJobDurationMinutes: int,
  trustedDefinitions: oneOf("deployment", "prefix"),
  repositoryRoles: rolesByRepository,
  network: oneOf("public", "nat", "isolated"),
  cidr: text,
  maxAzs: int,
  natGateways: int,
  flowLogs: boolean,
  vpcId,
  subnetIds,
  securityGroupIds,
  assignPublicIp: boolean,
  caBundle: text,
  proxy: text,
  noProxy: list,
  frontDoor: oneOf("function-url", "http-api"),
  requestsPerSecond: int,
  allowedSources: list,
  webhookConcurrency: int,
  architecture: oneOf("arm64", "x86_64"),
  handlersDirectory: text,
  definitionFile: text,
  logLevel: oneOf("error", "warn", "info", "debug", "trace"),
  logRetentionDays: retentionDays,
  keepLogs: boolean,
  parameterKeyArn: keyArn,
  secretsKey: boolean,
  secretsReaderArns: principalArns,
  permissionsBoundaryArn: policyArn,
  rolePath: text,
  alarmTopicArn: topicArn,
  waitingLimitSeconds: int,
  alarms: boolean,
  dashboard: boolean,
  savedQueries: boolean,
  tracing: boolean,
  containerInsights: boolean,
};

/** All keys. */
export const CONFIG_KEYS = Object.keys(CONFIG) as (keyof Config)[];

/**
 * Reads the configuration from the CDK context.
 *
 * @throws on an unknown key, naming the nearest known one; on a value of the wrong kind; and on
 * keys that contradict each other
 */
export function readConfig(context: Record<string, unknown>): Config {
  const { config: file, ...rest } = ownKeys(context, KEYS);
  const fromFile = file === undefined ? {} : readJson(text(file, "config"));
  const config = parseKeys({ ...fromFile, ...rest }, CONFIG, "", unknownKey);
  refuseContradictions(config);
  return config;
}

const KEYS: Keys = { top: CONFIG_KEYS, runner: Object.keys(RUNNER) };

function readJson(file: string): Record<string, unknown> {
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Error(`Reading configuration file ${file} failed: ${(error as Error).message}`);
  }
  if (typeof found !== "object" || found === null || Array.isArray(found)) {
    throw new Error(`Configuration file ${file} holds no JSON object.`);
  }
  return found as Record<string, unknown>;
}

function parseRunner(given: Record<string, unknown>, where: string): RunnerConfig {
  const index = Number(/\d+/.exec(where)![0]);
  return within(placeOf(index, given), () => parseKeys(given, RUNNER, "", unknownRunnerKey));
}

/** @param unknown makes the error for a key that there is not */
function parseKeys<T>(
  given: Record<string, unknown>,
  parsers: Parsers<T>,
  where: string,
  unknown: (key: string, value: unknown, keys: Keys) => Error = (key) =>
    unknownNestedKey(`${where}${key}`, Object.keys(parsers)),
): T {
  const parsed: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(parsers, key)) {
      throw unknown(key, value, KEYS);
    }
    parsed[key] = parsers[key as keyof T](value, `${where}${key}`);
  }
  return parsed as T;
}

function retentionDays(value: unknown, where: string): number {
  const days = int(value, where);
  const offered = Object.values(RetentionDays).filter((entry) => typeof entry === "number");
  if (!offered.includes(days)) {
    throw new Error(
      `Invalid ${where}: ${days}. Allowed: ${offered.slice(0, -1).join(", ")} ` +
        `(${RetentionDays.INFINITE}: for ever).`,
    );
  }
  return days;
}

// A key that would have no effect is a mistake.
function refuseContradictions(config: Config): void {
  const needs: [keyof Config, string, boolean][] = [
    ["subnetIds", "vpcId", config.vpcId !== undefined],
    ["securityGroupIds", "vpcId", config.vpcId !== undefined],
    ["assignPublicIp", "vpcId", config.vpcId !== undefined],
    ["network", "no vpcId", config.vpcId === undefined],
    ["cidr", "no vpcId", config.vpcId === undefined],
    ["maxAzs", "no vpcId", config.vpcId === undefined],
    ["flowLogs", "no vpcId", config.vpcId === undefined],
    ["natGateways", "network=nat", config.network === "nat"],
    ["labels", "no runners, which have labels of their own", config.runners === undefined],
    ["rebuildWeekly", "no runners, which say it themselves", config.runners === undefined],
    ["runnerArchitecture", "no runners, which say it themselves", config.runners === undefined],
    ["warm", "no runners, which say it themselves", config.runners === undefined],
    ["maxCpu", "no runners, which say it themselves", config.runners === undefined],
    ["maxMemory", "no runners, which say it themselves", config.runners === undefined],
    ["maxDisk", "no runners, which say it themselves", config.runners === undefined],
    ["requestsPerSecond", "frontDoor=http-api", config.frontDoor === "http-api"],
    ["alarmTopicArn", "alarms", config.alarms !== false],
  ];
  for (const [key, other, met] of needs) {
    if (config[key] !== undefined && !met) {
      throw new Error(`Invalid ${key}: it goes only with ${other}.`);
    }
  }
}
