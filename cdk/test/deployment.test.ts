import { Duration } from "aws-cdk-lib";
import { Match } from "aws-cdk-lib/assertions";
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { FargateRunnersProps } from "../src";
import { repositoryFile } from "../src/repository-files";
import { appTemplate, dummyHandlers, IMAGE, templateOf } from "./support";
import { temporaryDirectory } from "./temporary";

test("the state machine is the file, unchanged", () => {
  const machines = Object.values(templateOf().findResources("AWS::StepFunctions::StateMachine"));
  assert.equal(machines.length, 1);
  assert.equal(
    machines[0]!.Properties.DefinitionString,
    readFileSync(repositoryFile("statemachine", "runner.asl.json"), "utf8"),
  );
});

/** The definition of a deployment, as CloudFormation gives it to Step Functions. */
function definitionOf(props: Partial<FargateRunnersProps>): {
  readonly TimeoutSeconds: number;
  readonly States: Record<string, Record<string, unknown>>;
} {
  const [machine] = Object.values(
    templateOf(props).findResources("AWS::StepFunctions::StateMachine"),
  );
  const { DefinitionString, DefinitionSubstitutions } = machine!.Properties as {
    DefinitionString: string;
    DefinitionSubstitutions: Record<string, unknown>;
  };
  const named = [...DefinitionString.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name!);
  assert.deepEqual(named.sort(), Object.keys(DefinitionSubstitutions).sort());
  return JSON.parse(DefinitionString.replace(/\$\{\w+\}/g, "name"));
}

/** The package has no declarations. */
const validate = require("asl-validator") as (
  definition: object,
  options: { checkPaths: boolean },
) => { isValid: boolean; errorsText: () => string };

const WARM = { image: IMAGE, warm: { size: 2 } };

test("warm tasks add two states and change Token, in a definition that is valid", () => {
  const [cold, warm] = [definitionOf({}), definitionOf({ defaultRunner: WARM })];
  const added = Object.keys(warm.States).filter((name) => !(name in cold.States));
  assert.deepEqual(added, ["Start", "WarmRunner"]);
  const changed = Object.keys(cold.States).filter(
    (name) => !isDeepStrictEqual(cold.States[name], warm.States[name]),
  );
  assert.deepEqual(changed, ["Token"]);
  for (const definition of [cold, warm]) {
    const { isValid, errorsText } = validate(definition, { checkPaths: true });
    assert.ok(isValid, errorsText());
  }
  const broken = { ...warm, States: { ...warm.States, WarmRunner: undefined } };
  assert.ok(!validate(JSON.parse(JSON.stringify(broken)) as object, { checkPaths: true }).isValid);
});

test("caps add one state and change Token, with warm tasks and without, in a definition that is valid", () => {
  for (const defaultRunner of [{ image: IMAGE }, WARM]) {
    const [before, capped] = [
      definitionOf({ defaultRunner }),
      definitionOf({ defaultRunner, maxRunning: 2 }),
    ];
    const added = Object.keys(capped.States).filter((name) => !(name in before.States));
    assert.deepEqual(added, ["WaitForSlot"]);
    const changed = Object.keys(before.States).filter(
      (name) => !isDeepStrictEqual(before.States[name], capped.States[name]),
    );
    assert.deepEqual(changed, ["Token"]);
    const { isValid, errorsText } = validate(capped, { checkPaths: true });
    assert.ok(isValid, errorsText());
  }
});

test("a job on a warm task may take as long as one on a cold task", () => {
  const { TimeoutSeconds, States } = definitionOf({
    defaultRunner: WARM,
    maxJobDuration: Duration.hours(12),
  });
  assert.equal(States.Runner!.TimeoutSeconds, 13 * 3600);
  assert.equal(States.WarmRunner!.TimeoutSeconds, 13 * 3600);
  assert.equal(TimeoutSeconds, (13 + 36) * 3600);
});

test("a definition of one's own gets the states of warm tasks too, if it has those that they change", () => {
  const directory = temporaryDirectory("definition");
  const definitionFile = join(directory, "own.asl.json");
  const own = JSON.parse(
    readFileSync(repositoryFile("statemachine", "runner.asl.json"), "utf8"),
  ) as Record<string, unknown>;
  writeFileSync(definitionFile, JSON.stringify({ ...own, TimeoutSeconds: 1 }));
  assert.ok("WarmRunner" in definitionOf({ definitionFile, defaultRunner: WARM }).States);
  assert.throws(
    () =>
      templateOf({
        definitionFile: join(__dirname, "fixtures", "definition.asl.json"),
        defaultRunner: WARM,
      }),
    /Invalid definitionFile: .*Allowed: a definition with the states Token, Runner, Cleanup, .*lacks/,
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
  const empty = temporaryDirectory("empty");
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
