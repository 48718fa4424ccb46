import { Duration } from "aws-cdk-lib";
import { invalidProp } from "../invalid-prop";
import { Capacity } from "../runners/capacity";
import { WarmHours, WarmLinger, WarmProps } from "./warm-props";
import { DAYS, minuteOf, minutesOfWeek, WEEK } from "./week";

/** Tag of a task definition: how many slots its stock has, and which jobs may take from it. */
export const WARM_TAG = "GH:warm";

/** Slots of a stock are two digits. */
const MOST = 100;
const MOST_MINUTES = 24 * 60;
const DEFAULT_AGE = Duration.hours(6);
const LEAST_AGE = Duration.minutes(10);
const MOST_AGE = Duration.days(7);

/** What the stock's keeper has to know of a family: an entry of its variable `STOCK`. */
export interface Pool {
  /** Family of the task definition. */
  readonly family: string;
  /** Tasks outside of the scheduled hours. */
  readonly size: number;
  /**
   * Hours with another number; they never overlap.
   * @default - none
   */
  readonly schedule?: readonly WarmHours[];
  /**
   * Tasks for some time after a job.
   * @default - none
   */
  readonly linger?: WarmLinger;
  /** When a task is replaced. */
  readonly maxAgeSeconds: number;
  /**
   * What one repository may take within a minute.
   * @default - any number
   */
  readonly maxPerRepository?: number;
  /** Whether its tasks run on Fargate Spot. */
  readonly spot: boolean;
  /**
   * Whether a shell may be opened in its tasks.
   * @default false
   */
  readonly shell?: boolean;
}

/**
 * Checks what a runner's `warm` says.
 *
 * @param prop the prop's name, for the errors
 * @param capacity the runner's capacity providers
 */
export function poolOf(prop: string, family: string, warm: WarmProps, capacity: Capacity): Pool {
  const { size, schedule, linger, maxPerRepository } = warm;
  if (size === undefined && schedule === undefined && linger === undefined) {
    throw invalidProp(prop, warm, "at least one of size, schedule and linger");
  }
  if (size !== undefined) {
    checkSize(`${prop}.size`, size, 1);
  }
  if (schedule !== undefined) {
    checkSchedule(`${prop}.schedule`, schedule);
  }
  if (linger !== undefined) {
    checkLinger(`${prop}.linger`, linger);
  }
  const pool = {
    family,
    size: size ?? 0,
    ...(schedule && { schedule }),
    ...(linger && { linger }),
    maxAgeSeconds: checkedAge(`${prop}.maxAge`, warm.maxAge ?? DEFAULT_AGE).toSeconds(),
    ...(maxPerRepository !== undefined && { maxPerRepository }),
    spot: checkedSpot(`${prop}.spot`, warm.spot, capacity),
  };
  if (slotsOf(pool) === 0) {
    throw invalidProp(`${prop}.schedule`, schedule, "a size above 0 in at least one entry");
  }
  if (maxPerRepository !== undefined) {
    checkSize(`${prop}.maxPerRepository`, maxPerRepository, 1, slotsOf(pool));
  }
  return pool;
}

/** The most tasks that are ever kept ready. */
export function slotsOf({ size, schedule = [], linger }: Pool): number {
  return Math.max(size, linger?.size ?? 0, ...schedule.map((hours) => hours.size));
}

/** The tag by which `match` tells `token` about the stock: `2`, or `4 spot max=1`. */
export function warmTag(pool: Pool): string {
  const { spot, maxPerRepository } = pool;
  return [slotsOf(pool), ...(spot ? ["spot"] : []), maxPerRepository && `max=${maxPerRepository}`]
    .filter((part) => part !== undefined)
    .join(" ");
}

/** Tasks that are kept ready on average, without those that stay after a job. */
export function averageOf({ size, schedule = [] }: Pool): number {
  const sizes = minutesOfWeek(schedule).map((hours) => hours[0]?.size ?? size);
  return sizes.reduce((sum, each) => sum + each, 0) / WEEK;
}

function checkSize(prop: string, value: number, least: number, most = MOST): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw invalidProp(prop, value, `a whole number from ${least} to ${most}`);
  }
}

function checkSchedule(prop: string, schedule: readonly WarmHours[]): void {
  if (schedule.length === 0) {
    throw invalidProp(prop, schedule, "at least one entry; leave it out for the same size always");
  }
  for (const [index, hours] of schedule.entries()) {
    const at = `${prop}[${index}]`;
    const wrong = hours.days.find((day) => !DAYS.includes(day));
    if (wrong !== undefined || hours.days.length === 0) {
      throw invalidProp(`${at}.days`, wrong ?? hours.days, `at least one of ${DAYS.join(", ")}`);
    }
    checkTimes(at, hours.from, hours.to);
    checkSize(`${at}.size`, hours.size, 0);
  }
  const twice = minutesOfWeek(schedule).find((hours) => hours.length > 1);
  if (twice !== undefined) {
    throw invalidProp(prop, twice.slice(0, 2), "hours that do not overlap: these two do");
  }
}

function checkTimes(at: string, from: string, to: string): void {
  const [begin, end] = [minuteOf(from, "23:59"), minuteOf(to, "24:00")];
  if (begin === undefined) {
    throw invalidProp(`${at}.from`, from, "a time from 00:00 to 23:59, as HH:MM in UTC");
  }
  if (end === undefined) {
    throw invalidProp(`${at}.to`, to, "a time from 00:00 to 24:00, as HH:MM in UTC");
  }
  if (begin === end) {
    throw invalidProp(
      `${at}.to`,
      to,
      `another time than from: hours that end as they begin never start`,
    );
  }
}

function checkLinger(prop: string, linger: WarmLinger): void {
  const { from, to } = linger;
  checkSize(`${prop}.size`, linger.size, 1);
  checkSize(`${prop}.minutes`, linger.minutes, 1, MOST_MINUTES);
  if ((from === undefined) !== (to === undefined)) {
    throw invalidProp(prop, linger, "from and to together, or neither for the whole day");
  }
  if (from !== undefined) {
    checkTimes(prop, from, to!);
  }
}

function checkedAge(prop: string, age: Duration): Duration {
  const seconds = age.toSeconds();
  if (seconds < LEAST_AGE.toSeconds() || seconds > MOST_AGE.toSeconds()) {
    throw invalidProp(prop, age.toHumanString(), "10 minutes to 7 days");
  }
  return age;
}

function checkedSpot(prop: string, spot: boolean | undefined, capacity: Capacity): boolean {
  const other = capacity.providers.find((provider) => !FARGATE.includes(provider));
  if (other !== undefined) {
    throw invalidProp(
      prop.replace(/\.spot$/, ""),
      other,
      `nothing with this capacity provider: ${FARGATE.join(" and ")} have warm tasks`,
    );
  }
  const first = capacity.providers[0] === "FARGATE_SPOT";
  if (spot === true && !first) {
    throw invalidProp(
      prop,
      spot,
      "false, unless the runner's capacity begins with FARGATE_SPOT: its jobs would never take them",
    );
  }
  return spot ?? first;
}

const FARGATE: readonly string[] = ["FARGATE", "FARGATE_SPOT"];
