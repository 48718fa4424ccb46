import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { Audience, parseCatalogue } from "../setup/policy";
import {
  account,
  group,
  installation,
  NEW,
  publish,
  repository,
  setup,
  world,
} from "./setup-server";
import { templateOf } from "./support";

const ORGANIZATION = { scope: "organization" };
const MAY_READ_GROUPS = { actions: "read", organization_self_hosted_runners: "write" };

/** What sweep publishes. */
function publishRunners(...families: Audience[]): void {
  const json = JSON.stringify({ publishedAt: "2026-01-01T00:00:00Z", families });
  const text = `v2:${deflateRawSync(json).toString("base64")}`;
  world.published.set("/fargate-runners/catalogue", text);
}

/** A deployment at organization scope, whose App may read the runner groups. */
function atOrganization(policy: object = {}): void {
  publish({ ...ORGANIZATION, ...policy });
  publishRunners({ family: "fargate-runners-ubuntu-x64" });
  world.github.permissions = MAY_READ_GROUPS;
  world.github.installations = [
    installation(7, account("octo", 1), { permissions: MAY_READ_GROUPS }),
  ];
}

/** The findings that are to be repaired, each with its repair. */
async function faults(): Promise<string[]> {
  const { said, well } = await setup(...NEW);
  const lines = said.split("\n");
  const found = lines.flatMap((line, index) =>
    line.startsWith("✗") ? [`${line.slice(2)} ${lines[index + 1]!.trim()}`] : [],
  );
  assert.equal(well, found.length === 0, said);
  for (const fault of found) {
    assert.match(fault, / → /, "it says what to do");
  }
  return found;
}

test("a deployment that fits GitHub's settings has no findings, at either scope", async () => {
  assert.deepEqual(await faults(), []);
  atOrganization();
  assert.deepEqual(await faults(), []);
  const { said } = await setup(...NEW);
  assert.match(said, /✓ the App is private: only octo can install it/);
  assert.match(said, /✓ runner group Default of octo admits all repositories, as here/);
});

test("the scope is the deployment's, unless the command line names one", async () => {
  publish(ORGANIZATION);
  const own = await setup(...NEW);
  assert.match(own.said, /✗ permission organization_self_hosted_runners is missing/);
  assert.equal((await setup(...NEW, "--scope", "repository")).well, true);
});

test("a check says that it compares nothing before the stack is deployed", async () => {
  world.published.clear();
  const first = await setup(...NEW);
  assert.equal(first.well, true, "secrets may be written before");
  assert.match(first.said, /\/fargate-runners\/policy is not in Parameter Store/);
  const { well, said } = await setup("--check");
  assert.equal(well, false);
  assert.match(said, /→ npx cdk deploy writes it/);
});

test("an App that is public for nobody's sake is told so", async () => {
  world.github.appsPage = 200;
  const [fault, ...more] = await faults();
  assert.match(fault!, /^the App is public: anybody may install it → .*Advanced → Make private/);
  assert.deepEqual(more, []);
});

test("an App that must be public for another account is not a fault, only said", async () => {
  publish({ allowedOwners: "octo hub:2" });
  world.github.appsPage = 200;
  world.github.installations.push(installation(8, account("renamed", 2)));
  assert.deepEqual(await faults(), []);
  assert.match(
    (await setup(...NEW)).said,
    /✓ the App is public, as it must be for renamed: anybody/,
  );
});

test("a public App of a deployment that serves everybody is a fault", async () => {
  publish({ allowedOwners: "*" });
  world.github.appsPage = 200;
  world.github.installations.push(installation(8, account("stranger", 2)));
  const [fault, ...more] = await faults();
  assert.match(fault!, /public and allowedOwners is \*: whoever installs it .*allowedOwners/);
  assert.deepEqual(more, []);
});

