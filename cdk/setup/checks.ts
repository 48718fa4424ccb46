import { App, HookConfig, Installation } from "./github-app";

/** Something that is as it should be, or what to do about it. */
export interface Finding {
  /** Whether it is as it should be. */
  readonly ok: boolean;
  /** What was looked at, and what was found. */
  readonly text: string;
  /** What repairs it. */
  readonly fix?: string;
}

/** Where runners are registered, which decides about the permission to do so. */
export type Scope = "repository" | "organization";

// https://docs.github.com/rest/authentication/permissions-required-for-github-apps
const PERMISSIONS: Record<Scope, Record<string, "read" | "write">> = {
  repository: { actions: "read", administration: "write" },
  organization: { actions: "read", organization_self_hosted_runners: "write" },
};
/** What an App may have besides, and what for. */
const OPTIONAL = {
  checks: {
    level: "write",
    purpose: "with checkRuns, a commit shows why a job of it was given up",
  },
} as const;
const LEVELS = ["read", "write", "admin"];

/** How GitHub's settings call what the API names in lower case. */
const LABELS: Record<string, string> = {
  actions: "Repository permissions → Actions",
  administration: "Repository permissions → Administration",
  checks: "Repository permissions → Checks",
  organization_self_hosted_runners: "Organization permissions → Self-hosted runners",
};

/** Whether the App may do what the functions do, and hears of jobs. */
export function checkApp(app: App, scope: Scope): Finding[] {
  const settings = `${app.html_url} → App settings → Permissions & events`;
  const findings = Object.entries(PERMISSIONS[scope]).map(([name, level]): Finding => {
    const has = app.permissions[name];
    return enough(has, level)
      ? { ok: true, text: `permission ${name}: ${has}` }
      : {
          ok: false,
          text: `permission ${name} is ${has ?? "missing"}, ${level} is needed`,
          fix: `${settings}: set "${LABELS[name]}" to ${level === "read" ? "Read-only" : "Read and write"}`,
        };
  });
  for (const [name, { level, purpose }] of Object.entries(OPTIONAL)) {
    const has = app.permissions[name];
    findings.push({
      ok: true,
      text: enough(has, level)
        ? `permission ${name}: ${has} (optional: ${purpose})`
        : `permission ${name} is ${has ?? "missing"}, ${level} is optional: ${purpose}; set "${LABELS[name]}" to Read and write`,
    });
  }
  findings.push(
    app.events.includes("workflow_job")
      ? { ok: true, text: "event workflow_job is subscribed to" }
      : {
          ok: false,
          text: "event workflow_job is not subscribed to",
          fix: `${settings}: tick "Workflow job" under "Subscribe to events"`,
        },
  );
  return findings;
}

/** Whether the App is installed, with the permissions that it has now. */
export function checkInstallations(
  app: App,
  installations: readonly Installation[],
  scope: Scope,
): Finding[] {
  if (installations.length === 0) {
    return [
      {
        ok: false,
        text: "the App is installed nowhere",
        fix: `install it: ${app.html_url}/installations/new`,
      },
    ];
  }
  return installations.map((installation): Finding => {
    const where = `installation ${installation.id} (${installation.account?.login ?? "unknown"})`;
    if (installation.suspended_at !== null) {
      return {
        ok: false,
        text: `${where} is suspended`,
        fix: "lift the suspension in the owner's settings → GitHub Apps",
      };
    }
    const lacking = Object.entries(PERMISSIONS[scope])
      .filter(([name, level]) => !enough(installation.permissions[name], level))
      .map(([name]) => name);
    return lacking.length === 0
      ? { ok: true, text: where }
      : {
          ok: false,
          text: `${where} has not been given ${lacking.join(", ")}`,
          fix: "its owner accepts the new permissions in their settings → GitHub Apps → Review request",
        };
  });
}

/** Whether events arrive at our address, in a form that we read. */
export function checkHook(hook: HookConfig, webhookUrl: string): Finding[] {
  const same = hook.url !== undefined && trimSlash(hook.url) === trimSlash(webhookUrl);
  const fix = "run this again with --webhook-url and --configure-webhook";
  return [
    same
      ? { ok: true, text: `webhook URL: ${hook.url}` }
      : { ok: false, text: `webhook URL is ${hook.url || "not set"}, not ${webhookUrl}`, fix },
    hook.content_type === "json"
      ? { ok: true, text: "webhook content type: json" }
      : { ok: false, text: `webhook content type is ${hook.content_type}, not json`, fix },
    String(hook.insecure_ssl ?? "0") === "0"
      ? { ok: true, text: "webhook TLS is verified" }
      : { ok: false, text: "GitHub does not verify the webhook's TLS", fix },
  ];
}

function enough(has: string | undefined, needed: string): boolean {
  return has !== undefined && LEVELS.indexOf(has) >= LEVELS.indexOf(needed);
}

function trimSlash(url: string): string {
  return url.replace(/\/$/, "");
}
