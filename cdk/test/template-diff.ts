import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

/** A resource of a template. */
export interface Resource {
  readonly Type: string;
  readonly DeletionPolicy?: string;
  readonly Properties?: Record<string, unknown>;
}

/** The resources of a template by logical id. */
export type Resources = Record<string, Resource>;

/** What is different about one resource. */
export type Change =
  | { readonly kind: "added" | "removed"; readonly id: string; readonly type: string }
  | { readonly kind: "changed"; readonly id: string; readonly type: string; readonly key: string };

/**
 * What a deployment of `after` over `before` would change.
 *
 * Versions of functions are left out, together with the state machine's reference to them: each
 * change of a function is meant to publish another one.
 */
export function changes(before: Resources, after: Resources): Change[] {
  const found: Change[] = [];
  for (const id of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [old, now] = [before[id], after[id]];
    const type = (now ?? old)!.Type;
    if (type === "AWS::Lambda::Version") {
      continue;
    }
    if (old === undefined || now === undefined) {
      found.push({ kind: now === undefined ? "removed" : "added", id, type });
      continue;
    }
    const [oldValues, nowValues] = [values(old), values(now)];
    for (const key of new Set([...Object.keys(oldValues), ...Object.keys(nowValues)])) {
      if (!isDeepStrictEqual(oldValues[key], nowValues[key]) && key !== "DefinitionSubstitutions") {
        found.push({ kind: "changed", id, type, key });
      }
    }
  }
  return found;
}

function values({ Properties, DeletionPolicy }: Resource): Record<string, unknown> {
  return { ...Properties, DeletionPolicy };
}

/** A change in one line: `VerifyFunction.Environment`, `+NetworkVpcFlowLog`, `-Alarm`. */
export function show(change: Change): string {
  const id = change.id.replace(/^Runners/, "").replace(/[0-9A-F]{8}$/, "");
  switch (change.kind) {
    case "added":
      return `+${id}`;
    case "removed":
      return `-${id}`;
    case "changed":
      return `${id}.${change.key}`;
  }
}

/**
 * What of the expectations isn't met, in sentences.
 *
 * @param expected lines as {@link show} writes them, `*` for anything; each must match a change,
 * and each change must match one
 */
export function unexpected(found: readonly Change[], expected: readonly string[]): string[] {
  const lines = found.map(show);
  const patterns = expected.map((pattern) => ({ pattern, matches: matcher(pattern) }));
  return [
    ...lines
      .filter((line) => !patterns.some(({ matches }) => matches(line)))
      .map((line) => `changes ${line}, which has nothing to do with it`),
    ...patterns
      .filter(({ matches }) => !lines.some(matches))
      .map(({ pattern }) => `doesn't change ${pattern}`),
  ];
}

function matcher(pattern: string): (line: string) => boolean {
  const escaped = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const expression = new RegExp(`^${escaped.join(".*")}$`);
  return (line) => expression.test(line);
}

/**
 * The changes that CloudFormation makes by replacing a resource.
 *
 * A task definition is left out: its changes are new revisions, and runners that are at work keep
 * theirs.
 */
export function replacements(found: readonly Change[]): Change[] {
  return found.filter(
    (change) =>
      change.kind === "removed" ||
      (change.kind === "changed" &&
        change.type !== "AWS::ECS::TaskDefinition" &&
        createOnly(change.type).includes(change.key)),
  );
}

// Taken from CloudFormation's resource schemas; see the README for how.
const CREATE_ONLY = JSON.parse(
  readFileSync(join(__dirname, "fixtures", "create-only-properties.json"), "utf8"),
) as Record<string, string[]>;

function createOnly(type: string): string[] {
  const properties = CREATE_ONLY[type];
  if (properties === undefined) {
    throw new Error(`${type} is missing in create-only-properties.json`);
  }
  return properties;
}
