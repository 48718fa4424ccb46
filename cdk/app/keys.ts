import { HANDLERS_CONTEXT } from "../src/fargate-runners";
import { InvalidProp } from "../src/invalid-prop";
import { distance } from "./nearest";

/** The names of keys: of the configuration, and of each of its runners. */
export interface Keys {
  readonly top: readonly string[];
  readonly runner: readonly string[];
}

/** The construct's props that the app calls otherwise. Other props of `github` are keys by their last name. */
const KEY_OF_PROP: Readonly<Record<string, string>> = {
  "github.apiUrl": "githubApiUrl",
  "github.insideNetwork": "githubInsideNetwork",
  "github.scope": "runnerScope",
  "monitoring.waitingLimit": "waitingLimitSeconds",
  "reservedConcurrency.verify": "webhookConcurrency",
  maxJobDuration: "maxJobDurationMinutes",
  parameterKey: "parameterKeyArn",
  rebuild: "rebuildWeekly",
  secretsReaders: "secretsReaderArns",
  securityGroups: "securityGroupIds",
  subnets: "subnetIds",
};

/** What belongs to our keys in the CDK context, which also carries keys of the toolkit and of others. */
export function ownKeys(
  context: Readonly<Record<string, unknown>>,
  keys: Keys,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(context).filter(([key]) => isOurs(key, keys)));
}

/**
 * The toolkit's flags and lookups hold a colon, and some keys of its command line a dash. What has
 * neither is ours, and what is one of ours but for its dashes or such was meant to be.
 */
function isOurs(key: string, { top, runner }: Keys): boolean {
  const [namespace] = HANDLERS_CONTEXT.split(":");
  if (key.startsWith(`${namespace}:`)) {
    return key !== HANDLERS_CONTEXT;
  }
  if (/[:@/]/.test(key)) {
    return false;
  }
  return (
    /^[A-Za-z0-9]+$/.test(key) ||
    top.includes(head(key)) ||
    [...top, ...runner, ...Object.keys(KEY_OF_PROP)].some((known) => mistakes(key, known) <= 1)
  );
}

/** The error for a key of the configuration that there is not. */
export function unknownKey(key: string, value: unknown, keys: Keys): Error {
  const unknown = `Unknown configuration key ${key}`;
  if (keys.top.includes(head(key))) {
    const whole = head(key) === "runners" ? `'runners=[{…}]'` : `${head(key)}=VALUE`;
    return new Error(`${unknown}; give ${head(key)} as a whole, -c ${whole} or in a file.`);
  }
  const ofRunner = keys.runner.find((known) => mistakes(key, known) === 0);
  if (ofRunner !== undefined) {
    const example = JSON.stringify([{ [ofRunner]: asJson(value) }]);
    return new Error(`${unknown}; it is a key of each of the runners: -c 'runners=${example}'.`);
  }
  const meant = meantBy(key, [
    ...keys.top.map((known) => [known, known] as const),
    ...keys.runner.map((known) => [known, `${known} of one of the runners`] as const),
    ...Object.entries(KEY_OF_PROP),
    [HANDLERS_CONTEXT, HANDLERS_CONTEXT],
  ]);
  return new Error(
    meant === undefined
      ? `${unknown}; cdk/README.md lists those that there are.`
      : `${unknown}; did you mean ${meant}?`,
  );
}

/** The error for a key of a runner that there is not. */
export function unknownRunnerKey(key: string, _value: unknown, keys: Keys): Error {
  const unknown = `Unknown key ${key}`;
  const ofTop = keys.top.find((known) => mistakes(key, known) === 0);
  if (ofTop !== undefined) {
    return new Error(`${unknown}; ${ofTop} is a key beside runners, for all of them.`);
  }
  const meant = meantBy(
    key,
    keys.runner.map((known) => [known, known]),
  );
  return new Error(
    meant === undefined
      ? `${unknown}; a runner's keys are ${keys.runner.join(", ")}.`
      : `${unknown}; did you mean ${meant}?`,
  );
}

/** The error for a key of an object in the configuration that there is not. */
export function unknownNestedKey(path: string, known: readonly string[]): Error {
  const [, above = "", key = path] = /^(.*\.)(.*)$/.exec(path) ?? [];
  const meant = meantBy(
    key,
    known.map((name) => [name, `${above}${name}`]),
  );
  return new Error(
    meant === undefined
      ? `Unknown key ${path}; there are ${known.join(", ")}.`
      : `Unknown key ${path}; did you mean ${meant}?`,
  );
}

/** An error about a prop of the construct in the words of the configuration. */
export function inKeys(error: InvalidProp): InvalidProp {
  return new InvalidProp(
    keyOf(error.prop),
    error.value,
    error.allowed.replace(/\b(github|monitoring)\.\w+/g, keyOf),
  );
}

function keyOf(prop: string): string {
  return KEY_OF_PROP[prop] ?? prop.replace(/^(github|monitoring)\./, "");
}

/** What a key says before an index or a dot. */
function head(key: string): string {
  return key.split(/[.[]/)[0]!;
}

/** By how much a key differs from a known one, apart from case, dashes and the like. */
function mistakes(key: string, known: string): number {
  return Math.min(...spellings(key).map((spelling) => distance(spelling, letters(known))));
}

/** A key's letters, also without the construct's prop that it may be written below. */
function spellings(key: string): string[] {
  const below = /^(?:github|monitoring)[.\-_](.+)$/i.exec(key)?.[1];
  return [key, ...(below === undefined ? [] : [below])].map(letters);
}

function letters(key: string): string {
  return key.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** The name that is the nearest, where one is near: two letters in five may differ, or be left out at an end. */
function meantBy(
  key: string,
  names: readonly (readonly [name: string, shown: string])[],
): string | undefined {
  const written = letters(key);
  const [best] = names
    .map(([name, shown]) => {
      const known = letters(name);
      const isLong = written.length >= 3;
      const costs = [
        mistakes(key, name),
        // More often the end is left out than the beginning.
        ...(isLong && known.startsWith(written) ? [1] : []),
        ...(isLong && known.endsWith(written) ? [1.5] : []),
      ];
      return { shown, cost: Math.min(...costs) };
    })
    .sort((a, b) => a.cost - b.cost);
  return best !== undefined && best.cost <= Math.ceil(written.length * 0.4)
    ? best.shown
    : undefined;
}

function asJson(value: unknown): unknown {
  if (typeof value !== "string") {
    return value;
  }
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}
