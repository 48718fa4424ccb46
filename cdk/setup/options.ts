import { parseArgs } from "node:util";
import { Scope } from "./checks";

/** What the command line says. */
export interface Options {
  readonly prefix: string;
  /** Where runners are registered; as the deployment says, unless given. */
  readonly scope?: Scope;
  readonly apiUrl: string;
  readonly appId?: string;
  readonly privateKeyFile?: string;
  readonly webhookSecretFile?: string;
  readonly rotateWebhookSecret: boolean;
  readonly webhookUrl?: string;
  readonly configureWebhook: boolean;
  readonly kmsKeyId?: string;
  readonly check: boolean;
  readonly remove: boolean;
}

/** A mistake on the command line. */
export class UsageError extends Error {}

/** What `--help` prints. */
export const USAGE = `Puts a deployment's secrets into Parameter Store, after checking them against GitHub.

  scripts/setup --app-id ID --private-key FILE [--webhook-url URL --configure-webhook]
  scripts/setup --check [--webhook-url URL]       checks what is there already
  scripts/setup --rotate-webhook-secret --webhook-url URL
  scripts/setup --remove                          deletes the deployment's parameters

  --app-id ID               the GitHub App's id (App settings → About)
  --private-key FILE        its private key, a .pem file (App settings → Private keys)
  --webhook-secret-file F   the webhook's secret; without it a random one is made
  --webhook-url URL         the stack's output WebhookUrl
  --configure-webhook       set URL and secret at GitHub, so that nobody has to see the secret
  --rotate-webhook-secret   make a new secret, keep accepting the old one, and set it at GitHub
  --scope SCOPE             repository or organization: where runners are registered (default: as
                            the deployment says)
  --prefix PREFIX           the deployment's prefix (default fargate-runners)
  --github-api-url URL      GitHub's API (default: GITHUB_API_URL, or https://api.github.com)
  --kms-key-id KEY          the deployment's parameterKey, if it has one (default: its own secretsKey)

AWS account and region are those of the environment, as for the AWS command line.
What isn't given is asked for.`;

/**
 * Reads the command line.
 *
 * @returns nothing when help was asked for
 * @throws UsageError
 */
export function readOptions(
  argv: readonly string[],
  env: Record<string, string | undefined>,
): Options | undefined {
  const values = parse(argv);
  if (values.help) {
    return undefined;
  }
  const { scope } = values;
  if (scope !== undefined && scope !== "repository" && scope !== "organization") {
    throw new UsageError(`--scope is ${scope}; it is repository or organization`);
  }
  if (values.check && values.remove) {
    throw new UsageError("--check and --remove exclude each other");
  }
  for (const flag of ["configure-webhook", "rotate-webhook-secret"] as const) {
    if (values[flag] && values["webhook-url"] === undefined) {
      throw new UsageError(`--${flag} needs --webhook-url: the stack's output WebhookUrl`);
    }
  }
  const apiUrl = values["github-api-url"] ?? env.GITHUB_API_URL ?? "https://api.github.com";
  return {
    prefix: values.prefix ?? "fargate-runners",
    scope,
    apiUrl: apiUrl.replace(/\/$/, ""),
    appId: values["app-id"],
    privateKeyFile: values["private-key"],
    webhookSecretFile: values["webhook-secret-file"],
    rotateWebhookSecret: values["rotate-webhook-secret"] ?? false,
    webhookUrl: values["webhook-url"],
    configureWebhook: values["configure-webhook"] ?? false,
    kmsKeyId: values["kms-key-id"],
    check: values.check ?? false,
    remove: values.remove ?? false,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        "app-id": { type: "string" },
        "private-key": { type: "string" },
        "webhook-secret-file": { type: "string" },
        "webhook-url": { type: "string" },
        "configure-webhook": { type: "boolean" },
        "rotate-webhook-secret": { type: "boolean" },
        scope: { type: "string" },
        prefix: { type: "string" },
        "github-api-url": { type: "string" },
        "kms-key-id": { type: "string" },
        check: { type: "boolean" },
        remove: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
