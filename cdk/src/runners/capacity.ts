/** Tag of a task definition: its capacity providers, if not the deployment's default. */
export const CAPACITY_TAG = "GH:capacity";

/** Which capacity providers run a task, in order of preference. */
export class Capacity {
  /** Fargate, on demand. */
  static readonly ON_DEMAND = new Capacity(["FARGATE"]);
  /** Fargate Spot; on demand when there is no Spot capacity or it was reclaimed. */
  static readonly SPOT_WITH_FALLBACK = new Capacity(["FARGATE_SPOT", "FARGATE"]);
  /** Fargate Spot only: about 70 % cheaper, and a job waits while there is none. */
  static readonly SPOT = new Capacity(["FARGATE_SPOT"]);

  /**
   * Capacity providers by name, for example of an Auto Scaling group.
   * @param names the first is tried first; each must be associated with the cluster
   */
  static of(...names: string[]): Capacity {
    if (names.length === 0) {
      throw new Error("Invalid capacity: []. Allowed: at least one capacity provider's name.");
    }
    return new Capacity(names);
  }

  private constructor(
    /** Names of the capacity providers, the preferred one first. */
    readonly providers: readonly string[],
  ) {}

  /** As the `launch` function and the tag on a task definition spell it. */
  toString(): string {
    return this.providers.join(" ");
  }
}
