import { Token } from "aws-cdk-lib";
import { apiAddress } from "./github-url";
import { invalidProp, oneOf } from "./invalid-prop";
import { requiredAlternatives } from "./required-labels";

/** Where GitHub is, and whose jobs are run. */
export interface GitHubProps {
  /**
   * The API's address: github.com, `https://HOST/api/v3` for Enterprise Server, or
   * `https://api.SUBDOMAIN.ghe.com`.
   * @default "https://api.github.com"
   */
  readonly apiUrl?: string;
  /**
   * Whether runners are registered at the repository of their job or at its organization. The
   * App needs `administration: write` for the one, `organization_self_hosted_runners: write` for
   * the other.
   * @default "repository"
   */
  readonly scope?: "repository" | "organization";
  /**
   * Name of the runner group that runners join at organization scope.
   * @default "Default"
   */
  readonly runnerGroup?: string;
  /**
   * How a runner is registered: by a just-in-time configuration, or by a registration token for
   * an Enterprise Server that knows no just-in-time runners.
   * @default "jit"
   */
  readonly registration?: "jit" | "token";
  /**
   * Owners whose jobs are run, by name or as `name:id`, or `["*"]` for all that install the App.
   * Required, unless `allowedRepositories` is given: a public App would serve strangers.
   * @default - those of the allowed repositories
   */
  readonly allowedOwners?: readonly string[];
  /**
   * Repositories whose jobs are run, as `owner/name`.
   * @default - all of the allowed owners
   */
  readonly allowedRepositories?: readonly string[];
  /**
   * Whether jobs of public repositories are run. Anybody can open a pull request there and so run
   * code on a runner.
   * @default false
   */
  readonly allowPublicRepositories?: boolean;
  /**
   * Whether jobs of internal repositories are run: all members of the enterprise can read them.
   * @default false
   */
  readonly allowInternalRepositories?: boolean;
  /**
   * Whether jobs run the code of forks: runs of pull requests from another repository. Without it,
   * each such run costs a call at GitHub.
   * @default true
   */
  readonly allowForks?: boolean;
  /**
   * Labels that a job must ask for, alternatives between `|`: `["self-hosted | group:Fargate"]`.
   * `group:NAME` accepts all jobs without labels, because GitHub does not tell the group of a job.
   * @default ["self-hosted"]
   */
  readonly requiredLabels?: readonly string[];
  /**
   * How many calls at GitHub each sweep, one in five minutes, may spend on queued jobs in
   * `allowedRepositories` whose webhook GitHub never sent. A repository takes two and one per run.
   * @default 0, such jobs are not looked for
   */
  readonly reconcileCalls?: number;
  /**
   * Whether a job that is given up leaves a neutral check run with its cause. The App needs
   * `checks: write`. Readers of the repository see the account's number and the region.
   * @default false
   */
  readonly checkRuns?: boolean;
  /**
   * Whether GitHub is inside the runners' network: an Enterprise Server that is reached from there
   * alone. The functions that call it then run there too.
   * @default false
   */
  readonly insideNetwork?: boolean;
}

