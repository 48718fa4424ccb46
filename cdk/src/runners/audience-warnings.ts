import { invalidProp } from "../invalid-prop";
import { Registered } from "../required-labels";
import { areApart, Patterns } from "./patterns";
import { Offer } from "./host";

/** Where runners are registered, and whose jobs are served. */
export interface Served extends Registered {
  /** Owners, by name or as `name:id`; none for all. */
  readonly allowedOwners: readonly string[];
  /** Repositories; none for all of the owners. */
  readonly allowedRepositories: readonly string[];
}

/** The patterns of repositories of which a deployment serves no job. */
export function unserved(
  patterns: readonly string[],
  { allowedOwners, allowedRepositories }: Omit<Served, keyof Registered>,
): string[] {
  // An owner that is given with its id may have another name by now.
  const owners =
    allowedOwners.length === 0 || allowedOwners.some((owner) => owner.includes(":"))
      ? undefined
      : allowedOwners.map((owner) => `${owner}/*`);
  const repositories = allowedRepositories.length === 0 ? undefined : allowedRepositories;
  return patterns.filter(
    (pattern) => areApart([pattern], owners) || areApart([pattern], repositories),
  );
}

/** A warning about who may use a runner. */
export interface AudienceWarning {
  /** Identifies the warning where somebody acknowledges it. */
  readonly id: string;
  /** What happens, and what to change. */
  readonly message: string;
}

/**
 * What is open about who may use a runner.
 *
 * @throws when its runner group can't be: a repository has no groups
 */
export function audienceWarnings(offer: Offer, registered: Served): AudienceWarning[] {
  const { family, repositories, runnerGroup } = offer;
  const organization = registered.scope === "organization";
  if (runnerGroup !== undefined && !organization) {
    throw invalidProp(
      "runnerGroup",
      runnerGroup,
      "nothing, unless github.scope is 'organization', because a repository has no groups",
    );
  }
  const warnings: AudienceWarning[] = [];
  if (offer.ownTaskRole && repositories === undefined) {
    warnings.push({
      id: "task-role-for-all",
      message:
        `Every repository that this deployment serves can choose ${family} by its labels and so run ` +
        `jobs under its task role. Name those that may in its prop repositories.`,
    });
  }
  if (organization && repositories !== undefined && runnerGroup === undefined) {
    warnings.push({
      id: "no-runner-group",
      message:
        `At organization scope GitHub may give a runner of ${family} any job that the runner group ` +
        `'${registered.runnerGroup}' admits, also of a repository that its prop repositories leaves ` +
        `out. Give it a runnerGroup that only those repositories may use.`,
    });
  }
  const strangers = unserved(repositories ?? [], registered);
  if (strangers.length > 0) {
    warnings.push({
      id: "unserved-repository",
      message:
        `${family} is for ${strangers.join(", ")}, of which this deployment serves no job: neither ` +
        `allowedOwners nor allowedRepositories admits one. Add the owner or repository there, or ` +
        `take it out of repositories.`,
    });
  }
  return warnings;
}

/** Patterns of the repositories whose jobs are served; nothing for all. */
export function servedPatterns({ allowedOwners, allowedRepositories }: Served): Patterns {
  if (allowedRepositories.length > 0) {
    return allowedRepositories;
  }
  return allowedOwners.length === 0 || allowedOwners.includes("*")
    ? undefined
    : allowedOwners.map((owner) => `${owner.split(":")[0]}/*`);
}
