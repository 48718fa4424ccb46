import { invalidProp } from "../invalid-prop";
import { Names } from "../names";

/** Tag of a task definition: the version of GitHub's runner in its image. */
export const RUNNER_VERSION_TAG = "GH:runner-version";

/** The tag's value: a version, or the name of a parameter that `sweep` may read. */
export function runnerVersionTag(prop: string, value: string, names: Names): string {
  const version = /^\d+\.\d+\.\d+$/.test(value);
  const parameter = value.startsWith(`${names.runnerVersions}/`);
  if (!version && !parameter) {
    throw invalidProp(
      prop,
      value,
      `a version like 2.338.0, or the name of an SSM parameter below ${names.runnerVersions}/`,
    );
  }
  return value;
}
