import { Offer } from "./host";

/** Something about an offer that its author probably didn't mean. */
export interface ReachabilityWarning {
  /** The offer that jobs don't reach as expected. */
  readonly offer: Offer;
  /** Identifies the warning where somebody acknowledges it. */
  readonly id: string;
  /** What happens, and what to change. */
  readonly message: string;
}

/**
 * What is wrong with an offer beside those that are there already.
 *
 * `match` takes, of all offers that carry a job's labels, the one with the fewest labels, and of
 * equals the family that comes first. An offer with more labels than another is thus reached by
 * jobs that ask for one of them; only equals get in each other's way.
 */
export function reachabilityWarnings(
  added: Offer,
  others: readonly Offer[],
  requiredLabels: readonly string[],
): ReachabilityWarning[] {
  const warnings: ReachabilityWarning[] = [];
  const missing = requiredLabels.filter((label) => !labelSet(added).has(label.toLowerCase()));
  if (missing.length > 0) {
    warnings.push({
      offer: added,
      id: "unreachable-runner",
      message:
        `No job reaches ${added.family}: a job is only looked at with the label ` +
        `${missing.join(", ")}, which this runner doesn't offer. Add it to its labels.`,
    });
  }
  for (const other of others) {
    const [first, second] = [added, other].sort((a, b) => (a.family < b.family ? -1 : 1));
    warnings.push(...between(first!, second!, requiredLabels));
  }
  return warnings;
}

function between(
  first: Offer,
  second: Offer,
  requiredLabels: readonly string[],
): ReachabilityWarning[] {
  const [a, b] = [labelSet(first), labelSet(second)];
  if (a.size !== b.size) {
    return [];
  }
  const shared = [...a].filter((label) => b.has(label));
  if (shared.length === a.size) {
    return [
      {
        offer: second,
        id: "unreachable-runner",
        message:
          `No job reaches ${second.family}: ${first.family} offers the same labels and comes ` +
          `first by name. Give one of them another label.`,
      },
    ];
  }
  const required = new Set(requiredLabels.map((label) => label.toLowerCase()));
  if (!shared.some((label) => !required.has(label))) {
    return [];
  }
  return [
    {
      offer: second,
      id: "overlapping-runners",
      message:
        `A job that asks for no more than ${shared.join(", ")} goes to ${first.family}, which ` +
        `comes before ${second.family} by name: both offer ${a.size} labels. To decide it ` +
        `otherwise, give the one that shouldn't take such jobs one label more.`,
    },
  ];
}

function labelSet(offer: Offer): Set<string> {
  return new Set(offer.labels.map((label) => label.toLowerCase()));
}
