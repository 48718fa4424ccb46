import { invalidProp } from "../invalid-prop";

/** The tag by which a task definition offers itself to `match`: labels, separated by a space. */
export const LABELS_TAG = "GH:labels";

// A tag's value holds 256 of these characters:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html
const LABEL = /^[\p{L}\p{N}_.:/=+\-@]+$/u;
const TAG_VALUE_LENGTH = 256;

/** Whether a tag can hold a label. */
export function isLabel(text: string): boolean {
  return LABEL.test(text);
}

/**
 * Checks the labels that a task definition offers and joins them as the tag's value.
 *
 * @param prop the prop's name, for the error
 * @param labels compared without case, as GitHub does
 */
export function labelsTag(prop: string, labels: readonly string[]): string {
  if (labels.length === 0) {
    throw invalidProp(prop, labels, "at least one label besides 'self-hosted'");
  }
  for (const label of labels) {
    if (!isLabel(label)) {
      throw invalidProp(
        prop,
        label,
        "letters, digits and _ . : / = + - @ in a label; a space separates labels in the tag",
      );
    }
  }
  const lower = labels.map((label) => label.toLowerCase());
  const twice = labels.find((_, index) => lower.indexOf(lower[index]!) !== index);
  if (twice !== undefined) {
    throw invalidProp(prop, twice, "each label once, compared without case");
  }
  if (lower.every((label) => label === "self-hosted")) {
    throw invalidProp(
      prop,
      labels,
      "at least one label besides 'self-hosted', which alone matches nothing",
    );
  }
  const value = labels.join(" ");
  if (value.length > TAG_VALUE_LENGTH) {
    throw invalidProp(
      prop,
      value,
      `${TAG_VALUE_LENGTH} characters, spaces included, as a tag holds`,
    );
  }
  return value;
}
