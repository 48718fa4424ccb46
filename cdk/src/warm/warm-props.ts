import { Duration } from "aws-cdk-lib";

/** A day of the week. */
export type Day = "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun";

/**
 * Warm tasks of a runner: tasks that have started and wait for a job, so that it begins within
 * seconds. At least one of `size`, `schedule` and `linger` says how many.
 */
export interface WarmProps {
  /**
   * How many are ready at all times; with `schedule`, outside of its hours. From 1 to 100.
   * @default - none
   */
  readonly size?: number;
  /**
   * Hours in which another number is ready.
   * @default - none: `size` applies always
   */
  readonly schedule?: readonly WarmHours[];
  /**
   * How many are ready for some time after each job, if that is more.
   * @default - none
   */
  readonly linger?: WarmLinger;
  /**
   * How old a task may get before a fresh one replaces it. From 10 minutes to 7 days.
   * @default Duration.hours(6)
   */
  readonly maxAge?: Duration;
  /**
   * How many tasks of the stock one repository may take within a minute.
   * @default - any number
   */
  readonly maxPerRepository?: number;
  /**
   * Whether they run on Fargate Spot, which only a runner may have whose capacity begins with it.
   * @default - true where the runner's capacity begins with FARGATE_SPOT
   */
  readonly spot?: boolean;
}

/** Hours of the week, in UTC. */
export interface WarmHours {
  /** On which days they begin. */
  readonly days: readonly Day[];
  /** When they begin: `HH:MM` in UTC. */
  readonly from: string;
  /** When they end: `HH:MM` in UTC, up to `24:00`; not after `from` means on the next day. */
  readonly to: string;
  /** How many tasks are ready in these hours. From 0 to 100. */
  readonly size: number;
}

/** Tasks that are kept ready after a job. */
export interface WarmLinger {
  /** How many. From 1 to 100. */
  readonly size: number;
  /** For how many minutes after the last job. From 1 to 1440. */
  readonly minutes: number;
  /**
   * From which time of the day on: `HH:MM` in UTC. Goes only with `to`.
   * @default - the whole day
   */
  readonly from?: string;
  /**
   * Until which time of the day: `HH:MM` in UTC, up to `24:00`; not after `from` means on the next day.
   * @default - the whole day
   */
  readonly to?: string;
}
