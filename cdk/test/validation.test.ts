import { App, Duration, Stack } from "aws-cdk-lib";
import * as ecs from "aws-cdk-lib/aws-ecs";
import { ArnPrincipal } from "aws-cdk-lib/aws-iam";
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Capacity,
  Ec2Capacity,
  FargateRunner,
  FargateRunnerProps,
  FargateRunnersProps,
  GitHubProps,
  PublicVpc,
} from "../src";
import { apiAddress } from "../src/github-url";
import { deployment, IMAGE } from "./support";

const REFUSED_RUNNERS: [string, Omit<FargateRunnerProps, "runners">, RegExp][] = [
  ["5 vCPU", { cpu: 5120 }, /Invalid cpu: 5120\. Allowed: 256, 512, 1024, 2048, 4096, 8192, 16384/],
  [
    "1 vCPU with 16 GiB",
    { cpu: 1024, memoryMiB: 16384 },
    /Invalid memoryMiB: 16384\. Allowed: 2048 to 8192 in steps of 1024 with cpu 1024/,
  ],
  [
    "a quarter vCPU with 1.5 GiB",
    { cpu: 256, memoryMiB: 1536 },
    /Invalid memoryMiB: 1536\. Allowed: 512, 1024 or 2048 with cpu 256/,
  ],
  [
    "8 vCPU with 17 GiB",
    { cpu: 8192, memoryMiB: 17408 },
    /Invalid memoryMiB: 17408\. Allowed: 16384 to 61440 in steps of 4096/,
  ],
  [
    "300 GiB of disk",
    { ephemeralStorageGiB: 300 },
    /Invalid ephemeralStorageGiB: 300\. Allowed: 20 to 200/,
  ],
  [
    "32 vCPU with 64 GiB",
    { cpu: 32768, memoryMiB: 65536 },
    /Invalid memoryMiB: 65536\. Allowed: 61440, 122880 or 249856 with cpu 32768/,
  ],
  [
    "CPU units instead of vCPUs as a limit",
    { maxCpu: 4096 },
    /Invalid maxCpu: 4096\. Allowed: 2, 4, 8, 16, 32: vCPUs, not CPU units/,
  ],
  [
    "a limit below the runner's own size",
    { maxCpu: 1 },
    /Invalid maxCpu: 1\. Allowed: 2, 4, 8, 16, 32/,
  ],
  [
    "a limit of vCPUs that comes with more memory than is allowed",
    { maxCpu: 16 },
    /Invalid maxMemory: undefined\. Allowed: 32 to 120 with maxCpu 16, in GiB/,
  ],
  [
    "a limit of memory that no size within the limit of vCPUs has",
    { maxCpu: 4, maxMemory: 64 },
    /Invalid maxMemory: 64\. Allowed: 8 to 30 with maxCpu 4, in GiB/,
  ],
  [
    "MiB instead of GiB as a limit",
    { maxMemory: 8192 },
    /Invalid maxMemory: 8192\. Allowed: 4 to 16 with the runner's 2 vCPU, in GiB/,
  ],
  [
    "a limit of disk below the runner's own",
    { ephemeralStorageGiB: 100, maxDisk: 50 },
    /Invalid maxDisk: 50\. Allowed: 100 to 200, whole GiB/,
  ],
  ["no labels", { labels: [] }, /Invalid labels: \[\]\. Allowed: at least one label/],
  ["a label with a space", { labels: ["big runner"] }, /Invalid labels: "big runner"/],
  ["an empty label", { labels: ["linux", ""] }, /Invalid labels: ""/],
  ["a label twice", { labels: ["gpu", "GPU"] }, /each label once, compared without case/],
  ["self-hosted alone", { labels: ["self-hosted"] }, /which alone matches nothing/],
  [
    "more labels than a tag holds",
    { labels: Array.from({ length: 40 }, (_, index) => `label-${index}`) },
    /Allowed: 256 characters/,
  ],
  [
    "a repository without owner among those that may use it",
    { repositories: ["hello"] },
    /Invalid repositories: "hello"\. Allowed: repositories as owner\/name, or owner\/\* for all/,
  ],
  [
    "a pattern within a repository's name",
    { repositories: ["octo/team-*"] },
    /Invalid repositories: "octo\/team-\*"/,
  ],
  ["nobody who may use it", { repositories: [] }, /Invalid repositories: \[\]\. Allowed: at least/],
  [
    "more repositories than a tag holds",
    { repositories: Array.from({ length: 20 }, (_, index) => `octo/repository-${index}`) },
    /Invalid repositories: .*Allowed: 256 characters/,
  ],
  [
    "a runner group at repository scope",
    { runnerGroup: "Builders" },
    /Invalid runnerGroup: "Builders"\. Allowed: nothing, unless github\.scope is 'organization'/,
  ],
  [
    "a runner group that no tag holds",
    { runnerGroup: "Builders (Linux)" },
    /Invalid runnerGroup: "Builders \(Linux\)"\. Allowed: 1 to 256 letters/,
  ],
  [
    "a pattern of everybody's repositories",
    { repositories: ["*"] },
    /Invalid repositories: "\*"\. Allowed: repositories as owner\/name/,
  ],
  ["repositories of one name", { repositories: ["*/x"] }, /Invalid repositories: "\*\/x"/],
  ["two asterisks", { repositories: ["octo/**"] }, /Invalid repositories: "octo\/\*\*"/],
  ["an empty pattern", { repositories: ["octo/x", ""] }, /Invalid repositories: ""/],
  ["an owner alone", { repositories: ["octo/"] }, /Invalid repositories: "octo\/"/],
  [
    "capabilities that Linux does not know",
    { dropCapabilities: ["CAP_NET_RAW" as ecs.Capability] },
    /Invalid dropCapabilities: "CAP_NET_RAW"\. Allowed: values of ecs\.Capability, as NET_RAW/,
  ],
  [
    "another processor",
    { architecture: "x86_64" as "x64" },
    /Invalid architecture: "x86_64"\. Allowed: "x64" or "arm64"/,
  ],
  ["a name with a slash", { name: "a/b" }, /Invalid name: "a\/b"\. Allowed: 1 to 40 characters/],
  [
    "a second container called runner",
    { extraContainers: { runner: { image: IMAGE } } },
    /Invalid extraContainers: "runner"/,
  ],
];

