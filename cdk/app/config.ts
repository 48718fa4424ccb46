import { readFileSync } from "node:fs";
import { nearest } from "./nearest";
import { boolean, int, list, listOf, nested, oneOf, Parser, text } from "./parsers";

/** A runner of the configuration. */
export interface RunnerConfig {
  /** What follows the prefix in the task definition's family. */
  readonly name?: string;
  /** Labels that it offers. */
  readonly labels?: string[];
  /** Its processor. */
  readonly architecture?: "x64" | "arm64";
  /** Image by URI. */
  readonly image?: string;
  /** CPU units. */
  readonly cpu?: number;
  /** Memory in MiB. */
  readonly memoryMiB?: number;
  /** Disk in GiB. */
  readonly ephemeralStorageGiB?: number;
  /** Capacity providers in order of preference. */
  readonly capacity?: string[];
}

/**
 * What the app can be told, in a JSON file (`-c config=FILE`) or one by one (`-c KEY=VALUE`, which
 * wins over the file).
 */
export interface Config {
  /** What the deployment's names begin with. */
  readonly prefix?: string;
  /** What each runner's name at GitHub begins with. */
  readonly deployment?: string;
  /** The processor of the functions. */
  readonly architecture?: "arm64" | "x86_64";
  /** The API's address. */
  readonly githubApiUrl?: string;
  /** Where runners are registered. */
  readonly runnerScope?: "repository" | "organization";
  /** Runner group at organization scope. */
  readonly runnerGroup?: string;
  /** How a runner is registered. */
  readonly registration?: "jit" | "token";
  /** Owners whose jobs are run. */
  readonly allowedOwners?: string[];
  /** Repositories whose jobs are run. */
  readonly allowedRepositories?: string[];
  /** Whether public repositories' jobs are run. */
  readonly allowPublicRepositories?: boolean;
  /** Labels without which a job is not ours. */
  readonly requiredLabels?: string[];
  /** Image of the runners by URI, instead of building images/ubuntu. */
  readonly image?: string;
  /** Labels of the default runner. */
  readonly labels?: string[];
  /** Capacity providers in order of preference. */
  readonly capacity?: string[];
  /** The runners, instead of the default one. */
  readonly runners?: RunnerConfig[];
  /** Where the runners are. */
  readonly network?: "public" | "existing";
  /** An existing VPC. */
  readonly vpcId?: string;
  /** Subnets of the existing VPC. */
  readonly subnetIds?: string[];
  /** Whether tasks in the existing VPC's subnets get a public address. */
  readonly assignPublicIp?: boolean;
  /** Directory with the handlers' programs. */
  readonly handlersDirectory?: string;
  /** The state machine's definition. */
  readonly definitionFile?: string;
  /** How much the functions log. */
  readonly logLevel?: "error" | "warn" | "info" | "debug" | "trace";
  /** How many days logs are kept. */
  readonly logRetentionDays?: number;
  /** Whether logs outlive the stack. */
  readonly keepLogs?: boolean;
}

type Parsers<T> = { readonly [K in keyof Required<T>]: Parser<NonNullable<T[K]>> };

const RUNNER: Parsers<RunnerConfig> = {
  name: text,
  labels: list,
  architecture: oneOf("x64", "arm64"),
  image: text,
  cpu: int,
  memoryMiB: int,
  ephemeralStorageGiB: int,
  capacity: list,
};

const CONFIG: Parsers<Config> = {
  prefix: text,
  deployment: text,
  architecture: oneOf("arm64", "x86_64"),
  githubApiUrl: text,
  runnerScope: oneOf("repository", "organization"),
  runnerGroup: text,
  registration: oneOf("jit", "token"),
  allowedOwners: list,
  allowedRepositories: list,
  allowPublicRepositories: boolean,
  requiredLabels: list,
  image: text,
  labels: list,
  capacity: list,
  runners: listOf(nested((value, where) => parseKeys(value, RUNNER, `${where}.`))),
  network: oneOf("public", "existing"),
  vpcId: text,
  subnetIds: list,
  assignPublicIp: boolean,
  handlersDirectory: text,
  definitionFile: text,
  logLevel: oneOf("error", "warn", "info", "debug", "trace"),
  logRetentionDays: int,
  keepLogs: boolean,
};

/** All keys, for the documentation and the error about an unknown one. */
export const CONFIG_KEYS = Object.keys(CONFIG) as (keyof Config)[];

/**
 * Reads the configuration from the CDK context.
 *
 * @throws on an unknown key, naming the nearest known one, and on a value of the wrong kind
 */
export function readConfig(context: Record<string, unknown>): Config {
  const { config: file, ...rest } = ownKeys(context);
  const fromFile = file === undefined ? {} : readJson(text(file, "config"));
  return parseKeys({ ...fromFile, ...rest }, CONFIG, "");
}

// The context also carries what the CLI remembers and the toolkit's feature flags: their keys hold
// a colon, an at sign or a dash; ours never do.
function ownKeys(context: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(context).filter(([key]) => /^[A-Za-z]+$/.test(key)));
}

function readJson(file: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  } catch (error) {
    throw new Error(`Configuration file ${file} can't be read: ${(error as Error).message}`);
  }
}

function parseKeys<T>(given: Record<string, unknown>, parsers: Parsers<T>, where: string): T {
  const known = Object.keys(parsers);
  const parsed: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    if (!Object.hasOwn(parsers, key)) {
      throw new Error(
        `Unknown configuration key ${where}${key}; did you mean ${where}${nearest(key, known)}? ` +
          `Known: ${known.join(", ")}.`,
      );
    }
    parsed[key] = parsers[key as keyof T](value, `${where}${key}`);
  }
  return parsed as T;
}
