import { SSMClient } from "@aws-sdk/client-ssm";
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, IncomingMessage, Server } from "node:http";
import { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { Installation } from "../setup/github-app";
import { readOptions, UsageError } from "../setup/options";
import { checkPrograms } from "../setup/programs";
import { run } from "../setup/run";
import { dummyHandlers } from "./support";
import { temporaryDirectory } from "./temporary";

const KEY = generateKeyPairSync("rsa", { modulusLength: 2048 });
const PEM = KEY.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const FOLDER = temporaryDirectory("setup");
const PEM_FILE = join(FOLDER, "key.pem");
writeFileSync(PEM_FILE, PEM);

/** What the stand-ins know. */
let github: {
  permissions: Record<string, string>;
  events: string[];
  installations: Partial<Installation>[];
  hook: Record<string, unknown>;
};
let parameters: Map<string, string>;
/** The key of each parameter; what the deployment has; and whether it decrypts for us. */
let keys: Map<string, string>;
let deploymentKey: string | undefined;
let decrypting: boolean;
/** What happened, in order. */
let log: string[];

beforeEach(() => {
  const permissions = { actions: "read", administration: "write", metadata: "read" };
  github = {
    permissions,
    events: ["workflow_job"],
    installations: [{ id: 7, account: { login: "octo" }, permissions, suspended_at: null }],
    hook: { url: "https://elsewhere.example", content_type: "form", insecure_ssl: "0" },
  };
  parameters = new Map();
  keys = new Map();
  deploymentKey = undefined;
  decrypting = true;
  log = [];
});

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  for await (const chunk of request) {
    text += String(chunk);
  }
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}

function serve(
  answer: (request: IncomingMessage, body: Record<string, unknown>) => [number, unknown],
): Server {
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const [status, value] = answer(request, body);
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(value));
    });
  });
  return server;
}

const gitHubServer = serve((request, body) => {
  const [, token = ""] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? [];
  const [header, payload, signature] = token.split(".");
  const genuine = verify(
    "RSA-SHA256",
    Buffer.from(`${header}.${payload}`),
    createPublicKey(KEY.publicKey.export({ type: "spki", format: "pem" })),
    Buffer.from(signature ?? "", "base64url"),
  );
  const claims = JSON.parse(Buffer.from(payload ?? "", "base64url").toString() || "{}") as {
    iss?: string;
    iat?: number;
    exp?: number;
  };
  if (!genuine || claims.iss !== "42" || !(claims.exp! - claims.iat! <= 600)) {
    return [401, { message: "A JSON web token could not be decoded" }];
  }
  const call = `${request.method} ${request.url?.split("?")[0]}`;
  switch (call) {
    case "GET /app":
      return [
        200,
        {
          id: 42,
          slug: "runners",
          html_url: "https://github.com/apps/runners",
          permissions: github.permissions,
          events: github.events,
        },
      ];
    case "GET /app/installations":
      return [200, github.installations];
    case "GET /app/hook/config":
      return [200, { ...github.hook, secret: "********" }];
    case "PATCH /app/hook/config":
      log.push("configured at GitHub");
      github.hook = body;
      return [200, body];
  }
  return [404, { message: "Not Found" }];
});

const ssmServer = serve((request, body) => {
  switch (String(request.headers["x-amz-target"]).split(".")[1]) {
    case "GetParameters":
      if (body.WithDecryption && !decrypting) {
        return [400, { __type: "AccessDeniedException", message: "not allowed to access the key" }];
      }
      return [
        200,
        {
          Parameters: (body.Names as string[])
            .filter((name) => parameters.has(name))
            .map((Name) => ({
              Name,
              Value: body.WithDecryption ? parameters.get(Name) : "AQICAHh",
            })),
        },
      ];
    case "PutParameter":
      assert.equal(body.Type, "SecureString");
      assert.equal(body.Overwrite, true);
      if (/-secrets$/.test(String(body.KeyId)) && body.KeyId !== deploymentKey) {
        return [400, { __type: "InvalidKeyId", message: "Alias is not found" }];
      }
      keys.set(String(body.Name), String(body.KeyId ?? "alias/aws/ssm"));
      log.push(`written ${String(body.Name)}${body.KeyId ? ` with ${String(body.KeyId)}` : ""}`);
      parameters.set(String(body.Name), String(body.Value));
      return [200, { Version: 1 }];
    case "DescribeParameters":
      return [
        200,
        { Parameters: [...parameters.keys()].map((Name) => ({ Name, KeyId: keys.get(Name) })) },
      ];
    case "DeleteParameters":
      assert.ok((body.Names as string[]).length <= 10);
      (body.Names as string[]).forEach((name) => parameters.delete(name));
      return [200, {}];
  }
  return [400, { __type: "UnknownOperationException" }];
});

before(async () => {
  for (const server of [gitHubServer, ssmServer]) {
    await once(server.listen(0, "127.0.0.1"), "listening");
  }
});
after(() => {
  gitHubServer.close();
  ssmServer.close();
});

const at = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** Runs the script; answers whether all is well, and what it said. */
async function setup(...argv: string[]): Promise<{ well: boolean; said: string }> {
  const options = readOptions([...argv, "--github-api-url", at(gitHubServer)], {});
  const client = new SSMClient({
    endpoint: at(ssmServer),
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    maxAttempts: 1,
  });
  const lines: string[] = [];
  const well = await run(options!, client, {
    say: (line) => void lines.push(line),
    ask: async () => undefined,
    wait: async (seconds) => void log.push(`waited ${seconds} s`),
  }).finally(() => client.destroy());
  return { well, said: lines.join("\n") };
}

