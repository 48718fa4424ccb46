import { checkGroups, checkOwners, groupNames } from "./audience-checks";
import { checkApp, checkInstallations, Finding } from "./checks";
import { App, GitHubApp, GitHubError, Installation } from "./github-app";
import { Options } from "./options";
import { Audience, Deployment, nameOf, Policy, same, servesAccount } from "./policy";

/**
 * Asks GitHub whether id and key belong together, whether the App may do what it must, and whether
 * GitHub's settings let in just those whose jobs the deployment runs.
 */
export async function checkAtGitHub(
  github: GitHubApp,
  options: Options,
  appId: string,
  { policy, audiences }: Deployment,
): Promise<Finding[]> {
  const scope = options.scope ?? policy?.scope ?? "repository";
  const app = await github.app().catch((error: unknown) => {
    if (error instanceof GitHubError && (error.status === 401 || error.status === 404)) {
      throw new Error(
        `GitHub does not know App ${appId} with this key (${error.message}). ` +
          "Take the id from App settings → About, and a key from the same page.",
      );
    }
    throw error;
  });
  const installations = await github.installations();
  return [
    { ok: true, text: `App ${app.slug} (${app.id}) at ${options.apiUrl}` },
    ...checkApp(app, scope),
    ...checkInstallations(app, installations, scope),
    ...(policy === undefined
      ? [notDeployed(options)]
      : [
          ...checkOwners(app, await github.isPublic(app.slug), installations, policy),
          ...(scope === "organization"
            ? await checkOrganizations(github, app, installations, policy, audiences)
            : []),
        ]),
  ];
}

/** Says that there is nothing yet to compare GitHub's settings with. */
function notDeployed({ check, prefix }: Options): Finding {
  return {
    ok: !check,
    text: `/${prefix}/policy is not in Parameter Store, so it is not known here whose jobs are run`,
    fix: "npx cdk deploy writes it; then run scripts/setup --check",
  };
}

/** Compares the runner groups of each organization that is served. */
async function checkOrganizations(
  github: GitHubApp,
  app: App,
  installations: readonly Installation[],
  policy: Policy,
  published: readonly Audience[] | undefined,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (published === undefined) {
    findings.push({
      ok: true,
      text: "which runners are for which repositories is compared after the first sweep, in five minutes",
    });
  }
  const audiences = published ?? [{ family: "every kind" }];
  for (const { id, account, target_type, suspended_at } of installations) {
    const isOrganization = target_type === "Organization" && account !== null;
    if (!isOrganization || suspended_at !== null || !servesAccount(policy, account)) {
      continue;
    }
    const organization = nameOf(account);
    try {
      const token = await github.groupsToken(id);
      const wanted = groupNames(policy, audiences, organization);
      const groups = (await github.runnerGroups(organization, token)).filter((group) =>
        wanted.some((name) => same(name, group.name)),
      );
      const withRepositories = await Promise.all(
        groups.map(async (group) => ({
          ...group,
          repositories:
            group.visibility === "selected"
              ? await github.groupRepositories(organization, group.id, token)
              : [],
        })),
      );
      findings.push(...checkGroups(policy, audiences, organization, withRepositories));
    } catch (error) {
      if (!(error instanceof GitHubError)) {
        throw error;
      }
      findings.push({
        ok: false,
        text: `the runner groups of ${organization} can't be read: ${error.message}`,
        fix: `${organization} accepts the permission Self-hosted runners: ${app.html_url}`,
      });
    }
  }
  return findings;
}
