import { SSMClient } from "@aws-sdk/client-ssm";
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, IncomingMessage, Server } from "node:http";
import { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, beforeEach } from "node:test";
import { Account, GroupRepository, Installation, RunnerGroup } from "../setup/github-app";
import { readOptions } from "../setup/options";
import { run } from "../setup/run";
import { temporaryDirectory } from "./temporary";

const KEY = generateKeyPairSync("rsa", { modulusLength: 2048 });
export const PEM = KEY.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
export const FOLDER = temporaryDirectory("setup");
export const PEM_FILE = join(FOLDER, "key.pem");
writeFileSync(PEM_FILE, PEM);

/** The command line of a deployment's first run. */
export const NEW = ["--app-id", "42", "--private-key", PEM_FILE];

const PERMISSIONS = { actions: "read", administration: "write", metadata: "read" };
const TIMES = { created_at: "2026-01-01T00:00:00Z", updated_at: "2026-01-01T00:00:00Z" };

/** A runner group, with the repositories that it lists. */
export interface Group extends RunnerGroup {
  readonly repositories: GroupRepository[];
}

interface World {
  github: {
    permissions: Record<string, string>;
    events: string[];
    installations: object[];
    hook: Record<string, unknown>;
    /** What somebody who isn't signed in gets who asks for the App. */
    appsPage: number;
    /** The runner groups of each organization. */
    groups: Record<string, Group[]>;
  };
  /** The secrets in Parameter Store, and what the deployment itself wrote there. */
  parameters: Map<string, string>;
  published: Map<string, string>;
  /** The key of each parameter; what the deployment has; and whether it decrypts for us. */
  keys: Map<string, string>;
  deploymentKey: string | undefined;
  decrypting: boolean;
  /** What happened, in order. */
  log: string[];
}

/** What the stand-ins know. */
export let world: World;

/** What the stack writes for a deployment of these props. */
export function publish(policy: object = {}): void {
  const all = {
    scope: "repository",
    runnerGroup: "Default",
    allowedOwners: "octo",
    allowedRepositories: "",
    allowPublicRepositories: false,
    allowInternalRepositories: false,
    ...policy,
  };
  world.published.set("/fargate-runners/policy", JSON.stringify(all));
}

/** An account, as GitHub shows it in an installation or an App. */
export function account(login: string, id: number, type = "Organization"): Account & object {
  const url = `https://api.github.com/users/${login}`;
  return {
    login,
    id,
    node_id: `O_${id}`,
    avatar_url: `https://avatars.githubusercontent.com/u/${id}`,
    gravatar_id: "",
    url,
    html_url: `https://github.com/${login}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type,
    site_admin: false,
  } as Account;
}

/** An installation of the App. */
export function installation(
  id: number,
  where: Account,
  more: Partial<Installation> = {},
): Installation & object {
  const { type } = where as { type?: string };
  return {
    id,
    account: where,
    repository_selection: "all",
    access_tokens_url: `https://api.github.com/app/installations/${id}/access_tokens`,
    repositories_url: "https://api.github.com/installation/repositories",
    html_url: `https://github.com/organizations/x/settings/installations/${id}`,
    app_id: 42,
    client_id: "Iv23liTest",
    app_slug: "runners",
    target_id: where.id,
    target_type: type ?? "Organization",
    permissions: PERMISSIONS,
    events: ["workflow_job"],
    ...TIMES,
    single_file_name: null,
    suspended_by: null,
    suspended_at: null,
    ...more,
  } as Installation;
}

/** A runner group of an organization. */
export function group(id: number, name: string, more: Partial<Group> = {}): Group {
  const url = `https://api.github.com/orgs/octo/actions/runner-groups/${id}`;
  return {
    id,
    name,
    visibility: "all",
    default: id === 1,
    runners_url: `${url}/runners`,
    hosted_runners_url: `${url}/hosted-runners`,
    inherited: false,
    allows_public_repositories: false,
    restricted_to_workflows: false,
    selected_workflows: [],
    workflow_restrictions_read_only: false,
    repositories: [],
    ...(more.visibility === "selected" && { selected_repositories_url: `${url}/repositories` }),
    ...more,
  } as Group;
}

const ADDRESSES =
  "archive assignees blobs branches collaborators comments commits compare contents contributors " +
  "deployments downloads events forks git_commits git_refs git_tags hooks issue_comment " +
  "issue_events issues keys labels languages merges milestones notifications pulls releases " +
  "stargazers statuses subscribers subscription tags teams trees";