for (const [what, props, message] of REFUSED_RUNNERS) {
  test(`a runner with ${what} is refused`, () => {
    const { stack, runners } = deployment({ defaultRunner: false });
    assert.throws(
      () => new FargateRunner(stack, "Runner", { image: IMAGE, ...props, runners }),
      message,
    );
  });
}

test("every size in Fargate's table is taken", () => {
  const { stack, runners } = deployment({ defaultRunner: false });
  const sizes: [number, number[]][] = [
    [256, [512, 1024, 2048]],
    [512, [1024, 4096]],
    [1024, [2048, 8192]],
    [2048, [4096, 16384]],
    [4096, [8192, 30720]],
    [8192, [16384, 61440]],
    [16384, [32768, 122880]],
  ];
  for (const [cpu, memories] of sizes) {
    for (const memoryMiB of memories) {
      const name = `size-${cpu}-${memoryMiB}`;
      new FargateRunner(stack, name, { runners, name, image: IMAGE, cpu, memoryMiB });
    }
  }
});

/** Props of which one is wrong; owners are filled in. */
type Refused = Omit<Partial<FargateRunnersProps>, "github"> & { github?: Partial<GitHubProps> };

const REFUSED: [string, Refused, RegExp][] = [
  ["a prefix with an underscore", { prefix: "a_b" }, /Invalid prefix: "a_b"/],
  ["an upper-case prefix", { prefix: "Runners" }, /Invalid prefix/],
  ["a prefix that SSM reserves", { prefix: "ssm-runners" }, /Parameter Store reserves/],
  ["a prefix that AWS reserves", { prefix: "aws-runners" }, /Parameter Store reserves/],
  ["a prefix that ends with a dash", { prefix: "runners-" }, /ending without '-'/],
  ["a prefix too long for a function's name", { prefix: "a".repeat(41) }, /2 to 40 characters/],
  ["a deployment id too long", { deployment: "abcdef" }, /Invalid deployment: "abcdef"/],
  ["a deployment id with a dash", { deployment: "a-b" }, /1 to 5 characters/],
  ["an API without TLS", { github: { apiUrl: "http://ghe.example.org/api/v3" } }, /https:\/\//],
  [
    "a name of github.com's that ends in a dot",
    { github: { apiUrl: "https://api.github.com." } },
    /Allowed: https:\/\/api\.github\.com, where github\.com has its API/,
  ],
  [
    "an Enterprise Server's name that ends in a dot",
    { github: { apiUrl: "https://ghe.example.org.:8443/api/v3" } },
    /Allowed: https:\/\/ghe\.example\.org:8443\/api\/v3, where/,
  ],
  [
    "a name below an enterprise's at ghe.com",
    { github: { apiUrl: "https://api.a.octo.ghe.com" } },
    /Allowed: https:\/\/api\.SUBDOMAIN\.ghe\.com, where an enterprise/,
  ],
  ["an API that is no URL", { github: { apiUrl: "ghe.example.org" } }, /github\.apiUrl/],
  [
    "nobody whose jobs are run",
    { github: { allowedOwners: undefined } },
    /Invalid github\.allowedOwners: undefined\. Allowed: names .*\['\*'\] for all that install the App/,
  ],
  [
    "an empty list of owners",
    { github: { allowedOwners: [] } },
    /Invalid github\.allowedOwners: \[\]/,
  ],
  [
    "everybody beside an owner",
    { github: { allowedOwners: ["octo", "*"] } },
    /Invalid github\.allowedOwners: \["octo","\*"\]/,
  ],
  [
    "jobs of six days",
    { maxJobDuration: Duration.days(6) },
    /Invalid maxJobDuration: "6 days"\. Allowed: 10 minutes to 5 days/,
  ],
  [
    "jobs of a minute",
    { maxJobDuration: Duration.minutes(1) },
    /Invalid maxJobDuration: "1 minute"/,
  ],
  ["an owner with a slash", { github: { allowedOwners: ["octo/hello"] } }, /allowedOwners/],
  ["a repository without owner", { github: { allowedRepositories: ["hello"] } }, /owner\/name/],
  [
    "a pattern of repositories, which no function could read",
    { github: { allowedRepositories: ["octo/*"] } },
    /Invalid github\.allowedRepositories: "octo\/\*"\. Allowed: repositories as owner\/name; 'octo' in github\.allowedOwners stands for all/,
  ],
  ["every repository of a name", { github: { allowedRepositories: ["*/x"] } }, /"\*\/x"\. Allowed/],
  ["two asterisks", { github: { allowedRepositories: ["octo/**"] } }, /"octo\/\*\*"\. Allowed/],
  ["no name", { github: { allowedRepositories: ["octo/.."] } }, /"octo\/\.\."\. Allowed/],
  [
    "an owner's id that is none",
    { github: { allowedOwners: ["octo:99999999999999999999"] } },
    /Invalid github\.allowedOwners: "octo:9+"\. Allowed: names .*octo:583231/,
  ],
  ["the id of nobody", { github: { allowedOwners: ["octo:0"] } }, /"octo:0"/],
  [
    "more repositories than a function's variables hold",
    {
      github: {
        allowedRepositories: Array.from({ length: 200 }, (_, n) => `octo/repository-${n}`),
      },
    },
    /Invalid github\.allowedRepositories: "200 entries of \d+ bytes"\. Allowed: 3072 bytes together/,
  ],
  [
    "more ranges than a function's variables hold",
    { allowedSources: Array.from({ length: 250 }, (_, n) => `192.168.${n}.0/24`) },
    /Invalid allowedSources: "250 entries of \d+ bytes"\. Allowed: 3072 bytes/,
  ],
  [
    "another front door",
    { frontDoor: "alb" as "http-api" },
    /Invalid frontDoor: "alb"\. Allowed: "function-url" or "http-api"/,
  ],
  [
    "definitions of everybody",
    { trustedDefinitions: "all" as "prefix" },
    /Invalid trustedDefinitions: "all"\. Allowed: "deployment" or "prefix"/,
  ],
  [
    "another scope",
    { github: { scope: "enterprise" as "organization" } },
    /Invalid github\.scope: "enterprise"\. Allowed: "repository" or "organization"/,
  ],
  [
    "another registration",
    { github: { registration: "pat" as "token" } },
    /Invalid github\.registration: "pat"\. Allowed: "jit" or "token"/,
  ],
  [
    "ranges in one string",
    { allowedSources: "192.30.252.0/22" as "github" },
    /Invalid allowedSources: "192\.30\.252\.0\/22"\. Allowed: 'github', or ranges/,
  ],
  [
    "a range with a zero before its length",
    { allowedSources: ["192.30.252.0/022"] },
    /Invalid allowedSources: ".*\/022"/,
  ],
  [
    "calls for jobs without a webhook, in no repository",
    { github: { reconcileCalls: 20 } },
    /Invalid github\.allowedRepositories: undefined\. Allowed: a list of repositories/,
  ],
  [
    "more calls for jobs without a webhook than GitHub allows",
    { github: { reconcileCalls: 500, allowedRepositories: ["octo/hello"] } },
    /Invalid github\.reconcileCalls: 500\. Allowed: a whole number from 0 to 400/,
  ],
  [
    "readers of secrets that have no key of their own",
    { secretsKey: false, secretsReaders: [new ArnPrincipal("arn:aws:iam::111111111111:role/x")] },
    /Invalid secretsReaders: .*role\/x.*Allowed: nothing without secretsKey/,
  ],
  [
    "a limit of requests that a function URL has not",
    { requestsPerSecond: 5 },
    /Invalid requestsPerSecond: 5\. Allowed: nothing, unless frontDoor is 'http-api'/,
  ],
  [
    "half a request a second",
    { frontDoor: "http-api", requestsPerSecond: 0.5 },
    /Invalid requestsPerSecond: 0\.5\. Allowed: a whole number from 1 to 5000/,
  ],
  [
    "an address instead of a range",
    { allowedSources: ["192.30.252.0"] },
    /Invalid allowedSources: "192\.30\.252\.0"\. Allowed: 'github', or ranges .* as 192\.30\.252\.0\/22/,
  ],
  [
    "a range too narrow",
    { allowedSources: ["192.30.252.0/33"] },
    /Invalid allowedSources: ".*\/33"/,
  ],
  ["a range of no address", { allowedSources: ["2606:50c0/32"] }, /Invalid allowedSources: "2606/],
  [
    "nowhere to get webhooks from",
    { allowedSources: [] },
    /Invalid allowedSources: \[\]\. Allowed: at least one range; leave it out for anywhere/,
  ],
  [
    "the ranges of a GitHub that nobody reaches",
    { allowedSources: "github", github: { apiUrl: "http://127.0.0.1:9" } },
    /Invalid allowedSources: "github"\. Allowed: the ranges themselves, as a list, because http:\/\/127\.0\.0\.1:9\/meta can't be read/,
  ],
  [
    "no concurrency for a function",
    { reservedConcurrency: { verify: 0 } },
    /Invalid reservedConcurrency\.verify: 0\. Allowed: a whole number from 1 on/,
  ],
  ["a role path without a slash", { rolePath: "runners" }, /Invalid rolePath: "runners"/],
  [
    "functions in public subnets",
    { github: { insideNetwork: true } },
    /Invalid github\.insideNetwork: true\. Allowed: true only in private subnets/,
  ],
];

for (const [what, props, message] of REFUSED) {
  test(`a deployment with ${what} is refused`, () => {
    assert.throws(() => deployment(props), message);
  });
}

test("capacity without a provider is refused", () => {
  assert.throws(() => Capacity.of(), /at least one capacity provider/);
});

test("five zones are refused", () => {
  const stack = new Stack(new App(), "Test");
  assert.throws(() => new PublicVpc(stack, "Network", { maxAzs: 5 }), /Invalid maxAzs: 5.*1 to 4/);
});

test("fewer instances at most than at least are refused", () => {
  const { stack, runners } = deployment();
  assert.throws(
    () => new Ec2Capacity(stack, "C", { runners, minInstances: 3, maxInstances: 2 }),
    /Invalid minInstances: 3\. Allowed: 0 to maxInstances \(2\)/,
  );
});

test("an API's address is written as GitHub writes it, whatever the case", () => {
  for (const [given, meant] of [
    ["https://API.github.com/", "https://api.github.com"],
    ["https://api.Octo.ghe.com", "https://api.octo.ghe.com"],
    ["https://GHE.example.org:8443/API/v3/", "https://ghe.example.org:8443/api/v3"],
  ] as const) {
    assert.equal(apiAddress("github.apiUrl", given), meant);
  }
});
