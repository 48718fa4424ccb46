import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readConfig } from "../app/config";
import { temporaryDirectory } from "./temporary";

test("an unknown key is an error that names the nearest known one", () => {
  assert.throws(() => readConfig({ alowedOwners: "octo" }), /did you mean allowedOwners\?/);
});

test("an unknown key of a runner is named with its place", () => {
  assert.throws(
    () => readConfig({ runners: [{ name: "a" }, { name: "b", lables: ["b"] }] }),
    /^Error: runners\[1\] \(b\): Unknown key lables; did you mean labels\?$/,
  );
});

for (const [key, meant] of [
  ["allowed-owners", /Unknown configuration key allowed-owners; did you mean allowedOwners\?/],
  ["allowed_owners", /did you mean allowedOwners\?/],
  ["ALLOWED_OWNERS", /did you mean allowedOwners\?/],
  ["allowedowners", /did you mean allowedOwners\?/],
  ["alowed-owners", /did you mean allowedOwners\?/],
  ["owners", /did you mean allowedOwners\?/],
  ["github.allowedOwners", /did you mean allowedOwners\?/],
  ["github.apiUrl", /did you mean githubApiUrl\?/],
  ["apiUrl", /did you mean githubApiUrl\?/],
  ["scope", /did you mean runnerScope\?/],
  ["vpc", /did you mean vpcId\?/],
  ["subnets", /did you mean subnetIds\?/],
  ["cidr2", /did you mean cidr\?/],
  ["cpu", /key cpu; it is a key of each of the runners: -c 'runners=\[\{"cpu":4096\}\]'\./],
  ["memory-mib", /it is a key of each of the runners: -c 'runners=\[\{"memoryMiB":4096\}\]'\./],
  ["memory", /did you mean memoryMiB of one of the runners\?/],
  ["runners[0].cpu", /give runners as a whole, -c 'runners=\[\{…\}\]' or in a file\./],
  ["region", /Unknown configuration key region; cdk\/README\.md lists those that there are\./],
  ["fargate-runners:handlerDirectory", /did you mean fargate-runners:handlersDirectory\?/],
] as const) {
  test(`${key} is no key, and the right one is named`, () => {
    assert.throws(() => readConfig({ [key]: "4096" }), meant);
  });
}

test("a key of all in a runner is told from a mistyped one", () => {
  assert.throws(
    () => readConfig({ runners: [{ network: "nat" }] }),
    /runners\[0\]: Unknown key network; network is a key beside runners, for all of them\./,
  );
});

test("what the CLI and the toolkit put into the context is not ours", () => {
  assert.deepEqual(
    readConfig({
      "@aws-cdk/core:checkSecretUsage": true,
      "aws:cdk:enable-path-metadata": false,
      "cli-telemetry": false,
      "acknowledged-issue-numbers": [1],
      "hosted-zone:account=1:domainName=example.org:region=us-east-1": {},
      "fargate-runners:handlersDirectory": "target/lambda",
      "availability-zones:account=1:region=us-east-1": ["us-east-1a"],
    }),
    {},
  );
});

test("text from the command line becomes the key's type", () => {
  assert.deepEqual(
    readConfig({
      allowPublicRepositories: "true",
      allowedOwners: "octo, hub cat",
      logRetentionDays: "7",
      runners: '[{"labels": "gpu big", "cpu": "1024"}]',
    }),
    {
      allowPublicRepositories: true,
      allowedOwners: ["octo", "hub", "cat"],
      logRetentionDays: 7,
      runners: [{ labels: ["gpu", "big"], cpu: 1024 }],
    },
  );
});

test("the command line wins over the file", () => {
  const file = join(temporaryDirectory("config"), "config.json");
  writeFileSync(file, JSON.stringify({ prefix: "from-file", deployment: "f" }));
  assert.deepEqual(readConfig({ config: file, prefix: "from-line" }), {
    prefix: "from-line",
    deployment: "f",
  });
});

test("a file that isn't there is named", () => {
  assert.throws(() => readConfig({ config: "/nowhere/config.json" }), /\/nowhere\/config\.json/);
});

test("a file that holds no object is named", () => {
  for (const content of ["[]", "3", "null"]) {
    const file = join(temporaryDirectory("config"), "config.json");
    writeFileSync(file, content);
    assert.throws(() => readConfig({ config: file }), /config\.json holds no JSON object/, content);
  }
});

test("a list may be JSON on the command line", () => {
  assert.deepEqual(readConfig({ allowedOwners: '["octo", "cats"]' }).allowedOwners, [
    "octo",
    "cats",
  ]);
});

for (const [key, value, allowed] of [
  ["architecture", "arm", /arm64, x86_64/],
  ["allowPublicRepositories", "yes", /true or false/],
  ["logRetentionDays", "a week", /a whole number/],
  ["prefix", "", /a text/],
  ["runners", "{}", /a JSON array/],
  ["runners", "[3]", /a JSON object/],
  ["capacity", "SPOT", /Invalid capacity: "SPOT"\. Allowed: FARGATE, FARGATE_SPOT, in order/],
  ["parameterKeyArn", "foo", /a key's ARN, arn:aws:kms:REGION:ACCOUNT:key\/ID\./],
  ["parameterKeyArn", "arn:aws:kms:us-east-1:111111111111:alias/x", /a key's ARN/],
  ["permissionsBoundaryArn", "arn:aws:iam::1:policy/x", /a policy's ARN/],
  ["alarmTopicArn", "alarms", /a topic's ARN, arn:aws:sns:REGION:ACCOUNT:NAME\./],
  ["secretsReaderArns", "arn:aws:sts::111111111111:assumed-role/a/b", /a role or user's ARN/],
  ["secretsReaderArns", "*", /a role or user's ARN/],
  ["vpcId", "vpc-1", /an id like vpc-0123456789abcdef0/],
  ["subnetIds", "subnet-0123456789abcdef0,other", /Invalid subnetIds: "other"/],
  ["securityGroupIds", "subnet-0123456789abcdef0", /an id like sg-0123456789abcdef0/],
] as const) {
  test(`${key}=${value} is refused with what is allowed`, () => {
    assert.throws(() => readConfig({ [key]: value }), allowed);
  });
}