test("where GitHub shows nothing to those who aren't signed in, the App's visibility is unknown", async () => {
  world.github.appsPage = 401;
  assert.deepEqual(await faults(), []);
  assert.match((await setup(...NEW)).said, /whether the App is public can't be seen/);
});

test("installations of others are named, also on later pages, by id where the list has one", async () => {
  publish({ allowedOwners: "octo hub:2" });
  const many = Array.from({ length: 120 }, (_, n) => installation(100 + n, account("octo", 1)));
  world.github.installations = [
    ...many,
    installation(8, account("stranger", 3, "User")),
    // The name is free again after its owner was renamed.
    installation(9, account("hub", 4)),
    installation(10, account("was-hub", 2)),
  ];
  const found = await faults();
  assert.equal(found.length, 2);
  assert.match(
    found[0]!,
    /^installation 8 \(stranger\) is of nobody whose jobs are run: octo, hub:2 → name/,
  );
  assert.match(found[1]!, /^installation 9 \(hub\)/);
});

test("where repositories alone are named, their owners are the ones who may install", async () => {
  publish({ allowedOwners: "", allowedRepositories: "octo/hello" });
  world.github.installations.push(installation(8, account("stranger", 3)));
  const [fault, ...more] = await faults();
  assert.match(fault!, /installation 8 \(stranger\).*: octo\/hello/);
  assert.deepEqual(more, []);
});

test("a group that admits all repositories differs from a list of some", async () => {
  atOrganization({ allowedRepositories: "octo/a octo/b elsewhere/c" });
  const [fault, ...more] = await faults();
  assert.match(
    fault!,
    /^runner group Default of octo admits all repositories, but runners of fargate-runners-ubuntu-x64 are for octo\/a, octo\/b: GitHub may give them jobs of others → settings of octo → Actions → Runner groups → Default: select octo\/a, octo\/b/,
  );
  assert.deepEqual(more, []);
  world.github.groups.octo = [
    group(1, "Default", {
      visibility: "selected",
      repositories: [repository("octo/A"), repository("octo/b")],
    }),
  ];
  assert.deepEqual(await faults(), []);
});

test("a group that lists others, or lacks some, is compared by name", async () => {
  atOrganization({ allowedRepositories: "octo/a octo/b" });
  world.github.groups.octo = [
    group(1, "Default", {
      visibility: "selected",
      repositories: [repository("octo/b"), repository("octo/c")],
    }),
  ];
  const found = await faults();
  assert.match(
    found[0]!,
    /also admits octo\/c: GitHub may give their jobs to .* → .*take them out/,
  );
  assert.match(found[1]!, /does not admit octo\/a: .* in vain → .*add them/);
  assert.equal(found.length, 2);
});

test("a group that lists some is too narrow for a deployment of all", async () => {
  atOrganization();
  world.github.groups.octo = [
    group(1, "Default", { visibility: "selected", repositories: [repository("octo/a")] }),
  ];
  const [fault, ...more] = await faults();
  assert.match(
    fault!,
    /admits only octo\/a, but .* started for all: .* → name those in allowedRepo/,
  );
  assert.deepEqual(more, []);
});

test("a runner for some repositories needs a group of its own", async () => {
  atOrganization();
  publishRunners(
    { family: "fargate-runners-ubuntu-x64" },
    { family: "fargate-runners-deploy", repositories: ["octo/infra"], runnerGroup: "deployers" },
    { family: "fargate-runners-big", repositories: ["octo/big", "octo/huge"] },
    { family: "fargate-runners-hub", repositories: ["hub/x"], runnerGroup: "Elsewhere" },
  );
  const [big, deploy, ...more] = await faults();
  assert.match(
    big!,
    /Default of octo admits all repositories, but runners of fargate-runners-big are for octo\/big, octo\/huge: .*; or give them a runnerGroup of their own/,
  );
  assert.match(
    deploy!,
    /^octo has no runner group deployers, so no runner of .*-deploy .* → make it/,
  );
  assert.deepEqual(more, [], "a group of another organization is not looked for here");

  world.github.groups.octo!.push(
    group(2, "Deployers", { visibility: "selected", repositories: [repository("octo/infra")] }),
  );
  publishRunners(
    { family: "fargate-runners-ubuntu-x64" },
    { family: "fargate-runners-deploy", repositories: ["octo/infra"], runnerGroup: "deployers" },
    { family: "fargate-runners-all", repositories: ["octo/"] },
  );
  assert.deepEqual(await faults(), []);
});

test("a group's public repositories are compared with ours", async () => {
  atOrganization();
  world.github.groups.octo = [group(1, "Default", { allows_public_repositories: true })];
  assert.match((await faults()).join(), /admits public repositories, .* → .*untick "Allow public/);
  publish({ ...ORGANIZATION, allowPublicRepositories: true });
  assert.deepEqual(await faults(), []);
  world.github.groups.octo = [group(1, "Default", { visibility: "private" })];
  assert.match(
    (await faults()).join(),
    /does not admit public repositories: .* in vain → set allowPub/,
  );
});

test("a group that lists an internal or public repository admits what may be refused here", async () => {
  const policy = { allowedRepositories: "octo/inside octo/open octo/a" };
  atOrganization(policy);
  const repositories = [
    repository("octo/inside", "internal"),
    repository("octo/open", "public"),
    repository("octo/a"),
  ];
  const listing = (allows_public_repositories: boolean) => {
    world.github.groups.octo = [
      group(1, "Default", { visibility: "selected", repositories, allows_public_repositories }),
    ];
  };
  listing(true);
  assert.match(
    (await faults()).join(),
    /admits octo\/inside \(internal\), octo\/open \(public\), whose/,
  );
  listing(false);
  assert.match((await faults()).join(), /admits octo\/inside \(internal\), whose jobs are not run/);
  publish({ ...ORGANIZATION, ...policy, allowInternalRepositories: true });
  assert.deepEqual(await faults(), []);
});

test("an enterprise's group is changed in the enterprise's settings, and workflows are mentioned", async () => {
  atOrganization({ allowedRepositories: "octo/a" });
  world.github.groups.octo = [
    group(1, "Default", {
      inherited: true,
      restricted_to_workflows: true,
      selected_workflows: ["octo/a/.github/workflows/deploy.yaml@main"],
    }),
  ];
  assert.match(
    (await faults()).join(),
    / → runner group Default in the enterprise's settings: select/,
  );
  assert.match(
    (await setup(...NEW)).said,
    /✓ .* runs only octo\/a\/.*deploy\.yaml@main: jobs of other/,
  );
});

test("before the first sweep, the deployment's own group is compared", async () => {
  atOrganization({ allowedRepositories: "octo/a" });
  world.published.delete("/fargate-runners/catalogue");
  assert.match((await faults()).join(), /runners of every kind are for octo\/a/);
  assert.match((await setup(...NEW)).said, /compared after the first sweep/);
});

test("groups that the App may not read are named with the permission", async () => {
  atOrganization();
  world.github.permissions = { actions: "read" };
  const found = (await faults()).join("\n");
  assert.match(found, /the runner groups of octo can't be read: .*422: .* → octo accepts/);
});

test("what the stack publishes and what is read here is one shape", () => {
  const value = (github: object) => {
    const parameters = templateOf({ github: { allowedOwners: ["octo"], ...github } }).findResources(
      "AWS::SSM::Parameter",
    );
    const [{ Properties }] = Object.values(parameters) as [{ Properties: Record<string, string> }];
    assert.equal(Properties.Name, "/fargate-runners/policy");
    return JSON.parse(Properties.Value!) as object;
  };
  publish();
  const published = world.published.get("/fargate-runners/policy")!;
  assert.deepEqual(value({}), JSON.parse(published));
  assert.deepEqual(value({ allowedOwners: ["*"] }), {
    ...(JSON.parse(published) as object),
    allowedOwners: "*",
  });
});

test("the catalogue is read as sweep writes it", () => {
  // `tests/contracts/shapes.rs` holds the same file against the crate that writes it.
  const text = readFileSync(join(__dirname, "fixtures", "catalogue.txt"), "utf8");
  assert.deepEqual(parseCatalogue(text), [
    {
      family: "fargate-runners-deploy",
      repositories: ["octo/infra", "octo/"],
      runnerGroup: "deployers",
    },
    { family: "fargate-runners-ubuntu-x64", repositories: undefined, runnerGroup: undefined },
  ]);
  assert.equal(parseCatalogue(undefined), undefined);
  assert.equal(parseCatalogue("v2:"), undefined);
});
