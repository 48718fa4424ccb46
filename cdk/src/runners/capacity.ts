import { Token } from "aws-cdk-lib";
import { invalidProp } from "../invalid-prop";

/** Tag of a task definition: its capacity providers, if not the deployment's default. */
export const CAPACITY_TAG = "GH:capacity";

/** Fargate's own capacity providers. */
export const FARGATE: readonly string[] = ["FARGATE", "FARGATE_SPOT"];

// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCapacityProvider.html
function isOwnName(name: string): boolean {
  return /^[A-Za-z0-9_-]{1,255}$/.test(name) && !/^(aws|ecs|fargate)/i.test(name);
}

/**
 * Refuses capacity that isn't Fargate's for tasks of Fargate.
 *
 * @param prop the prop's name, for the error
 */
export function checkFargateCapacity(prop: string, capacity: Capacity | undefined): void {
  const other = capacity?.providers.find((name) => !FARGATE.includes(name));
  if (other !== undefined) {
    throw invalidProp(prop, other, `${FARGATE.join(", ")}, in order of preference`);
  }
}

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
      throw invalidProp("capacity", names, "at least one capacity provider's name");
    }
    for (const [index, name] of names.entries()) {
      if (!Token.isUnresolved(name) && !FARGATE.includes(name) && !isOwnName(name)) {
        const allowed = `${FARGATE.join(", ")}, or a capacity provider's name, which AWS lets not begin with aws, ecs or fargate`;
        throw invalidProp("capacity", name, allowed);
      }
      if (names.indexOf(name) !== index) {
        throw invalidProp("capacity", names, "each capacity provider once");
      }
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