/** A repository, as a runner group lists it. */
export function repository(
  full_name: string,
  visibility: "private" | "public" | "internal" = "private",
): GroupRepository & object {
  const url = `https://api.github.com/repos/${full_name}`;
  const [owner, name] = full_name.split("/") as [string, string];
  return {
    id: 9,
    node_id: "R_9",
    name,
    full_name,
    owner: account(owner, 1),
    private: visibility !== "public",
    visibility,
    html_url: `https://github.com/${full_name}`,
    description: null,
    fork: false,
    url,
    ...Object.fromEntries(ADDRESSES.split(" ").map((what) => [`${what}_url`, `${url}/${what}`])),
  } as GroupRepository;
}

beforeEach(() => {
  world = {
    github: {
      permissions: { ...PERMISSIONS },
      events: ["workflow_job"],
      installations: [installation(7, account("octo", 1))],
      hook: { url: "https://elsewhere.example", content_type: "form", insecure_ssl: "0" },
      appsPage: 404,
      groups: { octo: [group(1, "Default")] },
    },
    parameters: new Map(),
    published: new Map(),
    keys: new Map(),
    deploymentKey: undefined,
    decrypting: true,
    log: [],
  };
  publish();
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

/** Whether a call is the App's own: a JWT that its key signed. */
function isApps(token: string): boolean {
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
  return genuine && claims.iss === "42" && claims.exp! - claims.iat! <= 600;
}

function app(): object {
  return {
    id: 42,
    slug: "runners",
    node_id: "A_42",
    client_id: "Iv23liTest",
    owner: account("octo", 1),
    name: "Runners",
    description: null,
    external_url: "https://example.org",
    html_url: "https://github.com/apps/runners",
    ...TIMES,
    permissions: world.github.permissions,
    events: world.github.events,
  };
}

/** One page of a list. */
function page<T>(url: URL, entries: readonly T[]): T[] {
  const number = (name: string) => Number(url.searchParams.get(name));
  const [size, which] = [number("per_page"), number("page")];
  assert.ok(size >= 1 && size <= 100 && which >= 1, url.href);
  return entries.slice(size * (which - 1), size * which);
}

/** The installation's token that reads the runner groups. */
const GROUPS_TOKEN = "ghs_groups";

function groups(url: URL, token: string): [number, unknown] {
  if (token !== GROUPS_TOKEN) {
    return [403, { message: "Resource not accessible by integration" }];
  }
  const [, , organization, , , id] = url.pathname.split("/");
  const all = world.github.groups[organization!] ?? [];
  if (id === undefined) {
    const shown = page(url, all).map(({ repositories: _, ...rest }) => rest);
    return [200, { total_count: all.length, runner_groups: shown }];
  }
  const { repositories } = all.find((one) => String(one.id) === id)!;
  return [200, { total_count: repositories.length, repositories: page(url, repositories) }];
}

const gitHubServer = serve((request, body) => {
  const { github, log } = world;
  const [, token = ""] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? [];
  const url = new URL(request.url!, "http://localhost");
  if (url.pathname.startsWith("/orgs/")) {
    return groups(url, token);
  }
  if (url.pathname === "/apps/runners") {
    assert.equal(token, "", "an App always sees itself");
    return github.appsPage === 200 ? [200, app()] : [github.appsPage, { message: "Not Found" }];
  }
  if (!isApps(token)) {
    return [401, { message: "A JSON web token could not be decoded" }];
  }
  switch (`${request.method} ${url.pathname}`) {
    case "GET /app":
      return [200, app()];
    case "GET /app/installations":
      return [200, page(url, github.installations)];
    case "POST /app/installations/7/access_tokens":
      assert.deepEqual(body, { permissions: { organization_self_hosted_runners: "read" } });
      return github.permissions.organization_self_hosted_runners === undefined
        ? [
            422,
            {
              message: "The permissions requested are not granted to this installation.",
              documentation_url: "https://docs.github.com/rest/reference/apps",
            },
          ]
        : [201, { token: GROUPS_TOKEN, expires_at: "2026-01-01T01:00:00Z", ...body }];
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
  const { parameters, published, keys, deploymentKey, decrypting, log } = world;
  switch (String(request.headers["x-amz-target"]).split(".")[1]) {
    case "GetParameters": {
      if (body.WithDecryption && !decrypting) {
        return [400, { __type: "AccessDeniedException", message: "not allowed to access the key" }];
      }
      const valueOf = (name: string) =>
        published.get(name) ??
        (parameters.has(name) && !body.WithDecryption ? "AQICAHh" : parameters.get(name));
      const found = (body.Names as string[]).map((Name) => ({ Name, Value: valueOf(Name) }));
      return [200, { Parameters: found.filter(({ Value }) => Value !== undefined) }];
    }
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
export async function setup(...argv: string[]): Promise<{ well: boolean; said: string }> {
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
    wait: async (seconds) => void world.log.push(`waited ${seconds} s`),
  }).finally(() => client.destroy());
  return { well, said: lines.join("\n") };
}
