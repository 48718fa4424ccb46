import { Token } from "aws-cdk-lib";
import { invalidProp } from "../invalid-prop";

/**
 * What no proxy can reach: this container, and the addresses at which ECS and EC2 give credentials.
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
 */
const NEVER = ["localhost", "127.0.0.1", "169.254.170.2", "169.254.169.254"];

/** A third of what Lambda holds of variables, which are 4 KB. */
const MOST_BYTES = 1024;

/** What the agent and the functions read as a proxy, whatever else a URL may be; `crates/runtime` has the same. */
const PLAIN = /^http:\/\/([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:\d+)?\/?$/i;

const LABEL = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?";
const DOMAIN = new RegExp(`^\\.?${LABEL}(\\.${LABEL})*$`);

/** A forward proxy, checked. */
export interface Proxy {
  /** `http://HOST:PORT`. */
  readonly url: string;
  /** Hosts and domains that are reached without it. */
  readonly except: readonly string[];
}

/** The proxy that the props `proxy` and `noProxy` name. */
export function readProxy(
  proxy: string | undefined,
  noProxy: readonly string[] | undefined,
): Proxy | undefined {
  if (proxy === undefined) {
    if (noProxy !== undefined) {
      throw invalidProp("noProxy", noProxy, "nothing without proxy");
    }
    return undefined;
  }
  if (!Token.isUnresolved(proxy)) {
    checkProxy(proxy);
  }
  for (const host of noProxy ?? []) {
    if (!Token.isUnresolved(host) && (!DOMAIN.test(host) || /^[\d.]+$/.test(host))) {
      const allowed =
        "hosts and domains, as git.example.org or .example.org; addresses, ports, ranges and '*' are not read by all of runner, agent and functions";
      throw invalidProp("noProxy", host, allowed);
    }
  }
  const bytes = Buffer.byteLength((noProxy ?? []).join(","));
  if (bytes > MOST_BYTES) {
    const allowed = `${MOST_BYTES} bytes, because Lambda holds 4096 of all variables; name domains instead of their hosts`;
    throw invalidProp("noProxy", `${noProxy!.length} entries of ${bytes} bytes`, allowed);
  }
  // Their case means nothing, but not all that read them know.
  const folded = (text: string) => (Token.isUnresolved(text) ? text : text.toLowerCase());
  return { url: folded(proxy), except: (noProxy ?? []).map(folded) };
}

function checkProxy(given: string): void {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const example = "as http://proxy.example.org:3128";
  if (url !== undefined && (url.username !== "" || url.password !== "")) {
    const shown = `${url.protocol}//…@${url.host}`;
    const allowed = `a URL without user and password, ${example}: every job and every reader of the template would see them; let the proxy admit the runners by their addresses or security group`;
    throw invalidProp("proxy", shown, allowed);
  }
  if (url?.protocol !== "http:" || !/^http:\/\//i.test(given)) {
    const allowed = `an http:// URL of host and port, ${example}: the runner speaks to the proxy in plain HTTP, and TLS inside of that with GitHub itself`;
    throw invalidProp("proxy", given, allowed);
  }
  if (!PLAIN.test(given)) {
    throw invalidProp("proxy", given, `host and port alone, ${example}`);
  }
}

/**
 * The variables of a proxy, as GitHub's runner reads them.
 *
 * https://docs.github.com/actions/how-tos/manage-runners/self-hosted-runners/use-proxy-servers
 *
 * @param endpoints hosts of AWS that the network has a way of its own to
 */
export function proxyVariables(
  { url, except }: Proxy,
  endpoints: readonly string[],
): Record<string, string> {
  return {
    https_proxy: url,
    http_proxy: url,
    no_proxy: [...NEVER, ...endpoints, ...except].join(","),
  };
}
