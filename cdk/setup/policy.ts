import { inflateRawSync } from "node:zlib";
import { PublishedPolicy } from "../src/policy-parameter";
import { Scope } from "./checks";
import { Account, GroupRepository } from "./github-app";
import { Parameters } from "./parameters";

/** Far beyond any catalogue that fits a parameter. */
const INFLATED_LIMIT = 1024 * 1024;

/** Whose jobs a deployment runs. */
export interface Policy {
  /** Where its runners are registered. */
  readonly scope: Scope;
  /** Runner group of runners that name none. */
  readonly runnerGroup: string;
  /** `name` or `name:id`; `*` for everybody; none where the repositories say it. */
  readonly owners: readonly string[];
  /** `owner/name`; none for all. */
  readonly repositories: readonly string[];
  /** Whether public and internal repositories are served. */
  readonly visibilities: { readonly public: boolean; readonly internal: boolean };
}

/** A kind of runner, and who may use it. */
export interface Audience {
  /** Family of its task definition. */
  readonly family: string;
  /** Runner group of its runners; the deployment's where there is none. */
  readonly runnerGroup?: string;
  /** `owner/name`, or `owner/` for all of an owner's; nothing for all. */
  readonly repositories?: readonly string[];
}

/** What a deployment tells of itself. */
export interface Deployment {
  /** Nothing before its stack has written it. */
  readonly policy?: Policy;
  /** Its kinds of runners; nothing before the first sweep. */
  readonly audiences?: readonly Audience[];
}

/** Reads what a deployment tells of itself. */
export async function readDeployment(parameters: Parameters, prefix: string): Promise<Deployment> {
  const [policy, catalogue] = [`/${prefix}/policy`, `/${prefix}/catalogue`];
  const found = await parameters.published([policy, catalogue]);
  return {
    policy: parsePolicy(found.get(policy)),
    audiences: parseCatalogue(found.get(catalogue)),
  };
}

function parsePolicy(text: string | undefined): Policy | undefined {
  if (text === undefined) {
    return undefined;
  }
  const policy = JSON.parse(text) as PublishedPolicy;
  const words = (list: string) => list.split(/[\s,]+/).filter((word) => word !== "");
  return {
    scope: policy.scope,
    runnerGroup: policy.runnerGroup,
    owners: words(policy.allowedOwners),
    repositories: words(policy.allowedRepositories),
    visibilities: {
      public: policy.allowPublicRepositories,
      internal: policy.allowInternalRepositories,
    },
  };
}

/** Reads the offers that `sweep` publishes; `crates/catalogue/src/published.rs` writes them. */
export function parseCatalogue(text: string | undefined): Audience[] | undefined {
  const packed = /^v\d+:(.+)$/s.exec(text?.trim() ?? "")?.[1];
  if (packed === undefined) {
    return undefined;
  }
  const json = inflateRawSync(Buffer.from(packed, "base64"), { maxOutputLength: INFLATED_LIMIT });
  const { families } = JSON.parse(json.toString("utf8")) as { families: Audience[] };
  return families.map(({ family, runnerGroup, repositories }) => ({
    family,
    runnerGroup,
    repositories,
  }));
}

/** Whether two names are one to GitHub. */
export function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** How an account is called. */
export function nameOf(account: Account | null): string {
  return account?.login ?? account?.slug ?? "unknown";
}

/** Whether an account's jobs are run, as far as its repositories don't matter. */
export function servesAccount(policy: Policy, account: Account): boolean {
  const name = nameOf(account);
  if (policy.owners.length === 0) {
    return policy.repositories.some((repository) => same(repository.split("/")[0]!, name));
  }
  return policy.owners.some((owner) => {
    const [ownersName, id] = owner.split(":");
    return (
      owner === "*" || (id === undefined ? same(ownersName!, name) : Number(id) === account.id)
    );
  });
}

/**
 * The repositories of an organization whose jobs a kind of runner takes; nothing if that is all of
 * them. Whether they are public or internal is not looked at.
 */
export function repositoriesOf(
  policy: Policy,
  { repositories: patterns }: Audience,
  organization: string,
): string[] | undefined {
  const own = (names: readonly string[]) =>
    names.filter((name) => same(name.split("/")[0]!, organization));
  const everywhere = patterns === undefined || own(patterns).some((name) => name.endsWith("/"));
  if (policy.repositories.length > 0) {
    return own(policy.repositories).filter(
      (name) => everywhere || patterns.some((pattern) => same(pattern, name)),
    );
  }
  return everywhere ? undefined : own(patterns);
}

/** Whether jobs of a repository of this visibility are run. */
export function servesVisibility(policy: Policy, repository: GroupRepository): boolean {
  const { visibility = repository.private ? "private" : "public" } = repository;
  return visibility === "private" || policy.visibilities[visibility as "public" | "internal"];
}
