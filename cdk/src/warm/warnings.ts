import { Names } from "../names";
import { covers, Patterns } from "../runners/patterns";
import { Pool, slotsOf } from "./pool";

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

/** What the deployment says about the jobs of a runner with warm tasks. */
export interface WarmJobs {
  /**
   * How many of its runners may run at once.
   * @default - as many as there are jobs
   */
  readonly maxRunning?: number;
  /** Repositories of its jobs. */
  readonly repositories: Patterns;
  /** Repositories that have a role of their own. */
  readonly withRole: readonly string[];
}

/** What no job would ever take, and is paid for. */
export function idleWarnings(pool: Pool, jobs: WarmJobs): WarmWarning[] {
  const { family } = pool;
  const { maxRunning, repositories, withRole } = jobs;
  const slots = slotsOf(pool);
  const warnings: WarmWarning[] = [];
  if (maxRunning !== undefined && slots > maxRunning) {
    warnings.push({
      id: "warm-above-cap",
      message:
        `${family} keeps up to ${slots} warm tasks, and at most ${maxRunning} of its runners may run at ` +
        "once (maxRunning): the others wait in vain. Keep fewer, or raise the cap.",
    });
  }
  if (withRole.length > 0 && covers(withRole, repositories)) {
    warnings.push({
      id: "warm-without-jobs",
      message:
        `No job takes a warm task of ${family}: each of its repositories has a role of its own ` +
        "(repositoryRoles), and such jobs start cold. Leave warm out, or give the runner the role as taskRole.",
    });
  }
  return warnings;
}
