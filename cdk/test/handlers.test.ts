import assert from "node:assert/strict";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { HANDLER_NAMES, HANDLERS } from "../src";
import { repositoryFile } from "../src/repository-files";
import { packed } from "../scripts/pack";
import { dummyHandlers, templateOf } from "./support";

const FOLDERS = readdirSync(repositoryFile("handlers")).filter((name) =>
  existsSync(join(repositoryFile("handlers"), name, "Cargo.toml")),
);
const TEMPLATE = templateOf({ defaultRunner: { warm: { size: 2 } } });

test("every folder of handlers/ has one entry in the record, and every entry has its folder", () => {
  assert.deepEqual([...HANDLER_NAMES].sort(), FOLDERS.sort());
});

test("every entry becomes one function, with the size that the record says", () => {
  const functions = Object.values(TEMPLATE.findResources("AWS::Lambda::Function"));
  assert.equal(functions.length, HANDLER_NAMES.length);
  for (const name of HANDLER_NAMES) {
    const { description, timeout, memorySize } = HANDLERS[name];
    TEMPLATE.hasResourceProperties("AWS::Lambda::Function", {
      FunctionName: `fargate-runners-${name}`,
      Description: description,
      Timeout: timeout.toSeconds(),
      MemorySize: memorySize,
    });
    TEMPLATE.hasResourceProperties("AWS::Logs::LogGroup", {
      LogGroupName: `/aws/lambda/fargate-runners-${name}`,
    });
  }
});

test("a deployment without warm tasks has no function, program or variable of theirs", () => {
  const directory = dummyHandlers();
  for (const name of HANDLER_NAMES.filter((name) => "onlyWithWarmTasks" in HANDLERS[name])) {
    rmSync(join(directory, name), { recursive: true });
  }
  const text = JSON.stringify(templateOf({ handlersDirectory: directory }).toJSON());
  assert.doesNotMatch(text, /stock|warm/i);
  assert.throws(
    () => templateOf({ handlersDirectory: directory, defaultRunner: { warm: { size: 2 } } }),
    /No program for stock in .*cargo xtask zips/,
  );
});

test("the package carries the program of every entry", () => {
  const places = [...packed("", "", ["arm64"]).keys()];
  const names = places.flatMap((place) => /^lambda\/arm64\/(.+)\.zip$/.exec(place)?.[1] ?? []);
  assert.deepEqual(names.sort(), [...HANDLER_NAMES].sort());
});

test("no policy and no environment names a function that there is not", () => {
  const text = JSON.stringify(TEMPLATE.toJSON());
  const named = new Set(
    [...text.matchAll(/:function:fargate-runners-([a-z-]+)/g)].map(([, name]) => name!),
  );
  for (const { Properties } of Object.values(TEMPLATE.findResources("AWS::Lambda::Function"))) {
    const variables = Properties.Environment.Variables as Record<string, string>;
    for (const [key, value] of Object.entries(variables)) {
      if (key.endsWith("_FUNCTION")) {
        named.add(value.replace("fargate-runners-", ""));
      }
    }
  }
  assert.ok(named.size >= 4, [...named].join(", "));
  assert.deepEqual(
    [...named].filter((name) => !(HANDLER_NAMES as readonly string[]).includes(name)),
    [],
  );
});
