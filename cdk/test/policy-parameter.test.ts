import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { templateOf } from "./support";

test("the stack publishes whose jobs it runs as the command line reads it", () => {
  const value = (github: object) => {
    const parameters = templateOf({ github: { allowedOwners: ["octo"], ...github } }).findResources(
      "AWS::SSM::Parameter",
    );
    const [{ Properties }] = Object.values(parameters) as [{ Properties: Record<string, string> }];
    assert.equal(Properties.Name, "/fargate-runners/policy");
    return JSON.parse(Properties.Value!) as object;
  };
  // `cli/src/setup/policy.rs` reads the same file.
  const text = readFileSync(join(__dirname, "fixtures", "policy.json"), "utf8");
  const published = JSON.parse(text) as object;
  assert.deepEqual(value({}), published);
  assert.deepEqual(value({ allowedOwners: ["*"] }), { ...published, allowedOwners: "*" });
});
