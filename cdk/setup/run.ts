import { SSMClient } from "@aws-sdk/client-ssm";
import { KeyObject, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { checkHook, Finding } from "./checks";
import { GitHubApp, parsePrivateKey } from "./github-app";
import { checkAtGitHub } from "./github-checks";
import { Options } from "./options";
import { MANAGED_KEY, Parameters, SECRET_NAMES, SecretName, Secrets } from "./parameters";
import { readDeployment } from "./policy";

/** How long `verify` may go on with the secret that it has read: its SECRET_TTL_SECONDS. */
const SECRET_TTL_SECONDS = 300;

/** How the script talks to a person. */
export interface Terminal {
  /** Prints a line. */
  say(line: string): void;
  /** Asks for something that isn't secret; nothing when nobody is there to answer. */
  ask(question: string): Promise<string | undefined>;
  /** Lets time pass. */
  wait(seconds: number): Promise<void>;
}

/**
 * Does what the options say.
 *
 * @returns whether everything is as it should be
 * @throws when something is missing or can't be reached; the message says what to do
 */
export async function run(
  options: Options,
  client: SSMClient,
  terminal: Terminal,
): Promise<boolean> {
  const parameters = new Parameters(client, options.prefix, options.kmsKeyId);
  if (options.remove) {
    for (const name of await parameters.removeAll()) {
      terminal.say(`deleted ${name}`);
    }
    return true;
  }
  const { there, values } = await parameters.read();
  const changed =
    options.check || options.rotateWebhookSecret ? {} : await collect(options, there, terminal);
  if (options.rotateWebhookSecret) {
    changed["webhook-secret"] = rotated(currentWebhookSecret(options, there, values));
  }
  const secrets = { ...values, ...givenForCheck(options), ...changed };
  const missing = SECRET_NAMES.filter((name) => !secrets[name] && !there.includes(name));
  if (missing.length > 0) {
    throw new Error(
      `${missing.map((name) => parameters.name(name)).join(", ")} not in Parameter Store; ` +
        "run: scripts/setup --app-id ID --private-key FILE",
    );
  }
  if (!secrets["app-id"] || !secrets["private-key"]) {
    return reportUnreadable(terminal, parameters, changed);
  }
  const github = new GitHubApp(options.apiUrl, secrets["app-id"], keyOf(secrets["private-key"]));
  const deployment = await readDeployment(parameters, options.prefix);
  const findings = await checkAtGitHub(github, options, secrets["app-id"], deployment);
  let well = report(terminal, findings);
  for (const name of SECRET_NAMES.filter((candidate) => changed[candidate] !== undefined)) {
    const key = await parameters.write(name, changed[name]!);
    terminal.say(`✓ written: ${parameters.name(name)}${keyNote(key)}`);
  }
  await encryptAgain(options, parameters, secrets, terminal);
  if (options.webhookUrl !== undefined) {
    if ((options.configureWebhook || options.rotateWebhookSecret) && !secrets["webhook-secret"]) {
      throw new Error(unreadable(parameters, "webhook-secret", "--webhook-secret-file FILE"));
    }
    const [current, previous] = secrets["webhook-secret"]?.split("\n") ?? [];
    if (options.rotateWebhookSecret && previous !== undefined) {
      terminal.say("  waiting five minutes, until no function remembers the old secret alone");
      await terminal.wait(SECRET_TTL_SECONDS);
    }
    if (options.configureWebhook || options.rotateWebhookSecret) {
      await github.configureHook(options.webhookUrl, current!);
    }
    well = report(terminal, checkHook(await github.hookConfig(), options.webhookUrl)) && well;
  }
  return well;
}

/** The secrets from the command line, or from the person, as far as they aren't there already. */
async function collect(
  options: Options,
  there: readonly SecretName[],
  terminal: Terminal,
): Promise<{ -readonly [K in keyof Secrets]?: Secrets[K] }> {
  const appId =
    options.appId ??
    (there.includes("app-id") ? undefined : await terminal.ask("App id (a number): "));
  const keyFile =
    options.privateKeyFile ??
    (there.includes("private-key")
      ? undefined
      : await terminal.ask("File with its private key (.pem): "));
  const secret =
    options.webhookSecretFile !== undefined
      ? readSecret(options.webhookSecretFile)
      : there.includes("webhook-secret")
        ? undefined
        : newSecret();
  return {
    ...(appId && { "app-id": appId.trim() }),
    ...(keyFile && { "private-key": readSecret(keyFile) }),
    ...(secret && { "webhook-secret": secret }),
  };
}

/** Writes those that are encrypted with the AWS-managed key once more, with the deployment's own. */
async function encryptAgain(
  options: Options,
  parameters: Parameters,
  secrets: Partial<Secrets>,
  terminal: Terminal,
): Promise<void> {
  for (const name of await parameters.underManagedKey()) {
    if (options.check || secrets[name] === undefined) {
      terminal.say(`  ${parameters.name(name)} can be read by all of this account that may read`);
      terminal.say("  parameters; scripts/setup encrypts it with the deployment's own key");
      continue;
    }
    if (!(await parameters.writeWithKey(name, secrets[name]))) {
      terminal.say(`  there is no key ${parameters.key}, so the AWS-managed one stays in use;`);
      terminal.say("  run scripts/setup again after `cdk deploy`, unless secretsKey is false");
      return;
    }
    terminal.say(`✓ encrypted again: ${parameters.name(name)} (key ${parameters.key})`);
  }
}

/** Says that secrets are there which only the functions may decrypt, and how to check them all the same. */
function reportUnreadable(
  terminal: Terminal,
  parameters: Parameters,
  changed: Partial<Secrets>,
): boolean {
  if (Object.keys(changed).length > 0) {
    throw new Error(
      `${unreadable(parameters, "private-key", "--app-id ID --private-key FILE")}, ` +
        "so that what is new can be checked before it is written",
    );
  }
  terminal.say("✓ all secrets are in Parameter Store; only the functions may decrypt them");
  terminal.say("  to check them at GitHub, add --app-id ID --private-key FILE, or add yourself to");
  terminal.say("  the deployment's secretsReaders");
  return true;
}

function unreadable(parameters: Parameters, name: SecretName, option: string): string {
  return (
    `${parameters.name(name)} can be decrypted by the functions alone; give it once more by ` +
    `${option}, or add yourself to the deployment's secretsReaders`
  );
}

/** What a check at GitHub may use although it is not written. */
function givenForCheck(options: Options): Partial<Secrets> {
  return {
    ...(options.appId && { "app-id": options.appId.trim() }),
    ...(options.privateKeyFile && { "private-key": readSecret(options.privateKeyFile) }),
  };
}

/** The secret that is accepted today. */
function currentWebhookSecret(
  options: Options,
  there: readonly SecretName[],
  values: Partial<Secrets>,
): string | undefined {
  if (options.webhookSecretFile !== undefined) {
    return readSecret(options.webhookSecretFile);
  }
  if (values["webhook-secret"] === undefined && there.includes("webhook-secret")) {
    throw new Error(
      "The current webhook secret can be decrypted by the functions alone; give it by " +
        "--webhook-secret-file FILE, or add yourself to the deployment's secretsReaders",
    );
  }
  return values["webhook-secret"];
}

/** The key, where it is worth a word. */
function keyNote(key: string): string {
  return key === MANAGED_KEY ? "" : ` (key ${key})`;
}

function keyOf(privateKey: string): KeyObject {
  try {
    return parsePrivateKey(privateKey);
  } catch (error) {
    throw new Error(`The private key can't be used: ${(error as Error).message}`);
  }
}

/** A new secret, with the one that was current still accepted behind it. */
function rotated(current: string | undefined): string {
  const [previous] = current?.split("\n") ?? [];
  return previous ? `${newSecret()}\n${previous}` : newSecret();
}

function newSecret(): string {
  return randomBytes(32).toString("hex");
}

function readSecret(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new Error(`${file} can't be read: ${(error as Error).message}`);
  }
}

/** Tells the findings; answers whether all is as it should be. */
export function report(terminal: Terminal, findings: readonly Finding[]): boolean {
  for (const { ok, text, fix } of findings) {
    terminal.say(`${ok ? "✓" : "✗"} ${text}`);
    if (fix !== undefined) {
      terminal.say(`  → ${fix}`);
    }
  }
  return findings.every(({ ok }) => ok);
}
