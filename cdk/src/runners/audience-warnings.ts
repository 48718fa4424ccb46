import { invalidProp } from "../invalid-prop";
import { Registered } from "../required-labels";
import { Offer } from "./host";

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
export function audienceWarnings(offer: Offer, registered: Registered): AudienceWarning[] {
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
  return warnings;
}
