import { invalidProp } from "../invalid-prop";

/**
 * Refuses a name that no family of task definitions can end in.
 *
 * @param prop the prop's name, for the error
 */
export function checkRunnerName(prop: string, name: string): void {
  if (!/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name)) {
    throw invalidProp(prop, name, "1 to 40 characters of a-z, 0-9 and '-', no '-' at the ends");
  }
}

/** What a runner is called unless it has a name. */
export function defaultRunnerName(architecture: string, ...flavour: string[]): string {
  return ["ubuntu", architecture, ...flavour].join("-");
}

/** What a runner offers unless it has labels. */
export function defaultLabels(architecture: string, ...flavour: string[]): string[] {
  return ["self-hosted", "linux", architecture, "ubuntu", ...flavour];
}
