import { Token } from "aws-cdk-lib";
import { invalidProp } from "./invalid-prop";

const GITHUB = "https://api.github.com";
/** Plain HTTP only to this machine: the stand-in of the local stack listens there. */
const THIS_MACHINE = /^(127\.0\.0\.1|localhost)$/;

/**
 * The API's address without a slash at its end, checked: an address of GitHub's pages is answered, but
 * every call to it fails.
 *
 * https://docs.github.com/rest/using-the-rest-api/getting-started-with-the-rest-api names the address
 * of each kind of GitHub.
 *
 * @param prop the prop's name, for the error
 */
export function apiAddress(prop: string, given: string): string {
  if (Token.isUnresolved(given)) {
    return given;
  }
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const local = url?.protocol === "http:" && THIS_MACHINE.test(url.hostname);
  if (url === undefined || !(url.protocol === "https:" || local)) {
    throw invalidProp(prop, given, "an https:// URL, for example https://HOST/api/v3");
  }
  if (url.username !== "" || url.search !== "" || url.hash !== "") {
    throw invalidProp(prop, `${url.origin}/…`, "an address of host and path alone");
  }
  const address = given.replace(/\/+$/, "");
  const [meant, where] = local ? [address, ""] : meantBy(url);
  if (address.toLowerCase() !== meant) {
    throw invalidProp(prop, given, `${meant}, ${where}`);
  }
  // Of a path the case counts.
  return meant;
}

/** Whether an address is on the internet: of github.com, or of an enterprise at ghe.com. */
export function isOnInternet(address: string): boolean {
  if (!URL.canParse(address)) {
    return false;
  }
  const { hostname } = new URL(address);
  return hostname === "api.github.com" || hostname.endsWith(".ghe.com");
}

/** The address of the API of the GitHub that an address belongs to, and a reason. */
function meantBy({ hostname: given, host: at }: URL): [meant: string, where: string] {
  // A certificate has no name that ends in a dot.
  const [hostname, host] = [given.replace(/\.$/, ""), at.replace(/\.(?=:|$)/, "")];
  if (/^(.+\.)?github\.com$/.test(hostname)) {
    return [GITHUB, "where github.com has its API"];
  }
  const tenant = /^(?:api\.)?([^.]+)\.ghe\.com$/.exec(hostname)?.[1];
  if (tenant !== undefined || /^(.+\.)?ghe\.com$/.test(hostname)) {
    const subdomain = tenant ?? "SUBDOMAIN";
    return [`https://api.${subdomain}.ghe.com`, "where an enterprise at ghe.com has its API"];
  }
  return [`https://${host}/api/v3`, "where an Enterprise Server has its API"];
}
