import { Annotations, Token } from "aws-cdk-lib";
import { Construct } from "constructs";
import { readFileSync } from "node:fs";
import { GitHubProps } from "./github-props";
import { isOnInternet } from "./github-url";
import { invalidProp } from "./invalid-prop";
import { AlarmsOptions } from "./monitoring/alarms";
import { MonitoringOptions } from "./monitoring/monitoring";
import { IsolatedVpc } from "./network/isolated-vpc";
import { RunnerNetwork } from "./network/runner-network";
import { Capacity, checkFargateCapacity } from "./runners/capacity";

/** The props that {@link checkProps} looks at. */
export interface CheckedProps {
  readonly defaultRunner?: { readonly capacity?: Capacity } | false;
  readonly capacity?: Capacity;
  readonly definitionFile?: string;
  readonly handlerEnvironment?: Readonly<Record<string, Record<string, string> | undefined>>;
  readonly monitoring?: MonitoringOptions;
}

/** Refuses props of a deployment that a template takes and AWS, or a function, does not. */
export function checkProps(props: CheckedProps): void {
  if (props.defaultRunner !== false && props.defaultRunner?.capacity === undefined) {
    checkFargateCapacity("capacity", props.capacity);
  }
  if (props.definitionFile !== undefined) {
    checkDefinition("definitionFile", props.definitionFile);
  }
  for (const [handler, variables] of Object.entries(props.handlerEnvironment ?? {})) {
    for (const name of Object.keys(variables ?? {})) {
      // https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
      if (!/^[A-Za-z][A-Za-z0-9_]+$/.test(name)) {
        const allowed = "names of two or more letters, digits and '_', beginning with a letter";
        throw invalidProp(`handlerEnvironment.${handler}`, name, allowed);
      }
    }
  }
  const { waitingLimit, alarms } = props.monitoring ?? {};
  const seconds = waitingLimit?.toSeconds() ?? 1;
  // GitHub cancels a job that has been queued for a day.
  if (!(seconds >= 1 && seconds <= 86_400)) {
    throw invalidProp(
      "monitoring.waitingLimit",
      waitingLimit?.toHumanString(),
      "1 second to 1 day",
    );
  }
  if (alarms) {
    checkThresholds(alarms);
  }
}

/** Lambda's limit for all variables of a function: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const VARIABLES_BYTES = 4096;
/** What `verify` has besides its lists: the longest names and ARNs. */
const OTHERS_BYTES = 1024;

/** Refuses lists that a function's environment can't hold. */
export function checkLists(
  { allowedOwners, allowedRepositories, requiredLabels }: Required<GitHubProps>,
  allowedSources: readonly string[],
): void {
  const lists: Record<string, readonly string[]> = {
    "github.allowedOwners": allowedOwners,
    "github.allowedRepositories": allowedRepositories,
    "github.requiredLabels": requiredLabels,
    allowedSources,
  };
  const sizes = Object.entries(lists).map(
    ([prop, list]) => [prop, Buffer.byteLength(list.join(" "))] as const,
  );
  const bytes = sizes.reduce((sum, [, size]) => sum + size, 0);
  const most = VARIABLES_BYTES - OTHERS_BYTES;
  if (bytes > most) {
    const [largest, size] = sizes.reduce((a, b) => (b[1] > a[1] ? b : a));
    const allowed = `${most} bytes together with the other lists, which have ${bytes - size}, because Lambda holds ${VARIABLES_BYTES} bytes of variables; name owners instead of their repositories`;
    throw invalidProp(largest, `${lists[largest]!.length} entries of ${size} bytes`, allowed);
  }
}

/** Warns of runners that see no GitHub: a proxy or a gateway may be there, but nothing here shows it. */
export function warnOfIsolation(scope: Construct, network: RunnerNetwork, apiUrl: string): void {
  if (network instanceof IsolatedVpc && isOnInternet(apiUrl)) {
    Annotations.of(scope).addWarningV2(
      "fargate-runners:isolated-from-github",
      `Runners in an IsolatedVpc reach ${new URL(apiUrl).hostname} only through something that you ` +
        `add: a proxy, named in the prop proxy, or a gateway to the internet. Without it none gets a job.`,
    );
  }
}

function checkThresholds(alarms: AlarmsOptions): void {
  const smallest = {
    webhooksUnusable: 1,
    webhooksUnsigned: 1,
    rateLimitRemaining: 0,
    runnerVersionAgeDays: 1,
  };
  for (const [name, least] of Object.entries(smallest)) {
    const given = alarms[name as keyof typeof smallest];
    if (
      given !== undefined &&
      !Token.isUnresolved(given) &&
      !(Number.isInteger(given) && given >= least)
    ) {
      throw invalidProp(`monitoring.alarms.${name}`, given, `a whole number from ${least} on`);
    }
  }
}

/** Refuses a file that holds no state machine. */
function checkDefinition(prop: string, file: string): void {
  let definition: { States?: unknown } | null;
  try {
    definition = JSON.parse(readFileSync(file, "utf8")) as typeof definition;
  } catch (error) {
    const { message } = error as Error;
    throw invalidProp(prop, file, `a file with a state machine's definition in JSON (${message})`);
  }
  if (typeof definition?.States !== "object") {
    throw invalidProp(prop, file, "a state machine's definition, which has States");
  }
}
