import { InvalidProp } from "../src/invalid-prop";
import { inKeys } from "./keys";

/** Where a runner of the configuration stands. */
export function placeOf(index: number, { name }: { readonly name?: unknown }): string {
  return typeof name === "string" ? `runners[${index}] (${name})` : `runners[${index}]`;
}

/**
 * Runs a part of the app; what is wrong in it says first where it stands.
 *
 * @param where such as `runners[2] (large-x64)`
 */
export function within<T>(where: string, part: () => T): T {
  try {
    return part();
  } catch (error) {
    if (isBug(error)) {
      throw error;
    }
    throw new Error(`${where}: ${sentence(error)}`, { cause: error });
  }
}

/**
 * Runs the app. What is wrong with the configuration is one sentence on stderr and exit code 1;
 * `cdk --debug` shows where it was thrown. A bug of ours is thrown on.
 */
export function reporting(app: () => void): void {
  try {
    app();
  } catch (error) {
    if (isBug(error)) {
      throw error;
    }
    console.error(process.env.CDK_DEBUG === "true" ? error : sentence(error));
    // Not exitCode: the toolkit would go on and write half a template.
    process.exit(1);
  }
}

/** What an error says, in the words of the configuration. */
function sentence(error: unknown): string {
  return error instanceof InvalidProp ? inKeys(error).message : (error as Error).message;
}

/** Whether an error is no message to anybody: JavaScript's own. */
function isBug(error: unknown): boolean {
  return (
    !(error instanceof Error) ||
    error instanceof TypeError ||
    error instanceof ReferenceError ||
    error instanceof RangeError
  );
}
