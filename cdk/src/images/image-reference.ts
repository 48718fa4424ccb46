import { Token } from "aws-cdk-lib";
import { invalidProp } from "../invalid-prop";

// As registries and Docker read a reference:
// https://pkg.go.dev/github.com/distribution/reference#pkg-overview
const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
// The first part is a host only where it can't be taken for a path.
const HOST = `(?=[^/]*[.:]|localhost/)${LABEL}(?:\\.${LABEL})*(?::\\d+)?`;
const PART = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const TAG = "\\w[\\w.-]{0,127}";
const DIGEST = "sha256:[0-9a-f]{64}";
const REFERENCE = new RegExp(`^(?:${HOST}/)?(?:${PART}(?:/${PART})*)(?::${TAG})?(?:@${DIGEST})?$`);
/** ECS takes no longer one. */
const LONGEST = 255;

/** A private repository of ECR. */
const ECR =
  /^(?<account>\d{12})\.dkr\.ecr\.(?<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\/(?<name>[^:@]+)(?::(?<tag>[^@]+))?(?:@(?<digest>.+))?$/;

/** An image in a private repository of ECR. */
export interface EcrImage {
  /** The account that the repository is in. */
  readonly account: string;
  /** The region that the repository is in. */
  readonly region: string;
  /** The repository's name. */
  readonly name: string;
  /** Tag or digest; the digest where both are given. */
  readonly version: string;
}

/**
 * Reads an image's URI: as one of ECR, or nothing where it is in another registry.
 *
 * @param prop the prop's name, for the error
 */
export function readImage(prop: string, uri: string): EcrImage | undefined {
  if (Token.isUnresolved(uri)) {
    return undefined;
  }
  if (!REFERENCE.test(uri) || uri.length > LONGEST) {
    const allowed =
      "an image as HOST/NAME:TAG or HOST/NAME@sha256:DIGEST, without a scheme, the name in lower case";
    throw invalidProp(prop, uri, allowed);
  }
  const ecr = ECR.exec(uri)?.groups;
  if (ecr === undefined) {
    if (/^[^/]*\bdkr\b[^/]*\.amazonaws\.com(\.cn)?\//.test(uri)) {
      const allowed = "an image in ECR as ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG";
      throw invalidProp(prop, uri, `${allowed}, the account in twelve digits`);
    }
    return undefined;
  }
  const { account, region, name, tag, digest } = ecr;
  return { account: account!, region: region!, name: name!, version: digest ?? tag ?? "latest" };
}
