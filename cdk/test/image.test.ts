import { App, Stack } from "aws-cdk-lib";
import { Match, Template } from "aws-cdk-lib/assertions";
import { AssetManifestArtifact } from "aws-cdk-lib/cx-api";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FargateRunners, FargateRunnersProps, imageFromUri } from "../src";
import { prebuiltContext } from "../src/images/build-context";
import { byDigest, PINNED } from "../src/images/pinned";
import { repositoryFile } from "../src/repository-files";
import { dummyAgent, GITHUB, HANDLERS_DIRECTORY, IMAGE } from "./support";

function templateWith(uri: string): Template {
  const stack = new Stack(new App(), "Test");
  new FargateRunners(stack, "Runners", {
    github: GITHUB,
    handlersDirectory: HANDLERS_DIRECTORY,
    defaultRunner: { image: imageFromUri(stack, "Image", uri) },
  });
  return Template.fromStack(stack);
}

/** The image as ECS gets it, with references in braces. */
function imageOf(template: Template): string {
  const [definition] = Object.values(template.findResources("AWS::ECS::TaskDefinition"));
  const image = definition!.Properties.ContainerDefinitions[0].Image as
    string | { "Fn::Join": [string, ({ Ref: string } | string)[]] };
  return typeof image === "string"
    ? image
    : image["Fn::Join"][1].map((part) => (typeof part === "string" ? part : part.Ref)).join("");
}

/** What the task definition tells of its runner's version. */
function versionOf(template: Template): string | undefined {
  const [definition] = Object.values(template.findResources("AWS::ECS::TaskDefinition"));
  const tags = definition!.Properties.Tags as { Key: string; Value: string }[];
  return tags.find(({ Key }) => Key === "GH:runner-version")?.Value;
}

const DIGEST = `sha256:${"0".repeat(64)}`;
const HOST = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";

for (const [uri, image] of [
  [`${HOST}/team/runner:7`, /\/team\/runner:7$/],
  [`${HOST}/team/runner`, /\/team\/runner:latest$/],
  [`${HOST}/team/runner@${DIGEST}`, new RegExp(`/team/runner@${DIGEST}$`)],
] as const) {
  test(`${uri} may be pulled by the task's execution role`, () => {
    const template = templateWith(uri);
    assert.match(imageOf(template), image);
    assert.match(imageOf(template), /^111111111111\.dkr\.ecr\.eu-west-1\./);
    const policies = JSON.stringify(template.findResources("AWS::IAM::Policy"));
    assert.match(policies, /"arn:aws:ecr:eu-west-1:111111111111:repository\/team\/runner"/);
  });
}

test("an image of a public registry needs no permission", () => {
  const template = templateWith("ghcr.io/octo/runner:1");
  assert.equal(imageOf(template), "ghcr.io/octo/runner:1");
  assert.doesNotMatch(JSON.stringify(template.findResources("AWS::IAM::Policy")), /ecr:/);
});

test("what the image is built from is the Dockerfile and the agent, and nothing else", () => {
  const context = prebuiltContext("arm64", dummyAgent())!;
  assert.deepEqual(readdirSync(context, { recursive: true }).sort(), [
    "Dockerfile",
    "dist",
    "dist/agent-arm64",
  ]);
});

test("without an image of its own a runner gets one that cdk deploy builds; synth needs no Docker", () => {
  const app = new App();
  const stack = new Stack(app, "Test");
  new FargateRunners(stack, "Runners", {
    github: GITHUB,
    handlersDirectory: HANDLERS_DIRECTORY,
    defaultRunner: { architecture: "arm64" },
  });
  const { artifacts } = app.synth();
  const manifest = artifacts.find(({ id }) => id === "Test.assets") as AssetManifestArtifact;
  const { dockerImages } = JSON.parse(readFileSync(manifest.file, "utf8")) as {
    dockerImages: Record<string, { source: { platform: string } }>;
  };
  const dockerfile = readFileSync(repositoryFile("images", "ubuntu", "Dockerfile"), "utf8");
  assert.match(
    dockerfile,
    new RegExp(`^ARG RUNNER_VERSION=${versionOf(Template.fromStack(stack))}$`, "m"),
  );
  const images = Object.values(dockerImages);
  assert.deepEqual(
    images.map(({ source }) => source.platform),
    ["linux/arm64"],
  );
});

