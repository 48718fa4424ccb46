import { createPrivateKey, createSign, KeyObject } from "node:crypto";

/** What GitHub says about an App, as far as it matters here; https://docs.github.com/rest/apps/apps */
export interface App {
  readonly id: number;
  readonly slug: string;
  readonly html_url: string;
  readonly permissions: Record<string, string>;
  readonly events: string[];
  /** Whose it is: a user or an organization, or an enterprise, which has a `slug` instead. */
  readonly owner: Account;
}

/** An account: a user or an organization by its login, an enterprise by its slug. */
export interface Account {
  readonly id: number;
  readonly login?: string;
  readonly slug?: string;
}

/** Where GitHub sends an App's events; https://docs.github.com/rest/apps/webhooks */
export interface HookConfig {
  readonly url?: string;
  readonly content_type?: string;
  readonly insecure_ssl?: string | number;
}

/** One place where the App is installed. */
export interface Installation {
  readonly id: number;
  readonly account: Account | null;
  /** `User`, `Organization` or `Enterprise`. */
  readonly target_type: string;
  readonly permissions: Record<string, string>;
  readonly suspended_at: string | null;
}

/** A runner group of an organization; https://docs.github.com/rest/actions/self-hosted-runner-groups */
export interface RunnerGroup {
  readonly id: number;
  readonly name: string;
  /** Whose jobs its runners take: of all repositories, of private ones, or of those that are listed. */
  readonly visibility: string;
  readonly allows_public_repositories: boolean;
  /** Whether it is an enterprise's, whose settings change it. */
  readonly inherited: boolean;
  readonly restricted_to_workflows?: boolean;
  readonly selected_workflows?: string[];
}

/** A repository that a runner group lists. */
export interface GroupRepository {
  readonly full_name: string;
  readonly private: boolean;
  /** `public`, `private` or `internal`. */
  readonly visibility?: string;
}

/** Entries of a page, as many as GitHub gives at once. */
const PAGE_SIZE = 100;
/** Pages of a list that are read. Nobody reads findings about more. */
const PAGES = 20;

/** An answer of GitHub that isn't the one hoped for. */
export class GitHubError extends Error {
  constructor(
    readonly status: number,
    what: string,
    text: string,
  ) {
    super(`${what} answered ${status}${text ? `: ${text}` : ""}`);
  }
}

/**
 * Reads the App's private key: a PEM, or base64 of one.
 *
 * @throws when it is neither, or not an RSA key
 */
export function parsePrivateKey(text: string): KeyObject {
  const trimmed = text.trim();
  const pem = trimmed.startsWith("-----")
    ? trimmed
    : Buffer.from(trimmed, "base64").toString("utf8");
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new Error("it is not a private key in PEM (nor base64 of one)");
  }
  if (key.asymmetricKeyType !== "rsa") {
    throw new Error(`it is a key of type ${key.asymmetricKeyType}; GitHub's are RSA`);
  }
  return key;
}

/** GitHub's API as the App itself, not as one of its installations. */
export class GitHubApp {
  constructor(
    private readonly apiUrl: string,
    private readonly appId: string,
    private readonly key: KeyObject,
  ) {}

  /** The App that the key belongs to. */
  app(): Promise<App> {
    return this.call("GET", "/app");
  }

  /** Where events go now. */
  hookConfig(): Promise<HookConfig> {
    return this.call("GET", "/app/hook/config");
  }

  /** Has events sent to an address, signed with a secret. */
  async configureHook(url: string, secret: string): Promise<void> {
    await this.call("PATCH", "/app/hook/config", {
      url,
      secret,
      content_type: "json",
      insecure_ssl: "0",
    });
  }

  /** The places where the App is installed. */
  installations(): Promise<Installation[]> {
    return this.pages("/app/installations", (page: Installation[]) => page);
  }

  /**
   * Whether anybody may install the App: GitHub shows only such an App to somebody who is not signed
   * in. Nothing where a GitHub shows nobody anything before they sign in.
   */
  async isPublic(slug: string): Promise<boolean | undefined> {
    try {
      await this.call("GET", `/apps/${encodeURIComponent(slug)}`, undefined, null);
      return true;
    } catch (error) {
      if (error instanceof GitHubError) {
        return error.status === 404 ? false : undefined;
      }
      throw error;
    }
  }

  /** A token by which one installation's runner groups can be read, and nothing else. */
  async groupsToken(installation: number): Promise<string> {
    const path = `/app/installations/${installation}/access_tokens`;
    const permissions = { organization_self_hosted_runners: "read" };
    const { token } = await this.call<{ token: string }>("POST", path, { permissions });
    return token;
  }

  /** An organization's runner groups. */
  runnerGroups(organization: string, token: string): Promise<RunnerGroup[]> {
    return this.pages(
      `/orgs/${organization}/actions/runner-groups`,
      (page: { runner_groups: RunnerGroup[] }) => page.runner_groups,
      token,
    );
  }

  /** The repositories that a runner group lists. */
  groupRepositories(
    organization: string,
    group: number,
    token: string,
  ): Promise<GroupRepository[]> {
    return this.pages(
      `/orgs/${organization}/actions/runner-groups/${group}/repositories`,
      (page: { repositories: GroupRepository[] }) => page.repositories,
      token,
    );
  }

  private async pages<P, T>(path: string, entries: (page: P) => T[], token?: string): Promise<T[]> {
    const all: T[] = [];
    for (let number = 1; number <= PAGES; number++) {
      const query = `per_page=${PAGE_SIZE}&page=${number}`;
      const page = entries(await this.call<P>("GET", `${path}?${query}`, undefined, token));
      all.push(...page);
      if (page.length < PAGE_SIZE) {
        break;
      }
    }
    return all;
  }

  /**
   * Calls GitHub.
   *
   * @param token whose call it is: the App's own unless given, nobody's where it is null
   */
  private async call<T>(
    method: string,
    path: string,
    body?: unknown,
    token: string | null = this.token(),
  ): Promise<T> {
    const what = `${method} ${this.apiUrl}${path.split("?")[0]}`;
    let answer: Response;
    try {
      answer = await fetch(`${this.apiUrl}${path}`, {
        method,
        headers: {
          ...(token !== null && { authorization: `Bearer ${token}` }),
          accept: "application/vnd.github+json",
          "user-agent": "fargate-runners-setup",
          "x-github-api-version": "2022-11-28",
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(30_000),
      });
    } catch (error) {
      const { cause, message } = error as Error & { cause?: Error };
      throw new Error(`${what} can't be reached: ${cause?.message ?? message}`);
    }
    if (!answer.ok) {
      const { message } = (await answer.json().catch(() => ({}))) as { message?: string };
      throw new GitHubError(answer.status, what, message ?? "");
    }
    return (await answer.json()) as T;
  }

  /** https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app */
  private token(): string {
    const now = Math.floor(Date.now() / 1000);
    const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url");
    const unsigned = [
      encode({ alg: "RS256", typ: "JWT" }),
      // A minute back, for clocks that differ; GitHub allows ten minutes in all.
      encode({ iat: now - 60, exp: now + 480, iss: this.appId }),
    ].join(".");
    const signature = createSign("RSA-SHA256").update(unsigned).sign(this.key, "base64url");
    return `${unsigned}.${signature}`;
  }
}
