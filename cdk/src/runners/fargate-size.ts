import { invalidProp } from "../invalid-prop";

/** Memory in MiB that Fargate offers with each CPU value (1024 = 1 vCPU), as [first, last, step].
 *
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
 */
const SIZES: ReadonlyMap<number, readonly [number, number, number]> = new Map([
  [256, [512, 2048, 512]],
  [512, [1024, 4096, 1024]],
  [1024, [2048, 8192, 1024]],
  [2048, [4096, 16384, 1024]],
  [4096, [8192, 30720, 1024]],
  [8192, [16384, 61440, 4096]],
  [16384, [32768, 122880, 8192]],
]);

/** The disk that each task has without charge, in GiB. */
export const FREE_GIB = 20;
const LARGEST_GIB = 200;

/** Refuses what Fargate would refuse at the deployment, or only when the first task starts. */
export function checkFargateSize(size: {
  cpu: number;
  memoryMiB: number;
  ephemeralStorageGiB?: number;
}): void {
  const memory = SIZES.get(size.cpu);
  if (memory === undefined) {
    throw invalidProp("cpu", size.cpu, `${[...SIZES.keys()].join(", ")} (1024 is one vCPU)`);
  }
  const [first, last, step] = memory;
  const offered =
    size.memoryMiB >= first &&
    size.memoryMiB <= last &&
    // The smallest size has 512, 1024 and 2048, but not 1536.
    (size.cpu === 256
      ? [512, 1024, 2048].includes(size.memoryMiB)
      : (size.memoryMiB - first) % step === 0);
  if (!offered) {
    throw invalidProp(
      "memoryMiB",
      size.memoryMiB,
      size.cpu === 256
        ? "512, 1024 or 2048 with cpu 256"
        : `${first} to ${last} in steps of ${step} with cpu ${size.cpu}`,
    );
  }
  const storage = size.ephemeralStorageGiB;
  if (
    storage !== undefined &&
    !(Number.isInteger(storage) && storage >= FREE_GIB && storage <= LARGEST_GIB)
  ) {
    throw invalidProp(
      "ephemeralStorageGiB",
      storage,
      `${FREE_GIB} to ${LARGEST_GIB}, a whole number`,
    );
  }
}
