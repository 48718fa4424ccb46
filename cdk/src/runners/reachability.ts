import { RequiredAlternative } from "../required-labels";
import { Offer } from "./host";
import { areApart, covers } from "./patterns";

/** What decides which jobs reach an offer. */
export type Reachable = Pick<Offer, "family" | "labels" | "repositories">;

/** A likely mistake in an offer. */
export interface ReachabilityWarning<O extends Reachable = Offer> {
  /** The offer that is wrong. */
  readonly offer: O;
  /** Identifies the warning where somebody acknowledges it. */
  readonly id: string;
  /** What happens, and what to change. */
  readonly message: string;
}

/**
 * What is wrong with an offer beside those that are there already.
 *
 * `match` takes, of all offers for a job's repository that carry its labels, the one with the fewest labels, and of
 * equals the family that comes first. An offer with more labels than another is thus reached by
 * jobs that ask for one of them; only equals get in each other's way.
 */
export function reachabilityWarnings<O extends Reachable>(
  added: O,
  others: readonly O[],
  required: readonly RequiredAlternative[],
): ReachabilityWarning<O>[] {
  const warnings: ReachabilityWarning<O>[] = [];
  const offered = labelSet(added);
  const missing = required.map((one) =>
    "labels" in one
      ? one.labels.filter((label) => !isPrefix(label) && !offered.has(label.toLowerCase()))
      : [],
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

function between<O extends Reachable>(
  first: O,
  second: O,
  always: ReadonlySet<string>,
): ReachabilityWarning<O>[] {
  const [a, b] = [labelSet(first), labelSet(second)];
  if (a.size !== b.size || areApart(first.repositories, second.repositories)) {
    return [];
  }
  const shared = [...a].filter((label) => b.has(label));
  if (shared.length === a.size) {
    // What the first is not for is left to the second.
    if (!covers(first.repositories, second.repositories)) {
      return [];
    }
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

/** Whether a required label stands for all that begin with it, as `fargate=`. */
function isPrefix(label: string): boolean {
  return label.endsWith("=");
}

function labelSet(offer: Reachable): Set<string> {
  return new Set(offer.labels.map((label) => label.toLowerCase()));
}
