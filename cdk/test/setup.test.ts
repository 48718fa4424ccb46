import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readOptions, UsageError } from "../setup/options";
import { checkPrograms } from "../setup/programs";
import { account, FOLDER, installation, NEW, PEM, PEM_FILE, setup, world } from "./setup-server";
import { dummyHandlers } from "./support";

const URL = "https://abc.lambda-url.us-east-1.on.aws/";
const secret = () => world.parameters.get("/fargate-runners/github/webhook-secret");

test("a new deployment's secrets are checked, written and set at GitHub", async () => {
  const { well, said } = await setup(...NEW, "--webhook-url", URL, "--configure-webhook");
  assert.equal(well, true, said);
  assert.equal(world.parameters.get("/fargate-runners/github/app-id"), "42");
  assert.equal(world.parameters.get("/fargate-runners/github/private-key"), PEM.trim());
  assert.match(secret() ?? "", /^[0-9a-f]{64}$/);
  assert.deepEqual(world.github.hook, {
    url: URL,
    secret: secret(),
    content_type: "json",
    insecure_ssl: "0",
  });
  assert.ok(!said.includes(secret()!), "the secret is printed");
});

test("nothing is written when GitHub doesn't know the App with this key", async () => {
  await assert.rejects(
    setup("--app-id", "43", "--private-key", PEM_FILE),
    /GitHub does not know App 43 with this key.*App settings → About/,
  );
  assert.deepEqual(world.log, []);
});

test("a file that holds no key is named as such before GitHub is asked", async () => {
  const file = join(FOLDER, "not-a-key.pem");
  writeFileSync(file, "hello");
  await assert.rejects(
    setup("--app-id", "42", "--private-key", file),
    /The private key can't be used: it is not a private key in PEM/,
  );
});

test("a key in base64 is taken too", async () => {
  const file = join(FOLDER, "key.b64");
  writeFileSync(file, Buffer.from(PEM).toString("base64"));
  assert.equal((await setup("--app-id", "42", "--private-key", file)).well, true);
});

test("missing permissions and the missing event are named with where to set them", async () => {
  world.github.permissions = { actions: "read", administration: "read" };
  world.github.events = ["push"];
  const { well, said } = await setup(...NEW);
  assert.equal(well, false);
  assert.match(said, /✗ permission administration is read, write is needed/);
  assert.match(said, /→ .*set "Repository permissions → Administration" to Read and write/);
  assert.match(said, /✗ event workflow_job is not subscribed to\n {2}→ .*tick "Workflow job"/);
  // They are right all the same, and the permissions come later.
  assert.equal(world.log.length, 3);
});

test("at organization scope the organization's permission is asked for", async () => {
  const { said } = await setup(...NEW, "--scope", "organization");
  assert.match(said, /✗ permission organization_self_hosted_runners is missing, write is needed/);
  assert.doesNotMatch(said, /administration/);
});