/** The same with the defaults filled in and checked. */
export function resolveGitHub(props: GitHubProps): Required<GitHubProps> {
  const apiUrl = apiAddress("github.apiUrl", props.apiUrl ?? "https://api.github.com");
  const allowedOwners = resolveOwners(props);
  for (const owner of allowedOwners) {
    const later = Token.isUnresolved(owner);
    if (!later && !/^([A-Za-z0-9-]+(_[A-Za-z0-9]+)?(:[1-9]\d{0,17})?|\*)$/.test(owner)) {
      const allowed = "names of users or organizations, or name:id as in octo:583231";
      throw invalidProp("github.allowedOwners", owner, allowed);
    }
  }
  checkRepositories(props.allowedRepositories, allowedOwners);
  const reconcileCalls = props.reconcileCalls ?? 0;
  if (!Number.isInteger(reconcileCalls) || reconcileCalls < 0 || reconcileCalls > 400) {
    const allowed = "a whole number from 0 to 400, of an installation's 5,000 calls an hour";
    throw invalidProp("github.reconcileCalls", reconcileCalls, allowed);
  }
  if (reconcileCalls > 0 && !props.allowedRepositories?.length) {
    const needed = "a list of repositories, which github.reconcileCalls looks into";
    throw invalidProp("github.allowedRepositories", props.allowedRepositories, needed);
  }
  const scope = oneOf("github.scope", props.scope ?? "repository", ["repository", "organization"]);
  checkRunnerGroup(props.runnerGroup, scope);
  const runnerGroup = props.runnerGroup ?? "Default";
  const requiredLabels = props.requiredLabels ?? ["self-hosted"];
  if (requiredLabels.length === 0) {
    const needed = "at least one label; leave it out for 'self-hosted'";
    throw invalidProp("github.requiredLabels", requiredLabels, needed);
  }
  requiredAlternatives(requiredLabels, { scope, runnerGroup });
  return {
    apiUrl,
    scope,
    runnerGroup,
    registration: oneOf("github.registration", props.registration ?? "jit", ["jit", "token"]),
    allowedOwners,
    allowedRepositories: props.allowedRepositories ?? [],
    allowPublicRepositories: props.allowPublicRepositories ?? false,
    allowInternalRepositories: props.allowInternalRepositories ?? false,
    allowForks: props.allowForks ?? true,
    requiredLabels,
    reconcileCalls,
    checkRuns: props.checkRuns ?? false,
    insideNetwork: props.insideNetwork ?? false,
  };
}

/** Refuses repositories of which no job can come. */
function checkRepositories(
  repositories: readonly string[] | undefined,
  owners: readonly string[],
): void {
  const prop = "github.allowedRepositories";
  if (repositories?.length === 0 && owners.length > 0) {
    throw invalidProp(prop, [], "at least one repository; leave it out for all of the owners");
  }
  const names = owners.map((owner) => owner.split(":")[0]!.toLowerCase());
  for (const repository of repositories ?? []) {
    // A function that can't read one of them answers no webhook at all.
    if (!/^[A-Za-z0-9_.-]+\/(?!\.\.?$)[A-Za-z0-9_.-]+$/.test(repository)) {
      const allowed = repository.endsWith("/*")
        ? `repositories as owner/name; '${repository.slice(0, -2)}' in github.allowedOwners stands for all of them`
        : "repositories as owner/name";
      throw invalidProp(prop, repository, allowed);
    }
    // An owner that is given with its id may have another name by now.
    const known = names.includes(repository.split("/")[0]!.toLowerCase());
    const all = names.includes("*") || owners.some((owner) => owner.includes(":"));
    if (names.length > 0 && !known && !all) {
      const allowed = "repositories of github.allowedOwners, because a job has to pass both lists";
      throw invalidProp(prop, repository, allowed);
    }
  }
}

function checkRunnerGroup(runnerGroup: string | undefined, scope: string): void {
  if (runnerGroup === undefined) {
    return;
  }
  if (scope !== "organization") {
    const allowed = "nothing, unless github.scope is 'organization': a repository has no groups";
    throw invalidProp("github.runnerGroup", runnerGroup, allowed);
  }
  if (runnerGroup.trim() === "" || runnerGroup.trim() !== runnerGroup) {
    const allowed = "the group's name, without spaces around it";
    throw invalidProp("github.runnerGroup", runnerGroup, allowed);
  }
}

/** The owners, `*` where all are meant: that has to be said. None where the repositories say it. */
function resolveOwners({ allowedOwners, allowedRepositories }: GitHubProps): readonly string[] {
  const needed = "names of users or organizations, or ['*'] for all that install the App";
  if (!allowedOwners?.length) {
    if (!allowedRepositories?.length) {
      throw invalidProp("github.allowedOwners", allowedOwners, needed);
    }
    return [];
  }
  if (allowedOwners.includes("*") && allowedOwners.length > 1) {
    throw invalidProp("github.allowedOwners", allowedOwners, needed);
  }
  return allowedOwners;
}
