import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { HANDLERS_DIRECTORY } from "./support";
import { Resources } from "./template-diff";
import { temporaryDirectory } from "./temporary";

const EXAMPLES = join(__dirname, "..", "..", "examples");
const names = readdirSync(EXAMPLES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(join(EXAMPLES, entry.name, "app.ts")))
  .map(({ name }) => name);

/** Runs an example's app as the CLI would, and answers its template's resources. */
async function synthesize(name: string): Promise<{ Type: string; text: string }[]> {
  const directory = join(EXAMPLES, name);
  const output = temporaryDirectory(name);
  const { app } = JSON.parse(readFileSync(join(directory, "cdk.json"), "utf8")) as { app: string };
  const [program, ...argv] = app.split(" ");
  await promisify(execFile)(program!, argv, {
    cwd: directory,
    env: {
      ...process.env,
      CDK_OUTDIR: output,
      CDK_CONTEXT_JSON: JSON.stringify({ "fargate-runners:handlersDirectory": HANDLERS_DIRECTORY }),
    },
  });
  const template = JSON.parse(readFileSync(join(output, "runners.template.json"), "utf8")) as {
    Resources: Resources;
  };
  return Object.values(template.Resources).map((resource) => ({
    Type: resource.Type,
    text: JSON.stringify(resource.Properties),
  }));
}

/** What makes each example what it is. */
const SHOWS: Record<string, (resources: { Type: string; text: string }[]) => void> = {
  minimal: (resources) => {
    assert.match(only(resources, "AWS::ECS::TaskDefinition"), /self-hosted linux x64 ubuntu/);
  },
  "existing-vpc-spot": (resources) => {
    assert.ok(!resources.some(({ Type }) => Type === "AWS::EC2::VPC"));
    assert.ok(resources.some(({ text }) => text?.includes('"CAPACITY":"FARGATE_SPOT FARGATE"')));
    assert.equal(resources.filter(({ Type }) => Type === "AWS::ECS::TaskDefinition").length, 2);
  },
  arm64: (resources) => {
    const definitions = resources.filter(({ Type }) => Type === "AWS::ECS::TaskDefinition");
    assert.deepEqual(definitions.map(({ text }) => /"(ARM64|X86_64)"/.exec(text)![1]).sort(), [
      "ARM64",
      "X86_64",
    ]);
  },
  isolated: (resources) => {
    assert.ok(!resources.some(({ Type }) => Type === "AWS::EC2::InternetGateway"));
    const inVpc = resources.filter(
      ({ Type, text }) => Type === "AWS::Lambda::Function" && text.includes("VpcConfig"),
    );
    assert.equal(inVpc.length, 3);
  },
};

function only(resources: { Type: string; text: string }[], type: string): string {
  const found = resources.filter(({ Type }) => Type === type);
  assert.equal(found.length, 1);
  return found[0]!.text;
}

test("every example is tested, and every test has its example", () => {
  assert.deepEqual(names.sort(), Object.keys(SHOWS).sort());
});

for (const [name, check] of Object.entries(SHOWS)) {
  test(`the example ${name} synthesizes to what it shows`, async () => {
    check(await synthesize(name));
  });
}
