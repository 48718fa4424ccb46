import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { HANDLERS_DIRECTORY } from "./support";
import { temporaryDirectory } from "./temporary";

const CDK = join(__dirname, "..");
const BASE = {
  allowedOwners: "octo",
  image: "example.org/runner:1",
  handlersDirectory: HANDLERS_DIRECTORY,
};

/** What the app says and how it ends, started as `cdk` starts it. */
function run(
  context: Record<string, unknown>,
  environment: Record<string, string> = {},
): Promise<{ code: number; stderr: string; stdout: string; wrote: boolean }> {
  const output = temporaryDirectory("app");
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    CDK_OUTDIR: output,
    CDK_CONTEXT_JSON: JSON.stringify({ ...BASE, ...context }),
    ...environment,
  };
  // As without credentials, wherever the test runs.
  delete env.CDK_DEFAULT_ACCOUNT;
  delete env.NODE_OPTIONS;
  return new Promise((resolve) => {
    const argv = ["--import", "tsx", "bin/app.ts"];
    execFile(
      process.execPath,
      argv,
      { cwd: CDK, env, timeout: 120_000 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code);
        const wrote = existsSync(join(output, "manifest.json"));
        resolve({ code, stderr, stdout, wrote });
      },
    );
  });
}

/** What is wrong, and the sentence that says so. */
const REFUSED: [string, Record<string, unknown>, string][] = [
  [
    "an unknown key",
    { "allowed-owners": "octo" },
    "Unknown configuration key allowed-owners; did you mean allowedOwners?",
  ],
  [
    "a size that Fargate has not",
    {
      runners:
        '[{"name":"a","labels":"self-hosted,a"},{},{"name":"large-x64","labels":"self-hosted,large","cpu":5000}]',
    },
    "runners[2] (large-x64): Invalid cpu: 5000. Allowed: 256, 512, 1024, 2048, 4096, 8192, 16384, 32768 (1024 is one vCPU).",
  ],
  [
    "a name twice",
    { runners: '[{"name":"a"},{"name":"a"}]' },
    'runners[1] (a): Invalid name: "a". Allowed: a name of its own: runners[0] (a) is called that, too.',
  ],
  [
    "labels twice",
    { runners: '[{"name":"b"},{"name":"a","labels":"self-hosted,Ubuntu,linux,x64"}]' },
    "runners[0] (b): No job reaches b: a offers the same labels and comes first by name. Give one of them another label.",
  ],
  [
    "addresses that are none",
    { cidr: "10.0.0.0" },
    'Invalid cidr: "10.0.0.0". Allowed: an IPv4 block from /16 to /26 with room for 4 subnets, such as 10.0.0.0/16.',
  ],
  [
    "an ARN that is none",
    { alarmTopicArn: "alarms" },
    `Invalid alarmTopicArn: "alarms". Allowed: a topic's ARN, arn:aws:sns:REGION:ACCOUNT:NAME.`,
  ],
  [
    "a VPC that can't be looked up",
    { vpcId: "vpc-0123456789abcdef0" },
    "The subnets of vpc-0123456789abcdef0 are looked up in your account, for which there are no credentials or no region: set AWS_PROFILE and AWS_REGION, or give subnetIds.",
  ],
  [
    "a prop of the construct",
    { githubApiUrl: "https://octo.ghe.com" },
    'Invalid githubApiUrl: "https://octo.ghe.com". Allowed: https://api.octo.ghe.com, where an enterprise at ghe.com has its API.',
  ],
  ["programs that are not built", { handlersDirectory: "/nowhere" }, "No program for "],
];

for (const [what, context, sentence] of REFUSED) {
  test(`of ${what} the app prints one sentence, no stack, and ends with 1`, async () => {
    const { code, stderr, stdout, wrote } = await run(context);
    const lines = stderr.trimEnd().split("\n");
    assert.ok(lines[0]!.startsWith(sentence), stderr);
    assert.equal(lines.length, 1, stderr);
    assert.deepEqual([code, stdout, wrote], [1, "", false]);
  });
}

test("what the toolkit refuses is a sentence, too, and --debug shows where", async () => {
  const file = join(CDK, "package.json");
  const quiet = await run({}, { CDK_OUTDIR: join(file, "output") });
  assert.equal(quiet.code, 1);
  assert.match(quiet.stderr, /^[^\n]*package\.json[^\n]*\n$/);
  const { code, stderr } = await run({ cidr: "x" }, { CDK_DEBUG: "true" });
  assert.equal(code, 1);
  assert.match(stderr, /Invalid cidr: "x"[^]*\n {4}at /);
});

test("a configuration that is right leaves a template and says nothing", async () => {
  const { code, stderr, wrote } = await run({});
  assert.deepEqual([code, stderr, wrote], [0, "", true]);
});