test("a rebuilt image takes runner and checksum from GitHub's newest release", () => {
  const stack = new Stack(new App(), "Test");
  const runners = new FargateRunners(stack, "Runners", {
    github: GITHUB,
    handlersDirectory: HANDLERS_DIRECTORY,
    defaultRunner: { rebuild: { agentFile: dummyAgent() } },
  });
  assert.ok(runners.defaultRunner);
  const template = Template.fromStack(stack);
  const [project] = Object.values(template.findResources("AWS::CodeBuild::Project"));
  const { Source, Environment } = project!.Properties as {
    Source: { BuildSpec: string };
    Environment: { EnvironmentVariables: { Name: string; Value: unknown }[] };
  };
  const dockerfile = readFileSync(repositoryFile("images", "ubuntu", "Dockerfile"), "utf8");
  const asked = [...Source.BuildSpec.matchAll(/--build-arg (\w+)=/g)].map(([, name]) => name!);
  assert.deepEqual(asked, ["BASE_IMAGE", "UPGRADE", "RUNNER_VERSION", "RUNNER_SHA256"]);
  for (const argument of asked) {
    assert.match(dockerfile, new RegExp(`^ARG ${argument}\\b`, "m"));
  }
  const named = Environment.EnvironmentVariables.find(({ Name }) => Name === "PACKAGE");
  assert.equal(named?.Value, "actions-runner-linux-x64");
  // `sweep` reads there how old the runner is.
  const parameter = Environment.EnvironmentVariables.find(
    ({ Name }) => Name === "VERSION_PARAMETER",
  );
  assert.equal(parameter?.Value, "/fargate-runners/runner-versions/ubuntu-x64");
  assert.match(Source.BuildSpec, /ssm put-parameter --name \\"\$VERSION_PARAMETER/);
  assert.equal(versionOf(template), parameter?.Value);
  // Once a week, and when the stack has been deployed.
  template.resourcePropertiesCountIs(
    "AWS::Events::Rule",
    {
      Targets: [
        Match.objectLike({ Arn: { "Fn::GetAtt": [Match.stringLikeRegexp("Image"), "Arn"] } }),
      ],
    },
    2,
  );
});

test("rebuilding an image of one's own, or without the agent, is refused", () => {
  const refused = (defaultRunner: FargateRunnersProps["defaultRunner"], message: RegExp) => {
    const stack = new Stack(new App(), "Test");
    assert.throws(
      () =>
        new FargateRunners(stack, "Runners", {
          github: GITHUB,
          handlersDirectory: HANDLERS_DIRECTORY,
          defaultRunner,
        }),
      message,
    );
  };
  refused({ image: IMAGE, rebuild: true }, /Invalid rebuild: true/);
  refused({ runnerVersion: "2.338.0" }, /Invalid runnerVersion: "2.338.0".*unless image is given/);
  refused(
    { image: IMAGE, runnerVersion: "latest" },
    /Invalid runnerVersion: "latest".*like 2\.338\.0.*\/fargate-runners\/runner-versions\//,
  );
  refused(
    { rebuild: { agentFile: "/nowhere/agent" } },
    /is not compiled for x64\. Build it: cargo xtask zips --arch x86_64/,
  );
});

/** The commands of a rebuilt image's build, and what they are told. */
function buildOf(rebuild: object): { script: string; variables: Record<string, string> } {
  const stack = new Stack(new App(), "Test");
  new FargateRunners(stack, "Runners", {
    github: GITHUB,
    handlersDirectory: HANDLERS_DIRECTORY,
    defaultRunner: { rebuild: { agentFile: dummyAgent(), ...rebuild } },
  });
  const [project] = Object.values(
    Template.fromStack(stack).findResources("AWS::CodeBuild::Project"),
  );
  const { Source, Environment } = project!.Properties as {
    Source: { BuildSpec: string };
    Environment: { EnvironmentVariables: { Name: string; Value: string }[] };
  };
  const { phases } = JSON.parse(Source.BuildSpec) as { phases: { build: { commands: [string] } } };
  const variables = Environment.EnvironmentVariables.map(({ Name, Value }) => [Name, Value]);
  return {
    script: phases.build.commands[0],
    variables: { ...(Object.fromEntries(variables) as object), REPOSITORY: "registry/runner" },
  };
}

/** Runs the build with programs that only note how they are called; answers these calls. */
function played(
  rebuild: object,
  image: { agent: number; listener: string; bytes?: number; packer?: boolean },
): { status: number | null; calls: string[]; said: string } {
  const { script, variables } = buildOf(rebuild);
  const folder = mkdtempSync(join(tmpdir(), "build-"));
  const log = join(folder, "calls");
  writeFileSync(log, "");
  const program = (name: string, does: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $*" >> '${log}'\n${does}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  program("curl", ": > release.json");
  program(
    "jq",
    `case "$*" in *tag_name*) echo 2.340.0 ;; *size*) echo ${image.bytes ?? ""} ;; *) echo abc ;; esac`,
  );
  program("sleep", ":");
  program("aws", "echo password");
  program(
    "docker",
    `case "$*" in
      login*) cat > /dev/null ;;
      "buildx create"*) exit ${image.packer === false ? 1 : 0} ;;
      *Runner.Listener*) echo '${image.listener}' ;;
      run*) exit ${image.agent} ;;
    esac`,
  );
  const ended = spawnSync("bash", ["-c", script], {
    cwd: folder,
    env: { ...variables, PATH: `${folder}:${process.env.PATH}` },
    encoding: "utf8",
  });
  const calls = readFileSync(log, "utf8").trim().split("\n");
  return { status: ended.status, calls, said: ended.stderr + ended.stdout };
}

const STARTS = { agent: 29, listener: "2.340.0" };

/** What is called as it matters for the order: a word or two of each. */
const KINDS: [RegExp, string][] = [
  [/--load/, "build"],
  [/push=true.*|^docker push/, "push"],
  [/^docker (buildx )?build /, "build"],
  [/Runner\.Listener/, "try listener"],
  [/^docker run/, "try agent"],
  [/put-parameter/, "tell version"],
];
const order = (calls: string[]) =>
  calls.flatMap((call) => {
    const kind = KINDS.find(([pattern]) => pattern.test(call))?.[1];
    const name = /registry\/runner:(latest)?/.exec(call)?.[1] ?? "version";
    return kind === undefined ? [] : [kind === "push" ? `push ${name}` : kind];
  });

for (const compression of ["gzip", "zstd"] as const) {
  test(`an image packed by ${compression} is tried before it is pushed, and latest moves last`, () => {
    const { status, calls, said } = played({ compression }, STARTS);
    assert.equal(status, 0, said);
    assert.deepEqual(order(calls), [
      "build",
      "try agent",
      "try listener",
      "push version",
      "push latest",
      "tell version",
    ]);
    const build = calls.find((call) => /^docker (buildx )?build /.test(call))!;
    assert.ok(build.includes(`--build-arg BASE_IMAGE=${PINNED.base}`), build);
    assert.match(build, /--build-arg UPGRADE=true .*--build-arg RUNNER_SHA256=abc/);
  });

  test(`an image packed by ${compression} that does not start is not pushed`, () => {
    for (const [image, reason] of [
      [{ ...STARTS, agent: 127 }, /its agent ended with 127/],
      [{ ...STARTS, agent: 0 }, /its agent ended with 0/],
      [{ ...STARTS, listener: "" }, /its listener says ''; latest stays/],
      [{ ...STARTS, listener: "2.339.9" }, /its listener says '2\.339\.9'/],
    ] as const) {
      const { status, calls, said } = played({ compression }, image);
      assert.equal(status, 1);
      assert.match(said, reason);
      assert.deepEqual(order(calls), ["build", "try agent", "try listener"]);
    }
  });
}

test("an image is packed by zstd, and by gzip where the packer can't be pulled", () => {
  const { variables } = buildOf({});
  assert.equal(variables["COMPRESSION"], "zstd");
  const { status, calls, said } = played({}, { ...STARTS, packer: false });
  assert.equal(status, 0, said);
  assert.match(said, /cannot pull the builder that packs by zstd; packing by gzip instead/);
  assert.equal(calls.filter((call) => call.startsWith("docker buildx create")).length, 5);
  assert.ok(calls.some((call) => call.startsWith("docker push registry/runner:latest")));
});

test("a build says how much a task pulls before its agent starts, and from where on lazy loading helps", () => {
  const small = played({}, { ...STARTS, bytes: 187_654_321 });
  assert.match(small.said, /a task pulls 187654321 bytes, packed by zstd\./);
  assert.doesNotMatch(small.said, /SOCI/);
  assert.match(played({}, { ...STARTS, bytes: 250_000_001 }).said, /lazy loading \(SOCI/);
  const unknown = played({}, STARTS);
  assert.match(unknown.said, /pulls unknown bytes/);
  assert.equal(unknown.status, 0);
});

test("every image is named by digest, and Renovate finds each to keep it", () => {
  const dockerfile = readFileSync(repositoryFile("images", "ubuntu", "Dockerfile"), "utf8");
  const [, tag, digest] = /^ARG BASE_IMAGE=ubuntu:([\d.]+)@(sha256:[0-9a-f]{64})$/m.exec(
    dockerfile,
  )!;
  assert.equal(PINNED.base, `public.ecr.aws/docker/library/ubuntu:${tag}@${digest}`);

  const { customManagers } = JSON.parse(readFileSync(repositoryFile("renovate.json"), "utf8")) as {
    customManagers: { managerFilePatterns: [string]; matchStrings: [string] }[];
  };
  const [{ managerFilePatterns, matchStrings }] = customManagers as [(typeof customManagers)[0]];
  assert.match("cdk/src/images/pinned.ts", new RegExp(managerFilePatterns[0].slice(1, -1)));
  const source = readFileSync(repositoryFile("cdk", "src", "images", "pinned.ts"), "utf8");
  const found = [...source.matchAll(new RegExp(matchStrings[0], "g"))].map(
    ({ groups }) => `${groups!.depName}:${groups!.currentValue}@${groups!.currentDigest}`,
  );
  assert.deepEqual(found, Object.values(PINNED));
});

test("ECS is told a digest without a tag", () => {
  assert.equal(byDigest("host/a/b:7-x@sha256:ab"), "host/a/b@sha256:ab");
  assert.equal(byDigest("host:443/a/b@sha256:ab"), "host:443/a/b@sha256:ab");
});