test("the optional permission is offered, and its absence is no fault", async () => {
  const without = await setup(...NEW);
  assert.equal(without.well, true);
  assert.match(
    without.said,
    /✓ permission checks is missing, write is optional: .*Checks" to Read/,
  );
  world.github.permissions.checks = "write";
  const given = await setup(...NEW);
  assert.match(given.said, /✓ permission checks: write \(optional: /);
});

test("an App that is installed nowhere, suspended, or behind on permissions is named", async () => {
  world.github.installations = [];
  assert.match(
    (await setup(...NEW)).said,
    /installed nowhere\n.*apps\/runners\/installations\/new/,
  );
  world.github.installations = [
    installation(1, account("octo", 1), { suspended_at: "2026-01-01T00:00:00Z" }),
    installation(2, account("octo", 1), { permissions: { actions: "read" } }),
  ];
  const { said } = await setup(...NEW);
  assert.match(said, /✗ installation 1 \(octo\) is suspended/);
  assert.match(
    said,
    /✗ installation 2 \(octo\) has not been given administration\n.*Review request/,
  );
});

test("a check writes nothing, and names the command that makes what is missing", async () => {
  await assert.rejects(
    setup("--check"),
    /\/fargate-runners\/github\/app-id, .*webhook-secret not in Parameter Store; run: scripts\/setup/,
  );
  await setup(...NEW);
  world.log = [];
  const { well, said } = await setup("--check", "--webhook-url", URL);
  assert.equal(well, false);
  assert.match(said, /✗ webhook URL is https:\/\/elsewhere\.example, not https:\/\/abc/);
  assert.match(said, /✗ webhook content type is form, not json/);
  assert.deepEqual(world.log, []);
});

test("a second run asks for nothing and changes nothing", async () => {
  await setup(...NEW);
  const before = new Map(world.parameters);
  world.log = [];
  assert.equal((await setup()).well, true);
  assert.deepEqual(world.parameters, before);
  assert.deepEqual(world.log, []);
});

test("a rotation is written, waited for, and only then set at GitHub", async () => {
  await setup(...NEW);
  const old = secret();
  world.log = [];
  const { well } = await setup("--rotate-webhook-secret", "--webhook-url", URL);
  assert.equal(well, true);
  const [current, previous, ...more] = secret()!.split("\n");
  assert.equal(previous, old);
  assert.notEqual(current, old);
  assert.deepEqual(more, []);
  assert.equal(world.github.hook.secret, current);
  assert.deepEqual(world.log, [
    "written /fargate-runners/github/webhook-secret",
    "waited 300 s",
    "configured at GitHub",
  ]);
});

test("the next rotation forgets the secret before the last", async () => {
  await setup(...NEW);
  await setup("--rotate-webhook-secret", "--webhook-url", URL);
  const [last] = secret()!.split("\n");
  await setup("--rotate-webhook-secret", "--webhook-url", URL);
  assert.equal(secret()!.split("\n").length, 2);
  assert.equal(secret()!.split("\n")[1], last);
});

test("secrets are written with the deployment's key, and only the functions may read them then", async () => {
  world.deploymentKey = "alias/fargate-runners-secrets";
  await setup(...NEW);
  assert.deepEqual([...new Set(world.keys.values())], [world.deploymentKey]);
  world.decrypting = false;
  const { well, said } = await setup("--check");
  assert.equal(well, true);
  assert.match(said, /only the functions may decrypt them/);
  assert.match((await setup("--check", ...NEW)).said, /✓ App runners \(42\)/);
});

test("secrets of an earlier release are encrypted again once the deployment has a key", async () => {
  await setup(...NEW);
  assert.deepEqual([...new Set(world.keys.values())], ["alias/aws/ssm"]);
  const before = new Map(world.parameters);
  assert.match((await setup("--check")).said, /private-key can be read by all of this account/);
  world.deploymentKey = "alias/fargate-runners-secrets";
  const { well, said } = await setup();
  assert.equal(well, true);
  assert.match(said, /✓ encrypted again: \/fargate-runners\/github\/private-key \(key alias/);
  assert.deepEqual([...new Set(world.keys.values())], [world.deploymentKey]);
  assert.deepEqual(world.parameters, before);
});

test("a rotation without the right to read the old secret takes it from a file, or says so", async () => {
  world.deploymentKey = "alias/fargate-runners-secrets";
  await setup(...NEW);
  const old = secret()!;
  world.decrypting = false;
  const rotate = ["--rotate-webhook-secret", "--webhook-url", URL];
  await assert.rejects(setup(...rotate), /current webhook secret.*--webhook-secret-file FILE/);
  await assert.rejects(
    setup("--webhook-secret-file", PEM_FILE),
    /private-key can be decrypted by the functions alone.*before it is written/,
  );
  assert.equal(secret(), old);
  const file = join(FOLDER, "old-secret");
  writeFileSync(file, old);
  await setup(...rotate, ...NEW, "--webhook-secret-file", file);
  assert.equal(secret()!.split("\n")[1], old);
});

test("prefix and key of one's own are used", async () => {
  await setup(...NEW, "--prefix", "ci", "--kms-key-id", "alias/ci");
  assert.deepEqual(world.log, [
    "written /ci/github/app-id with alias/ci",
    "written /ci/github/private-key with alias/ci",
    "written /ci/github/webhook-secret with alias/ci",
  ]);
});

test("removing deletes everything of the deployment, ten at a time", async () => {
  for (let index = 0; index < 23; index++) {
    world.parameters.set(`/fargate-runners/runners/r${index}/0`, "x");
  }
  const { said } = await setup("--remove");
  assert.equal(said.split("\n").length, 23);
  assert.equal(world.parameters.size, 0);
});

for (const [what, argv, message] of [
  ["an unknown option", ["--app"], /--app/],
  ["an unknown scope", ["--scope", "enterprise"], /repository or organization/],
  ["--check with --remove", ["--check", "--remove"], /exclude each other/],
  ["--configure-webhook alone", ["--configure-webhook"], /needs --webhook-url/],
  ["--rotate-webhook-secret alone", ["--rotate-webhook-secret"], /needs --webhook-url/],
] as const) {
  test(`${what} is a mistake on the command line`, () => {
    assert.throws(
      () => readOptions(argv, {}),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  });
}

test("programs that aren't built are named with the command that builds them", () => {
  assert.equal(checkPrograms(dummyHandlers())[0]!.ok, true);
  const [finding] = checkPrograms(FOLDER);
  assert.equal(finding!.ok, false);
  assert.match(finding!.fix!, /cargo xtask zips/);
});
