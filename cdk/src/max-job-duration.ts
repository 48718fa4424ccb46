import { Duration } from "aws-cdk-lib";
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

/** The longest time that a job may take, checked. */
export function maxJobDuration(given: Duration = DEFAULT): Duration {
  const seconds = given.toSeconds();
  if (seconds < SHORTEST.toSeconds() || seconds > LONGEST.toSeconds()) {
    throw invalidProp("maxJobDuration", given.toHumanString(), "10 minutes to 5 days");
  }
  return given;
}

interface Definition {
  TimeoutSeconds?: number;
  readonly States: Record<string, { TimeoutSeconds?: number }>;
}

/** The state machine's definition with the time-outs that follow; unchanged where they are these already. */
export function withTimeouts(text: string, longest: Duration): string {
  const definition = JSON.parse(text) as Definition;
  const { Runner } = definition.States;
  const seconds = longest.toSeconds() + START.toSeconds();
  const total = seconds + QUEUED.toSeconds();
  if (Runner === undefined) {
    return text;
  }
  if (Runner.TimeoutSeconds === seconds && definition.TimeoutSeconds === total) {
    return text;
  }
  Runner.TimeoutSeconds = seconds;
  definition.TimeoutSeconds = total;
  return JSON.stringify(definition, undefined, 2);
}
