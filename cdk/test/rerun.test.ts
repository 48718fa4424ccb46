import { Template } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { test } from "node:test";
import { FargateRunner, RERUN_TAG } from "../src";
import { deployment, IMAGE, templateOf } from "./support";

test("without it the template is the same to the last byte", () => {
  const plain = templateOf().toJSON();
  const without = templateOf({ defaultRunner: { rerunAfterInterruption: false } }).toJSON();
  assert.equal(JSON.stringify(without), JSON.stringify(plain));
  assert.ok(!JSON.stringify(plain).includes(RERUN_TAG));
  assert.ok(!JSON.stringify(plain).includes("RERUN_TABLE"));
});

test("only cleanup writes notes and only sweep reads them, in a table that others share", () => {
  const { stack, runners } = deployment({ defaultRunner: { warm: { size: 1 } } });
  for (const name of ["one", "two"]) {
    new FargateRunner(stack, name, { runners, name, image: IMAGE, rerunAfterInterruption: true });
  }
  const template = Template.fromStack(stack);
  template.resourceCountIs("AWS::DynamoDB::Table", 1);
  const told = Object.values(template.findResources("AWS::Lambda::Function"))
    .filter(({ Properties }) => Properties.Environment?.Variables?.RERUN_TABLE !== undefined)
    .map(({ Properties }) => Properties.FunctionName as string);
  assert.deepEqual(told.sort(), ["fargate-runners-cleanup", "fargate-runners-sweep"]);
  const allowed = Object.entries(template.findResources("AWS::IAM::Policy")).flatMap(
    ([id, { Properties }]) =>
      (Properties.PolicyDocument.Statement as { Action: unknown; Condition?: unknown }[])
        .filter(({ Condition }) => /"(reruns|taken#\*)"/.test(JSON.stringify(Condition) ?? ""))
        .map(({ Action }) => [id.replace(/[0-9A-F]{8}$/, ""), Action]),
  );
  assert.deepEqual(allowed.sort(), [
    ["RunnersCleanupRoleDefaultPolicy", "dynamodb:PutItem"],
    ["RunnersCleanupRoleDefaultPolicy", ["dynamodb:PutItem", "dynamodb:GetItem"]],
    ["RunnersSweepRoleDefaultPolicy", ["dynamodb:Query", "dynamodb:DeleteItem"]],
  ]);
});
