/** Whose jobs a runner is for: patterns `owner/name` and `owner/*`, or nothing for all. */
export type Patterns = readonly string[] | undefined;

/** Whether every job that the second serves is one that the first serves. */
export function covers(first: Patterns, second: Patterns): boolean {
  if (first === undefined) {
    return true;
  }
  return second?.every((pattern) => first.some((other) => includes(other, pattern))) ?? false;
}

/** Whether no job is one that both serve. */
export function areApart(first: Patterns, second: Patterns): boolean {
  if (first === undefined || second === undefined) {
    return false;
  }
  return !first.some((a) => second.some((b) => includes(a, b) || includes(b, a)));
}

/** Whether a pattern includes another; GitHub compares names without case. */
function includes(pattern: string, other: string): boolean {
  const [a, b] = [pattern.toLowerCase(), other.toLowerCase()];
  return a === b || (a.endsWith("/*") && b.startsWith(a.slice(0, -1)));
}