const NEW = ["--app-id", "42", "--private-key", PEM_FILE];
const URL = "https://abc.lambda-url.us-east-1.on.aws/";
const secret = () => parameters.get("/fargate-runners/github/webhook-secret");

test("a new deployment's secrets are checked, written and set at GitHub", async () => {
  const { well, said } = await setup(...NEW, "--webhook-url", URL, "--configure-webhook");
  assert.equal(well, true, said);
  assert.equal(parameters.get("/fargate-runners/github/app-id"), "42");
  assert.equal(parameters.get("/fargate-runners/github/private-key"), PEM.trim());
  assert.match(secret() ?? "", /^[0-9a-f]{64}$/);
  assert.deepEqual(github.hook, {
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
  assert.deepEqual(log, []);
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
  github.permissions = { actions: "read", administration: "read" };
  github.events = ["push"];
  const { well, said } = await setup(...NEW);
  assert.equal(well, false);
  assert.match(said, /✗ permission administration is read, write is needed/);
  assert.match(said, /→ .*set "Repository permissions → Administration" to Read and write/);
  assert.match(said, /✗ event workflow_job is not subscribed to\n {2}→ .*tick "Workflow job"/);
  // They are right all the same, and the permissions come later.
  assert.equal(log.length, 3);
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
  github.permissions.checks = "write";
  const given = await setup(...NEW);
  assert.match(given.said, /✓ permission checks: write \(optional: /);
});

test("an App that is installed nowhere, suspended, or behind on permissions is named", async () => {
  github.installations = [];
  assert.match(
    (await setup(...NEW)).said,
    /installed nowhere\n.*apps\/runners\/installations\/new/,
  );
  github.installations = [
    { id: 1, account: { login: "a" }, permissions: github.permissions, suspended_at: "2026-01-01" },
    { id: 2, account: { login: "b" }, permissions: { actions: "read" }, suspended_at: null },
  ];
  const { said } = await setup(...NEW);
  assert.match(said, /✗ installation 1 \(a\) is suspended/);
  assert.match(said, /✗ installation 2 \(b\) has not been given administration\n.*Review request/);
});

test("a check writes nothing, and names the command that makes what is missing", async () => {
  await assert.rejects(
    setup("--check"),
    /\/fargate-runners\/github\/app-id, .*webhook-secret not in Parameter Store; run: scripts\/setup/,
  );
  await setup(...NEW);
  log = [];
  const { well, said } = await setup("--check", "--webhook-url", URL);
  assert.equal(well, false);
  assert.match(said, /✗ webhook URL is https:\/\/elsewhere\.example, not https:\/\/abc/);
  assert.match(said, /✗ webhook content type is form, not json/);
  assert.deepEqual(log, []);
});

test("a second run asks for nothing and changes nothing", async () => {
  await setup(...NEW);
  const before = new Map(parameters);
  log = [];
  assert.equal((await setup()).well, true);
  assert.deepEqual(parameters, before);
  assert.deepEqual(log, []);
});

test("a rotation is written, waited for, and only then set at GitHub", async () => {
  await setup(...NEW);
  const old = secret();
  log = [];
  const { well } = await setup("--rotate-webhook-secret", "--webhook-url", URL);
  assert.equal(well, true);
  const [current, previous, ...more] = secret()!.split("\n");
  assert.equal(previous, old);
  assert.notEqual(current, old);
  assert.deepEqual(more, []);
  assert.equal(github.hook.secret, current);
  assert.deepEqual(log, [
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
  deploymentKey = "alias/fargate-runners-secrets";
  await setup(...NEW);
  assert.deepEqual([...new Set(keys.values())], [deploymentKey]);
  decrypting = false;
  const { well, said } = await setup("--check");
  assert.equal(well, true);
  assert.match(said, /only the functions may decrypt them/);
  assert.match((await setup("--check", ...NEW)).said, /✓ App runners \(42\)/);
});

test("secrets of an earlier release are encrypted again once the deployment has a key", async () => {
  await setup(...NEW);
  assert.deepEqual([...new Set(keys.values())], ["alias/aws/ssm"]);
  const before = new Map(parameters);
  assert.match((await setup("--check")).said, /private-key can be read by all of this account/);
  deploymentKey = "alias/fargate-runners-secrets";
  const { well, said } = await setup();
  assert.equal(well, true);
  assert.match(said, /✓ encrypted again: \/fargate-runners\/github\/private-key \(key alias/);
  assert.deepEqual([...new Set(keys.values())], [deploymentKey]);
  assert.deepEqual(parameters, before);
});

test("a rotation without the right to read the old secret takes it from a file, or says so", async () => {
  deploymentKey = "alias/fargate-runners-secrets";
  await setup(...NEW);
  const old = secret()!;
  decrypting = false;
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
  assert.deepEqual(log, [
    "written /ci/github/app-id with alias/ci",
    "written /ci/github/private-key with alias/ci",
    "written /ci/github/webhook-secret with alias/ci",
  ]);
});

test("removing deletes everything of the deployment, ten at a time", async () => {
  for (let index = 0; index < 23; index++) {
    parameters.set(`/fargate-runners/runners/r${index}/0`, "x");
  }
  const { said } = await setup("--remove");
  assert.equal(said.split("\n").length, 23);
  assert.equal(parameters.size, 0);
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
