import { Names } from "../names";
import { Pool } from "./pool";

/** What is known of a runner with warm tasks. */
export interface WarmFacts {
  /** Whether somebody brought the image. */
  readonly ownImage: boolean;
  /** Whether the role of its tasks can be changed here. */
  readonly changeableRole: boolean;
}

/** A warning about a runner's warm tasks. */
export interface WarmWarning {
  /** Identifies the warning where somebody acknowledges it. */
  readonly id: string;
  /** What happens, and what to change. */
  readonly message: string;
}

/** What may be different from what somebody meant. */
export function warmWarnings(pool: Pool, facts: WarmFacts, names: Names): WarmWarning[] {
  const { family, schedule, linger } = pool;
  const warnings: WarmWarning[] = [];
  const from = schedule?.[0]?.from ?? linger?.from;
  if (from !== undefined) {
    warnings.push({
      id: "warm-hours-in-utc",
      message:
        `The hours of ${family}'s warm tasks are in UTC and do not follow daylight saving time: they ` +
        `begin at ${from} UTC. Acknowledge this warning when they are right.`,
    });
  }
  if (facts.ownImage) {
    warnings.push({
      id: "warm-own-image",
      message:
        `The agent in the image of ${family} must be of this release: an older one exits when it is ` +
        "started without a job, and the keeper starts it again. Rebuild the image with this agent.",
    });
  }
  if (!facts.changeableRole) {
    warnings.push({
      id: "warm-unchangeable-task-role",
      message:
        `The task role of ${family} is imported and can't be changed here. Allow it dynamodb:GetItem ` +
        `and dynamodb:UpdateItem on ${names.stockTable} with dynamodb:LeadingKeys 'bell#*', or no warm ` +
        "task takes a job; and deny it everything else on this table.",
    });
  }
  return warnings;
}
