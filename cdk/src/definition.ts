import { Duration } from "aws-cdk-lib";
import { readFileSync } from "node:fs";
import { invalidProp } from "./invalid-prop";

/** What GitHub's own runners grant a job unless its workflow says otherwise. */
const DEFAULT = Duration.hours(6);
/** https://docs.github.com/actions/reference/limits: a job on a self-hosted runner. */
const LONGEST = Duration.days(5);
const SHORTEST = Duration.minutes(10);

/** Until a runner has its job: capacity, pull of the image, GitHub. */
const START = Duration.hours(1);
/** A day in GitHub's queue, and a margin: what an execution waits besides. */
const QUEUED = Duration.hours(36);

/** The states that wait for a runner's task to end. */
const WAITING: readonly string[] = ["Runner", "WarmRunner"];
/** States that warm tasks and caps change or lead to. */
const CHANGED: readonly string[] = ["Token", "Runner", "Cleanup"];

/** The longest time that a job may take, checked. */
export function maxJobDuration(given: Duration = DEFAULT): Duration {
  const seconds = given.toSeconds();
  if (seconds < SHORTEST.toSeconds() || seconds > LONGEST.toSeconds()) {
    throw invalidProp("maxJobDuration", given.toHumanString(), "10 minutes to 5 days");
  }
  return given;
}

/** What a definition is made from. */
export interface DefinitionProps {
  /** The definition: Amazon States Language with a substitution per function. */
  readonly definitionFile: string;
  /**
   * What warm tasks change in it, as a JSON merge patch.
   * @default - there are none
   */
  readonly warmFile?: string;
  /**
   * What caps change in it, likewise; merged last.
   * @default - there are none
   */
  readonly capsFile?: string;
  /** How long a job may take. */
  readonly maxJobDuration: Duration;
}

interface Definition {
  TimeoutSeconds?: number;
  readonly States: Record<string, { TimeoutSeconds?: number }>;
}

/** The state machine's definition; the file, unchanged, where nothing differs from it. */
export function definition(props: DefinitionProps): string {
  const text = readFileSync(props.definitionFile, "utf8");
  const given = JSON.parse(text) as Definition;
  const patches = [props.warmFile, props.capsFile].filter((file) => file !== undefined);
  const whole = patches.reduce((merged, file) => patched(merged, file, props), given);
  const changed = setTimeouts(whole, props.maxJobDuration);
  return whole === given && !changed ? text : JSON.stringify(whole, undefined, 2);
}

function patched(given: Definition, file: string, props: DefinitionProps): Definition {
  const missing = CHANGED.filter((state) => given.States[state] === undefined);
  if (missing.length > 0) {
    throw invalidProp(
      "definitionFile",
      props.definitionFile,
      `a definition with the states ${CHANGED.join(", ")}, because warm tasks and caps change them; ` +
        `this one lacks ${missing.join(", ")}`,
    );
  }
  const patch = JSON.parse(readFileSync(file, "utf8")) as unknown;
  return mergePatch(given, patch) as Definition;
}

/** Applies a JSON merge patch (RFC 7396): objects are merged, null removes, all else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) {
    return patch;
  }
  const merged: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) {
      delete merged[key];
    } else {
      merged[key] = mergePatch(merged[key], value);
    }
  }
  return merged;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Sets the time-outs that follow from the longest job; answers whether they were others. */
function setTimeouts(whole: Definition, longest: Duration): boolean {
  if (whole.States.Runner === undefined) {
    return false;
  }
  const seconds = longest.toSeconds() + START.toSeconds();
  const limited = [
    { of: whole as { TimeoutSeconds?: number }, limit: seconds + QUEUED.toSeconds() },
    ...WAITING.flatMap((name) => whole.States[name] ?? []).map((of) => ({ of, limit: seconds })),
  ].filter(({ of, limit }) => of.TimeoutSeconds !== limit);
  for (const { of, limit } of limited) {
    of.TimeoutSeconds = limit;
  }
  return limited.length > 0;
}
