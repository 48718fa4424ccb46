import { execFileSync } from "node:child_process";
import { isIP } from "node:net";
import { invalidProp } from "./invalid-prop";

/** How long GitHub may take to say its ranges. */
const LIMIT_MS = 20_000;

const ALLOWED =
  "'github', or ranges of addresses in CIDR notation, as 192.30.252.0/22 or 2606:50c0::/32";

/** Reads an address and prints the ranges that hooks come from, in a process of its own: synthesis can't wait. */
const READ = `
const answer = await fetch(process.argv[1], {
  headers: { accept: "application/vnd.github+json", "user-agent": "fargate-runners" },
});
if (!answer.ok) throw new Error("status " + answer.status);
process.stdout.write(JSON.stringify((await answer.json()).hooks ?? []));
`;

/**
 * The ranges of addresses that webhooks may come from; none for anywhere.
 *
 * @param given ranges, or `github` for those that GitHub publishes, read now
 * @param apiUrl where GitHub's API is
 */
export function allowedSources(
  given: readonly string[] | "github" | undefined,
  apiUrl: string,
): readonly string[] {
  if (given === undefined) {
    return [];
  }
  if (typeof given === "string" && given !== "github") {
    throw invalidProp("allowedSources", given, ALLOWED);
  }
  const ranges = given === "github" ? publishedRanges(apiUrl) : given;
  if (ranges.length === 0) {
    throw invalidProp("allowedSources", given, "at least one range; leave it out for anywhere");
  }
  for (const range of ranges) {
    if (!isRange(range)) {
      throw invalidProp("allowedSources", range, ALLOWED);
    }
  }
  return ranges;
}

function isRange(text: string): boolean {
  const [, address, length] = /^([0-9a-fA-F.:]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const version = isIP(address ?? "");
  return version !== 0 && Number(length) <= (version === 4 ? 32 : 128);
}

/** https://docs.github.com/rest/meta/meta#get-github-meta-information */
function publishedRanges(apiUrl: string): readonly string[] {
  const url = `${apiUrl}/meta`;
  const needed = (why: string) =>
    invalidProp(
      "allowedSources",
      "github",
      `the ranges themselves, as a list, because ${url} ${why}`,
    );
  let text: string;
  try {
    text = execFileSync(process.execPath, ["--input-type=module", "-e", READ, url], {
      encoding: "utf8",
      timeout: LIMIT_MS,
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const said = /Error: (.*)/.exec(stderr ?? "")?.[1] ?? message;
    throw needed(`can't be read (${said})`);
  }
  const ranges = JSON.parse(text) as string[];
  if (ranges.length === 0) {
    throw needed("publishes none for webhooks");
  }
  return ranges;
}
