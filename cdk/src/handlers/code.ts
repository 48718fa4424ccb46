import { existsSync } from "node:fs";
import { join } from "node:path";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { HANDLERS, HandlerName } from "../names";

/**
 * The handlers' compiled programs, one directory each with a `bootstrap` in it, as
 * `cargo lambda build` lays them out.
 */
export class HandlerCode {
  /**
   * @param directory holds `<handler>/bootstrap` for each of the six
   * @throws when one is missing: the message lists them and names the command that makes them
   */
  constructor(
    private readonly directory: string,
    architecture: lambda.Architecture,
  ) {
    const missing = HANDLERS.filter((handler) => !existsSync(this.bootstrap(handler)));
    if (missing.length > 0) {
      const target = architecture.name === lambda.Architecture.ARM_64.name ? "arm64" : "x86_64";
      throw new Error(
        `No program for ${missing.join(", ")} in ${directory} (expected ${missing[0]}/bootstrap). ` +
          `Build the handlers first: cargo xtask zips --arch ${target}`,
      );
    }
  }

  /** The code asset of one handler. */
  of(handler: HandlerName): lambda.Code {
    return lambda.Code.fromAsset(join(this.directory, handler));
  }

  private bootstrap(handler: HandlerName): string {
    return join(this.directory, handler, "bootstrap");
  }
}
