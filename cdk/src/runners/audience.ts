import { invalidProp } from "../invalid-prop";

/** Tag of a task definition: the repositories whose jobs may use it, separated by a space. */
export const REPOSITORIES_TAG = "GH:repositories";
/** Tag of a task definition: the runner group that its runners join at organization scope. */
export const RUNNER_GROUP_TAG = "GH:runner-group";

// A tag's value holds 256 letters, digits, spaces and these characters; an asterisk is not among them:
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-ecs-taskdefinition-tag.html
const TAG_VALUE = /^[\p{L}\p{N} _.:/=+\-@]+$/u;
const TAG_VALUE_LENGTH = 256;

/**
 * Checks who may use a runner and joins the patterns as the tag's value. `owner/*` becomes `owner/`,
 * because a tag can't hold the asterisk.
 *
 * @param prop the prop's name, for the error
 * @param repositories `owner/name`, or `owner/*` for all of an owner
 */
export function repositoriesTag(prop: string, repositories: readonly string[]): string {
  if (repositories.length === 0) {
    throw invalidProp(prop, repositories, "at least one repository; leave it out for all");
  }
  for (const pattern of repositories) {
    if (!/^[A-Za-z0-9_-]+\/([A-Za-z0-9._-]+|\*)$/.test(pattern)) {
      throw invalidProp(
        prop,
        pattern,
        "repositories as owner/name, or owner/* for all of an owner",
      );
    }
  }
  const value = repositories.map((pattern) => pattern.replace(/\*$/, "")).join(" ");
  if (value.length > TAG_VALUE_LENGTH) {
    const allowed =
      `${TAG_VALUE_LENGTH} characters, spaces included, as a tag holds; ` +
      "give the others a runner of their own";
    throw invalidProp(prop, value, allowed);
  }
  return value;
}

/** Checks the name of a runner group, which is the tag's value. */
export function runnerGroupTag(prop: string, runnerGroup: string): string {
  const fits = TAG_VALUE.test(runnerGroup) && runnerGroup.length <= TAG_VALUE_LENGTH;
  if (!fits || runnerGroup !== runnerGroup.trim()) {
    const allowed = `1 to ${TAG_VALUE_LENGTH} letters, digits, spaces and _ . : / = + - @, as a tag holds`;
    throw invalidProp(prop, runnerGroup, allowed);
  }
  return runnerGroup;
}
