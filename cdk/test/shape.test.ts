import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { version } from "../package.json";
import { appTemplate } from "./support";
import { Resources } from "./template-diff";

/** What CloudFormation lets us look at in one breath, and a reader too. */
const MOST_RESOURCES = 120;
/** CloudFormation's limit for a template; https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html */
const MOST_BYTES = 1_000_000;

const TEMPLATE = appTemplate().toJSON();
const RESOURCES = TEMPLATE.Resources as Resources;

test("the default template stays small", (context) => {
  const count = Object.keys(RESOURCES).length;
  const bytes = JSON.stringify(TEMPLATE).length;
  context.diagnostic(`${count} resources, ${bytes} bytes`);
  assert.ok(count < MOST_RESOURCES, `${count} resources`);
  assert.ok(bytes < MOST_BYTES, `${bytes} bytes`);
});

// CloudFormation knows a resource by its logical id: one that changes is a resource replaced, and
// for the function URL that is another address at GitHub. After a deliberate change:
// UPDATE_SNAPSHOTS=1 npm test
test("logical ids are those of the last release", () => {
  const file = join(__dirname, "fixtures", "logical-ids.json");
  const ids = Object.fromEntries(
    Object.entries(RESOURCES)
      .filter(([, { Type }]) => Type !== "AWS::Lambda::Version")
      .map(([id, { Type }]) => [id, Type])
      .sort(),
  );
  if (process.env.UPDATE_SNAPSHOTS !== undefined) {
    writeFileSync(file, `${JSON.stringify(ids, null, 2)}\n`);
  }
  assert.deepEqual(ids, JSON.parse(readFileSync(file, "utf8")));
});

test("destroying the stack keeps nothing but published versions, which go with their function", () => {
  const kept = Object.values(RESOURCES).filter(({ DeletionPolicy }) => DeletionPolicy === "Retain");
  assert.deepEqual([...new Set(kept.map(({ Type }) => Type))], ["AWS::Lambda::Version"]);
});

test("the outputs name what an operator needs first", () => {
  assert.deepEqual(Object.keys(TEMPLATE.Outputs as object).sort(), [
    "CleanupFunction",
    "ClusterName",
    "DashboardLink",
    "DeadLetterQueue",
    "DeploymentId",
    "ExecutionsLink",
    "GitHubApiUrl",
    "LaunchFunction",
    "LogsLink",
    "MatchFunction",
    "ParameterPath",
    "StateMachineArn",
    "SweepFunction",
    "TaskLogGroup",
    "TasksLink",
    "TokenFunction",
    "VerifyFunction",
    "Version",
    "WebhookUrl",
  ]);
  const { Version } = TEMPLATE.Outputs as Record<string, { Value: string }>;
  assert.equal(Version!.Value, version);
});
