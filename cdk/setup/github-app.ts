import { createPrivateKey, createSign, KeyObject } from "node:crypto";

/** What GitHub says about an App, as far as it matters here; https://docs.github.com/rest/apps/apps */
export interface App {
  readonly id: number;
  readonly slug: string;
  readonly html_url: string;
  readonly permissions: Record<string, string>;
  readonly events: string[];
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
  readonly account: { readonly login: string } | null;
  readonly permissions: Record<string, string>;
  readonly suspended_at: string | null;
}

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

  /** The first hundred places where the App is installed. */
  installations(): Promise<Installation[]> {
    return this.call("GET", "/app/installations?per_page=100");
  }

  private async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const what = `${method} ${this.apiUrl}${path.split("?")[0]}`;
    let answer: Response;
    try {
      answer = await fetch(`${this.apiUrl}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${this.token()}`,
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
