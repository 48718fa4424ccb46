import { Match } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { repositoryFile } from "../src/repository-files";
import { appTemplate, dummyHandlers, templateOf } from "./support";

test("the state machine is the file, unchanged", () => {
  const machines = Object.values(templateOf().findResources("AWS::StepFunctions::StateMachine"));
  assert.equal(machines.length, 1);
  assert.equal(
    machines[0]!.Properties.DefinitionString,
    readFileSync(repositoryFile("statemachine", "runner.asl.json"), "utf8"),
  );
});

test("the state machine calls published versions, which a later deployment keeps", () => {
  const template = templateOf();
  const versions = template.findResources("AWS::Lambda::Version", {
    DeletionPolicy: "Retain",
    UpdateReplacePolicy: "Retain",
  });
  const machine = Object.values(template.findResources("AWS::StepFunctions::StateMachine"))[0]!;
  const substituted = Object.values(
    machine.Properties.DefinitionSubstitutions as Record<string, { Ref: string }>,
  ).map(({ Ref }) => Ref);
  assert.equal(substituted.length, 4);
  assert.deepEqual(substituted.sort(), Object.keys(versions).sort());
});

test("missing programs are named together with the command that makes them", () => {
  const empty = mkdtempSync(join(tmpdir(), "empty-"));
  assert.throws(
    () => templateOf({ handlersDirectory: empty }),
    /verify, match, launch, token, cleanup, sweep.*cargo xtask zips --arch arm64/,
  );
  assert.throws(
    () => appTemplate({ handlersDirectory: empty, architecture: "x86_64" }),
    /cargo xtask zips --arch x86_64/,
  );
});

test("nothing is deployed by a custom resource, which the local engine could not run", () => {
  const types = Object.values(appTemplate().toJSON().Resources as Record<string, { Type: string }>);
  assert.deepEqual(
    types.map(({ Type }) => Type).filter((type) => /^Custom::|CustomResource/.test(type)),
    [],
  );
});

test("the task definition offers its labels by the tag", () => {
  templateOf().hasResourceProperties("AWS::ECS::TaskDefinition", {
    Family: "fargate-runners-ubuntu-x64",
    ContainerDefinitions: [Match.objectLike({ Name: "runner", StopTimeout: 120 })],
    Tags: Match.arrayWith([{ Key: "GH:labels", Value: "self-hosted linux x64 ubuntu" }]),
  });
});

test("the log stream that an execution's output names is the one that ECS writes", () => {
  const source = readFileSync(repositoryFile("handlers", "cleanup", "src", "report.rs"), "utf8");
  const named = /STREAM_PREFIX: &str = "([^"]+)"/.exec(source)![1];
  const [definition] = Object.values(templateOf().findResources("AWS::ECS::TaskDefinition"));
  const [container] = definition!.Properties.ContainerDefinitions;
  const options = container.LogConfiguration.Options as Record<string, string>;
  assert.equal(`${options["awslogs-stream-prefix"]}/${container.Name}`, named);
});

test("programs built for another processor are refused, with both ways out", () => {
  const directory = dummyHandlers();
  const header = Buffer.alloc(64);
  header.write("\x7fELF", "latin1");
  header.writeUInt16LE(0x3e, 18);
  writeFileSync(join(directory, "token", "bootstrap"), header);
  assert.throws(
    () => templateOf({ handlersDirectory: directory }),
    /token\/bootstrap is built for x86_64, but the functions run on arm64\. Build it again: cargo xtask zips --arch arm64; or deploy with architecture x86_64/,
  );
  appTemplate({ handlersDirectory: directory, architecture: "x86_64" });
});
