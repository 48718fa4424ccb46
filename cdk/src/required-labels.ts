import { invalidProp } from "./invalid-prop";
import { isLabel } from "./runners/labels";

/** One way for a job to ask for a runner of this deployment. */
export type RequiredAlternative =
  /** By all of these labels. */
  | { readonly labels: readonly string[] }
  /** By no label, only by a runner group of this name (`runs-on: {group: NAME}`). */
  | { readonly group: string };

/** Where runners are registered: what an alternative for a runner group has to agree with. */
export interface Registered {
  readonly scope: "repository" | "organization";
  readonly runnerGroup: string;
}

const PROP = "github.requiredLabels";

/**
 * Reads the alternatives that `requiredLabels` names and checks that each can be met. The rule is
 * `verify`'s own (`crates/admission`); here it is looked at before anything is deployed.
 */
export function requiredAlternatives(
  requiredLabels: readonly string[],
  registered: Registered,
): RequiredAlternative[] {
  return requiredLabels
    .join(" ")
    .split("|")
    .map((text) => alternative(text.trim(), registered));
}

function alternative(text: string, registered: Registered): RequiredAlternative {
  if (/^group:/i.test(text)) {
    // The whole rest is the name: groups have names with spaces.
    const group = text.slice("group:".length).trim();
    if (group === "") {
      throw invalidProp(PROP, text, "the runner group's name after `group:`");
    }
    if (registered.scope !== "organization") {
      const needed =
        "`group:NAME` only with scope 'organization', because a repository has no groups";
      throw invalidProp(PROP, text, needed);
    }
    if (group.toLowerCase() !== registered.runnerGroup.toLowerCase()) {
      const needed =
        `\`group:${registered.runnerGroup}\`, because the runners join the runner group ` +
        `'${registered.runnerGroup}' and jobs of another one would never get one`;
      throw invalidProp(PROP, text, needed);
    }
    return { group };
  }
  const labels = text.split(/[\s,]+/).filter((label) => label !== "");
  if (labels.length === 0) {
    throw invalidProp(PROP, text, "labels or `group:NAME` on both sides of each `|`");
  }
  const unknown = labels.find((label) => !isLabel(label));
  if (unknown !== undefined) {
    const needed = "letters, digits and _ . : / = + - @ in a label, as a runner can offer it";
    throw invalidProp(PROP, unknown, needed);
  }
  const misplaced = labels.find((label) => /^group:/i.test(label));
  if (misplaced !== undefined) {
    throw invalidProp(
      PROP,
      text,
      "`group:NAME` as an alternative of its own, `LABEL | group:NAME`",
    );
  }
  return { labels };
}
