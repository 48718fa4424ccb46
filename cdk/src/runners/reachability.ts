import { RequiredAlternative } from "../required-labels";
import { Offer } from "./host";

/** A likely mistake in an offer. */
export interface ReachabilityWarning {
  /** The offer that is wrong. */
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
  required: readonly RequiredAlternative[],
): ReachabilityWarning[] {
  const warnings: ReachabilityWarning[] = [];
  const offered = labelSet(added);
  const missing = required.map((one) =>
    "labels" in one ? one.labels.filter((label) => !offered.has(label.toLowerCase())) : [],
  );
  if (missing.every((labels) => labels.length > 0)) {
    const labels = missing.map((one) => one.join(", ")).join(", or ");
    warnings.push({
      offer: added,
      id: "unreachable-runner",
      message:
        `No job reaches ${added.family}: a job is only looked at with the label ` +
        `${labels}, which this runner doesn't offer. Add it to its labels.`,
    });
  }
  const always = new Set(
    required.flatMap((one) =>
      "labels" in one ? one.labels.map((label) => label.toLowerCase()) : [],
    ),
  );
  for (const other of others) {
    const [first, second] = [added, other].sort((a, b) => (a.family < b.family ? -1 : 1));
    warnings.push(...between(first!, second!, always));
  }
  return warnings;
}

function between(first: Offer, second: Offer, always: ReadonlySet<string>): ReachabilityWarning[] {
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
  if (!shared.some((label) => !always.has(label))) {
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
