import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { HandlerName } from "./record";

/** How the linker's header (ELF, e_machine) spells a processor. */
const MACHINES: ReadonlyMap<number, string> = new Map([
  [0x3e, "x86_64"],
  [0xb7, "arm64"],
]);

/**
 * The handlers' compiled programs: one directory each with a `bootstrap` in it, as `cargo lambda build`
 * lays them out, or one zip each, as a release has them.
 */
export class HandlerCode {
  /**
   * @param directory holds `<handler>/bootstrap` or `<handler>.zip` for each function
   * @param architecture the processor that the functions run on
   */
  constructor(
    private readonly directory: string,
    private readonly architecture: lambda.Architecture,
  ) {}

  /**
   * Looks whether the programs of some handlers are there.
   *
   * @throws when one is missing or built for another processor: the message names the command that
   * makes them
   */
  check(handlers: readonly HandlerName[]): void {
    const { directory } = this;
    const wanted = this.architecture.name;
    const command = `cargo xtask zips --arch ${wanted}`;
    const unzipped = handlers.filter((handler) => !existsSync(this.zip(handler)));
    const missing = unzipped.filter((handler) => !existsSync(this.bootstrap(handler)));
    if (missing.length > 0) {
      throw new Error(
        `No program for ${missing.join(", ")} in ${directory} (expected ${missing[0]}/bootstrap). ` +
          `Build the handlers first: ${command}`,
      );
    }
    for (const handler of unzipped) {
      const built = machineOf(this.bootstrap(handler));
      if (built !== undefined && built !== wanted) {
        throw new Error(
          `${this.bootstrap(handler)} is built for ${built}, but the functions run on ${wanted}. ` +
            `Build it again: ${command}; or deploy with architecture ${built}.`,
        );
      }
    }
  }

  /** The code asset of one handler. */
  of(handler: HandlerName): lambda.Code {
    const zip = this.zip(handler);
    return lambda.Code.fromAsset(existsSync(zip) ? zip : join(this.directory, handler));
  }

  private zip(handler: HandlerName): string {
    return join(this.directory, `${handler}.zip`);
  }

  private bootstrap(handler: HandlerName): string {
    return join(this.directory, handler, "bootstrap");
  }
}

/** The processor a program was built for; nothing where it is a script. */
function machineOf(program: string): string | undefined {
  const header = Buffer.alloc(20);
  const file = openSync(program, "r");
  try {
    readSync(file, header, 0, header.length, 0);
  } finally {
    closeSync(file);
  }
  return header.toString("latin1", 0, 4) === "\x7fELF"
    ? (MACHINES.get(header.readUInt16LE(18)) ?? "another processor")
    : undefined;
}
