import { existsSync } from "node:fs";
import { join } from "node:path";
import { HANDLER_NAMES } from "../src/handlers/record";
import { repositoryFile } from "../src/repository-files";
import { Finding } from "./checks";

/** Whether the functions' programs are built, where the app looks for them. */
export function checkPrograms(directory = repositoryFile("target", "lambda")): Finding[] {
  const missing = HANDLER_NAMES.filter((name) => !existsSync(join(directory, name, "bootstrap")));
  return missing.length === 0
    ? [{ ok: true, text: `programs of all functions in ${directory}` }]
    : [
        {
          ok: false,
          text: `no program for ${missing.join(", ")} in ${directory}`,
          fix: "build them: cargo xtask zips --arch arm64",
        },
      ];
}
