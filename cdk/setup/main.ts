import { SSMClient } from "@aws-sdk/client-ssm";
import { setTimeout } from "node:timers/promises";
import { createInterface } from "node:readline/promises";
import { readOptions, USAGE, UsageError } from "./options";
import { checkPrograms } from "./programs";
import { report, run, Terminal } from "./run";

const terminal: Terminal = {
  say: (line) => console.log(line),
  ask: async (question) => {
    if (!process.stdin.isTTY) {
      return undefined;
    }
    const lines = createInterface({ input: process.stdin, output: process.stdout });
    const answer = await lines.question(question);
    lines.close();
    return answer;
  },
  wait: (seconds) => setTimeout(seconds * 1000),
};

/** 0: all is well; 1: something is to be repaired; 2: a mistake on the command line. */
async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options === undefined) {
    console.log(USAGE);
    return 0;
  }
  const well = await run(options, new SSMClient(), terminal);
  const built = options.remove || report(terminal, checkPrograms());
  return well && built ? 0 : 1;
}

main().then(
  (status) => (process.exitCode = status),
  (error: unknown) => {
    const { name, message } = error as Error;
    console.error(`✗ ${message}`);
    if (name === "CredentialsProviderError" || /region is missing/i.test(message)) {
      console.error("  → set AWS_PROFILE and AWS_REGION, as for the AWS command line");
    }
    process.exitCode = error instanceof UsageError ? 2 : 1;
  },
);
