import { Annotations, Match } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { test } from "node:test";
import { FargateRunner } from "../src";
import { deployment, IMAGE } from "./support";

/** The warnings of a deployment with these runners, in order of their definition. */
function warnings(runnersOf: Record<string, string[]>, requiredLabels?: string[]): string[] {
  const { stack, runners } = deployment({ defaultRunner: false, github: { requiredLabels } });
  for (const [name, labels] of Object.entries(runnersOf)) {
    new FargateRunner(stack, name, { runners, name, labels, image: IMAGE });
  }
  return Annotations.fromStack(stack)
    .findWarning("*", Match.anyValue())
    .map(({ entry }) => String(entry.data));
}

test("runners that differ in one label of their own each overlap, and the first by name wins", () => {
  const found = warnings({
    "ubuntu-x64": ["self-hosted", "linux", "x64"],
    "ubuntu-arm64": ["self-hosted", "linux", "arm64"],
  });
  assert.equal(found.length, 1);
  assert.match(
    found[0]!,
    /self-hosted, linux goes to fargate-runners-ubuntu-arm64.*before fargate-runners-ubuntu-x64/,
  );
});

test("one label more makes the order plain", () => {
  assert.deepEqual(
    warnings({
      "ubuntu-x64": ["self-hosted", "linux", "x64"],
      "ubuntu-arm64": ["self-hosted", "linux", "arm64", "graviton"],
    }),
    [],
  );
});

test("runners that share only the label that all jobs carry don't overlap", () => {
  assert.deepEqual(warnings({ a: ["self-hosted", "one"], b: ["self-hosted", "two"] }), []);
});

test("of two runners with the same labels the second by name is unreachable", () => {
  const found = warnings({ b: ["self-hosted", "Linux"], a: ["linux", "self-hosted"] });
  assert.equal(found.length, 1);
  assert.match(found[0]!, /No job reaches fargate-runners-b: fargate-runners-a offers the same/);
});

test("runners with the same labels for other repositories are both reached", () => {
  const labels = ["self-hosted", "deploy"];
  const found = (a?: string[], b?: string[]) => {
    const { stack, runners } = deployment({ defaultRunner: false });
    for (const [name, repositories] of Object.entries({ a, b })) {
      new FargateRunner(stack, name, { runners, name, labels, repositories, image: IMAGE });
    }
    return Annotations.fromStack(stack).findWarning("*", Match.anyValue()).length;
  };
  assert.equal(found(["octo/one"], ["octo/two"]), 0);
  assert.equal(found(["octo/one"], undefined), 0);
  assert.equal(found(["octo/one", "octo/two"], ["octo/two", "octo/three"]), 0);
  // The first by name is for all that the second is for.
  assert.equal(found(["octo/*"], ["Octo/two"]), 1);
  assert.equal(found(undefined, ["octo/two"]), 1);
});

test("a runner without a label that every job carries is unreachable", () => {
  const found = warnings({ a: ["linux", "x64"] });
  assert.equal(found.length, 1);
  assert.match(found[0]!, /No job reaches fargate-runners-a.*the label self-hosted/);
  assert.deepEqual(warnings({ a: ["linux", "x64"] }, ["LINUX"]), []);
});

test("the default runner alone warns of nothing", () => {
  assert.deepEqual(
    Annotations.fromStack(deployment().stack).findWarning("*", Match.anyValue()),
    [],
  );
});
