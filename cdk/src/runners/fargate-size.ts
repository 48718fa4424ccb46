import table from "../fargate-sizes.json";
import { invalidProp } from "../invalid-prop";

/** Memory in MiB that Fargate offers with each CPU value (1024 = 1 vCPU); the file names AWS's page. */
const SIZES: ReadonlyMap<number, readonly number[]> = new Map(
  table.sizes.map(({ cpu, memoryMiB }) => [cpu, memoryMiB]),
);

/** The disk that each task has without charge, in GiB. */
export const FREE_GIB = table.disk.free;
const LARGEST_GIB = table.disk.most;

/** The size of a task. */
export interface FargateSize {
  /** CPU units. */
  readonly cpu: number;
  /** Memory in MiB. */
  readonly memoryMiB: number;
  /** Disk in GiB, if it is more than Fargate gives. */
  readonly ephemeralStorageGiB?: number;
}

/** How large a job may make its task. */
export interface FargateLimits {
  /** vCPUs. */
  readonly maxCpu?: number;
  /** Memory in GiB. */
  readonly maxMemory?: number;
  /** Disk in GiB. */
  readonly maxDisk?: number;
}

/** Tags of a task definition: how large a job may make its task, in vCPU and GiB. */
export const LIMIT_TAGS: Readonly<Record<keyof FargateLimits, string>> = {
  maxCpu: "GH:max-cpu",
  maxMemory: "GH:max-memory",
  maxDisk: "GH:max-disk",
};

/** Refuses what Fargate would refuse at the deployment, or only when the first task starts. */
export function checkFargateSize(size: FargateSize): void {
  const offered = SIZES.get(size.cpu);
  if (offered === undefined) {
    throw invalidProp("cpu", size.cpu, `${[...SIZES.keys()].join(", ")} (1024 is one vCPU)`);
  }
  if (!offered.includes(size.memoryMiB)) {
    throw invalidProp("memoryMiB", size.memoryMiB, `${named(offered)} with cpu ${size.cpu}`);
  }
  const storage = size.ephemeralStorageGiB;
  if (storage !== undefined && !isDisk(storage)) {
    throw invalidProp(
      "ephemeralStorageGiB",
      storage,
      `${FREE_GIB} to ${LARGEST_GIB}, a whole number`,
    );
  }
}

/** Refuses limits that no job could use, or that are below the runner's own size. */
export function checkFargateLimits(limits: FargateLimits, own: FargateSize): void {
  const { maxCpu, maxMemory, maxDisk } = limits;
  const ownCpu = own.cpu / 1024;
  const ownMemory = own.memoryMiB / 1024;
  const ownDisk = own.ephemeralStorageGiB ?? FREE_GIB;
  if (maxCpu !== undefined) {
    const allowed = [...SIZES.keys()].map((cpu) => cpu / 1024).filter((cpu) => cpu >= ownCpu);
    if (!allowed.includes(maxCpu)) {
      throw invalidProp("maxCpu", maxCpu, `${allowed.join(", ")}: vCPUs, not CPU units`);
    }
  }
  const memories = SIZES.get((maxCpu ?? ownCpu) * 1024)!.map((memory) => memory / 1024);
  // A larger CPU comes with more memory, so a limit for the CPU alone would allow nothing.
  const least = Math.max(ownMemory, memories[0]!);
  const most = memories.at(-1)!;
  if (maxMemory === undefined ? least > ownMemory : !(maxMemory >= least && maxMemory <= most)) {
    const cpus = maxCpu === undefined ? `the runner's ${ownCpu} vCPU` : `maxCpu ${maxCpu}`;
    throw invalidProp("maxMemory", maxMemory, `${least} to ${most} with ${cpus}, in GiB`);
  }
  if (maxDisk !== undefined && !(isDisk(maxDisk) && maxDisk >= ownDisk)) {
    throw invalidProp("maxDisk", maxDisk, `${ownDisk} to ${LARGEST_GIB}, whole GiB`);
  }
}

function isDisk(gib: number): boolean {
  return Number.isInteger(gib) && gib >= FREE_GIB && gib <= LARGEST_GIB;
}

/** `512, 1024 or 2048`, or `4096 to 16384 in steps of 1024`. */
function named(memories: readonly number[]): string {
  const steps = new Set(memories.slice(1).map((memory, index) => memory - memories[index]!));
  if (steps.size === 1) {
    return `${memories[0]} to ${memories.at(-1)} in steps of ${[...steps][0]}`;
  }
  return `${memories.slice(0, -1).join(", ")} or ${memories.at(-1)}`;
}
