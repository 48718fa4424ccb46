import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { plainTemplate } from "../scripts/template";
import { HANDLERS_DIRECTORY } from "./support";
import { temporaryDirectory } from "./temporary";

interface Template {
  readonly Parameters: Record<string, { readonly Type: string }>;
  readonly Rules?: unknown;
  readonly Outputs: Record<string, unknown>;
  readonly Resources: Record<string, { readonly Type: string; readonly Properties: Properties }>;
}

interface Properties {
  readonly Code?: { readonly S3Bucket: unknown; readonly S3Key: unknown };
}

test("the plain template takes the functions from a bucket, and needs no bootstrap", () => {
  const outdir = temporaryDirectory("template");
  plainTemplate("arm64", HANDLERS_DIRECTORY, outdir);
  const text = readFileSync(join(outdir, "fargate-runners.template.json"), "utf8");
  const template = JSON.parse(text) as Template;
  assert.deepEqual(Object.keys(template.Parameters).sort(), [
    "AllowedOwners",
    "FunctionsBucket",
    "FunctionsPrefix",
    "Image",
  ]);
  assert.equal(template.Rules, undefined);
  assert.doesNotMatch(text, /cdk-hnb659fds|BootstrapVersion/);
  const functions = Object.values(template.Resources).filter(
    ({ Type }) => Type === "AWS::Lambda::Function",
  );
  assert.equal(functions.length, 6);
  for (const { Properties } of functions) {
    assert.deepEqual(Properties.Code?.S3Bucket, { Ref: "FunctionsBucket" });
    assert.match(JSON.stringify(Properties.Code?.S3Key), /-\d+\.\d+\.\d+-arm64\.zip/);
  }
  assert.ok(template.Outputs.WebhookUrl);
  // CloudFormation takes no larger one: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
  assert.ok(text.length < 1024 * 1024, `${text.length} bytes`);
});

test("the Terraform example gives the template's parameters, and takes its outputs", () => {
  const outdir = temporaryDirectory("template");
  plainTemplate("arm64", HANDLERS_DIRECTORY, outdir);
  const text = readFileSync(join(outdir, "fargate-runners.template.json"), "utf8");
  const template = JSON.parse(text) as Template;
  const example = readFileSync(
    join(__dirname, "..", "..", "examples", "terraform", "main.tf"),
    "utf8",
  );
  const [, block] = /\n {2}parameters = \{\n([^}]*)\}/.exec(example) ?? [];
  assert.ok(block, "the stack has parameters");
  const given = [...block.matchAll(/^ +(\w+) += /gm)].map(([, name]) => name!);
  assert.deepEqual(given.sort(), Object.keys(template.Parameters).sort());
  for (const [, output] of example.matchAll(/\.outputs\["(\w+)"\]/g)) {
    assert.ok(output! in template.Outputs, output);
  }
});
