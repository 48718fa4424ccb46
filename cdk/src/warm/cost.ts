import list from "../prices.json";
import { RunnerArchitecture } from "../runners/runner-architecture";
import { averageOf, Pool, slotsOf } from "./pool";

/** Hours of a month, as AWS reckons. */
const HOURS = 730;
/** Spot's share of the list price. The price varies but has stayed near this. */
const SPOT_SHARE = 0.3;
/** What Fargate gives without charge. */
const FREE_DISK_GIB = 20;

/** What a task takes while it waits. */
export interface TaskSize {
  /** CPU units. */
  readonly cpu: number;
  /** Memory in MiB. */
  readonly memoryMiB: number;
  /** Disk in GiB, if it is more than Fargate gives. */
  readonly ephemeralStorageGiB?: number;
  /** The processor. */
  readonly architecture: RunnerArchitecture;
  /** Whether it has a public address. */
  readonly publicAddress: boolean;
}

/** US dollars of an hour of one task, at the list prices of us-east-1. */
export function hourly(size: TaskSize, spot: boolean): number {
  const { prices } = list;
  const [vcpu, gb] =
    size.architecture === "arm64"
      ? [prices.VCPU_HOUR_ARM, prices.GB_HOUR_ARM]
      : [prices.VCPU_HOUR_X86, prices.GB_HOUR_X86];
  const compute = (size.cpu / 1024) * vcpu.dollars + (size.memoryMiB / 1024) * gb.dollars;
  const disk = Math.max(0, (size.ephemeralStorageGiB ?? 0) - FREE_DISK_GIB);
  return (
    compute * (spot ? SPOT_SHARE : 1) +
    disk * prices.DISK_GB_HOUR.dollars +
    (size.publicAddress ? prices.ADDRESS_HOUR.dollars : 0)
  );
}

/** What a stock costs, in a sentence. */
export function costOf(pool: Pool, size: TaskSize): string {
  const { linger, schedule } = pool;
  const hour = hourly(size, pool.spot);
  const average = averageOf(pool);
  const what = [
    `${size.cpu / 1024} vCPU`,
    `${size.memoryMiB / 1024} GB`,
    size.architecture,
    ...(pool.spot ? ["Spot"] : []),
    ...(size.publicAddress ? ["a public address"] : []),
  ].join(", ");
  const slots = slotsOf(pool);
  const parts = [`${slots} warm ${slots === 1 ? "task" : "tasks"} of ${what}`];
  if (schedule !== undefined) {
    const hours = Math.round(average * 7 * 24);
    parts[0] += `, ${hours} task-hours a week by schedule`;
  }
  const monthly = average > 0 ? [`${dollars(average * hour * HOURS)} USD a month`] : [];
  if (linger !== undefined) {
    const each = dollars(((linger.size * linger.minutes) / 60) * hour);
    monthly.push(`up to ${each} USD after a job that stays the last for ${linger.minutes} minutes`);
  }
  return `${parts[0]}: ${monthly.join(", and ")} (list prices of us-east-1, ${list.asOf}).`;
}

function dollars(amount: number): string {
  return amount >= 10 ? amount.toFixed(0) : amount.toFixed(2);
}
