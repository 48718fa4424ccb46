import { Finding } from "./checks";
import { App, GroupRepository, Installation, RunnerGroup } from "./github-app";
import {
  Audience,
  nameOf,
  Policy,
  repositoriesOf,
  same,
  servesAccount,
  servesVisibility,
} from "./policy";

/** How many names a finding lists. */
const NAMES = 8;

/** Whether strangers may install the App, and whether some have. */
export function checkOwners(
  app: App,
  isPublic: boolean | undefined,
  installations: readonly Installation[],
  policy: Policy,
): Finding[] {
  const served = list(policy.owners.length > 0 ? policy.owners : policy.repositories);
  const strangers = installations.filter(
    ({ account }) => account === null || !servesAccount(policy, account),
  );
  return [
    checkVisibility(app, isPublic, installations, policy),
    ...strangers.map(({ id, account }): Finding => ({
      ok: false,
      text: `installation ${id} (${nameOf(account)}) is of nobody whose jobs are run: ${served}`,
      fix: "name the account in allowedOwners and deploy, or have it uninstall the App",
    })),
  ];
}

function checkVisibility(
  app: App,
  isPublic: boolean | undefined,
  installations: readonly Installation[],
  policy: Policy,
): Finding {
  const makePrivate =
    `App settings of ${app.html_url} → Advanced → Make private; its own account ` +
    "can still install it";
  if (isPublic === undefined) {
    return { ok: true, text: "whether the App is public can't be seen at this GitHub" };
  }
  if (!isPublic) {
    return { ok: true, text: `the App is private: only ${nameOf(app.owner)} can install it` };
  }
  if (policy.owners.includes("*")) {
    return {
      ok: false,
      text: "the App is public and allowedOwners is *: whoever installs it has jobs run here",
      fix: `name the owners in allowedOwners and deploy; or ${makePrivate}`,
    };
  }
  const others = installations.filter(
    ({ account }) =>
      account !== null && account.id !== app.owner.id && servesAccount(policy, account),
  );
  return others.length > 0
    ? {
        ok: true,
        text:
          `the App is public, as it must be for ${list(others.map(({ account }) => nameOf(account)))}: ` +
          "anybody may install it, but no job of theirs is run",
      }
    : {
        ok: false,
        text: "the App is public: anybody may install it",
        fix: makePrivate,
      };
}

/** A runner group with the repositories that it lists. */
export interface GroupWithRepositories extends RunnerGroup {
  readonly repositories: readonly GroupRepository[];
}

/** The runner groups that a deployment's runners join at an organization, by name. */
export function groupNames(
  policy: Policy,
  audiences: readonly Audience[],
  organization: string,
): string[] {
  const names = audiences
    .filter((audience) => repositoriesOf(policy, audience, organization)?.length !== 0)
    .map(({ runnerGroup }) => runnerGroup ?? policy.runnerGroup);
  return names.filter((name, index) => names.findIndex((other) => same(other, name)) === index);
}

/**
 * Whether the runner groups of an organization admit just the repositories whose jobs are run. GitHub
 * gives an idle runner to any job that its group admits, whatever our lists say.
 */
export function checkGroups(
  policy: Policy,
  audiences: readonly Audience[],
  organization: string,
  groups: readonly GroupWithRepositories[],
): Finding[] {
  return groupNames(policy, audiences, organization).flatMap((name): Finding[] => {
    const members = audiences.filter(
      (audience) =>
        same(audience.runnerGroup ?? policy.runnerGroup, name) &&
        repositoriesOf(policy, audience, organization)?.length !== 0,
    );
    const group = groups.find((candidate) => same(candidate.name, name));
    if (group === undefined) {
      return [
        {
          ok: false,
          text: `${organization} has no runner group ${name}, so no runner of ${families(members)} can be registered`,
          fix: `make it: ${settings(organization)} → New runner group`,
        },
      ];
    }
    const findings = [
      ...byAudience(policy, members, organization).flatMap((alike) =>
        checkGroup(policy, alike, organization, group),
      ),
      ...checkPublic(policy, organization, group),
    ];
    const all = findings.length > 0 ? findings : [fits(organization, group)];
    return [...all, ...workflows(organization, group)];
  });
}

/** Audiences of the same repositories, together: they get one finding. */
function byAudience(
  policy: Policy,
  audiences: readonly Audience[],
  organization: string,
): Audience[][] {
  const alike = new Map<string, Audience[]>();
  for (const audience of audiences) {
    const names = repositoriesOf(policy, audience, organization);
    const key =
      names === undefined
        ? "*"
        : names
            .map((name) => name.toLowerCase())
            .sort()
            .join(" ");
    alike.set(key, [...(alike.get(key) ?? []), audience]);
  }
  return [...alike.values()];
}

function checkGroup(
  policy: Policy,
  audiences: readonly Audience[],
  organization: string,
  group: GroupWithRepositories,
): Finding[] {
  const wanted = repositoriesOf(policy, audiences[0]!, organization);
  const where = `runner group ${group.name} of ${organization}`;
  const runners = `runners of ${families(audiences)}`;
  if (group.visibility !== "selected") {
    return wanted === undefined
      ? []
      : [
          {
            ok: false,
            text:
              `${where} admits all ${group.visibility === "private" ? "private " : ""}repositories, ` +
              `but ${runners} are for ${list(wanted)}: GitHub may give them jobs of others`,
            fix: `${change(organization, group)}: select ${list(wanted)}; or give them a runnerGroup of their own`,
          },
        ];
  }
  if (wanted === undefined) {
    return [
      {
        ok: false,
        text:
          `${where} admits only ${list(group.repositories.map((one) => one.full_name))}, but ${runners} ` +
          "are started for all: for jobs of others in vain",
        fix: `name those in allowedRepositories and deploy; or ${change(organization, group)}: All repositories`,
      },
    ];
  }
  const extra = group.repositories.filter(
    (repository) => !wanted.some((name) => same(name, repository.full_name)),
  );
  const missing = wanted.filter(
    (name) => !group.repositories.some((repository) => same(name, repository.full_name)),
  );
  return [
    ...(extra.length === 0
      ? []
      : [
          {
            ok: false,
            text: `${where} also admits ${list(extra.map((one) => one.full_name))}: GitHub may give their jobs to ${runners}`,
            fix: `${change(organization, group)}: take them out; or serve them by allowedRepositories and the runner's repositories`,
          },
        ]),
    ...(missing.length === 0
      ? []
      : [
          {
            ok: false,
            text: `${where} does not admit ${list(missing)}: ${runners} are started for their jobs in vain`,
            fix: `${change(organization, group)}: add them`,
          },
        ]),
  ];
}

/** Whether the group admits repositories of a visibility that is not served, or the other way round. */
function checkPublic(
  policy: Policy,
  organization: string,
  group: GroupWithRepositories,
): Finding[] {
  const where = `runner group ${group.name} of ${organization}`;
  if (group.visibility === "selected") {
    const admitted = group.repositories.filter(
      (one) => one.private || group.allows_public_repositories,
    );
    const refused = admitted.filter((one) => !servesVisibility(policy, one));
    return refused.length === 0
      ? []
      : [
          {
            ok: false,
            text:
              `${where} admits ${list(refused.map((one) => `${one.full_name} (${one.visibility ?? "public"})`))}, ` +
              "whose jobs are not run here for their visibility",
            fix: `${change(organization, group)}: take them out; or set allowPublicRepositories or allowInternalRepositories`,
          },
        ];
  }
  const admitsPublic = group.visibility === "all" && group.allows_public_repositories;
  if (admitsPublic === policy.visibilities.public) {
    return [];
  }
  return [
    admitsPublic
      ? {
          ok: false,
          text: `${where} admits public repositories, whose jobs are not run here: GitHub may give them a runner`,
          fix: `${change(organization, group)}: untick "Allow public repositories"`,
        }
      : {
          ok: false,
          text: `${where} does not admit public repositories: runners are started for their jobs in vain`,
          fix: `set allowPublicRepositories to false and deploy; or ${change(organization, group)}: All repositories, "Allow public repositories"`,
        },
  ];
}

function fits(
  organization: string,
  { name, visibility, repositories }: GroupWithRepositories,
): Finding {
  const whose =
    visibility === "selected" ? list(repositories.map((one) => one.full_name)) : "all repositories";
  return { ok: true, text: `runner group ${name} of ${organization} admits ${whose}, as here` };
}

function workflows(organization: string, group: RunnerGroup): Finding[] {
  return group.restricted_to_workflows
    ? [
        {
          ok: true,
          text:
            `runner group ${group.name} of ${organization} runs only ${list(group.selected_workflows ?? [])}: ` +
            "jobs of other workflows wait for ever",
        },
      ]
    : [];
}

function settings(organization: string): string {
  return `settings of ${organization} → Actions → Runner groups`;
}

function change(organization: string, group: RunnerGroup): string {
  return group.inherited
    ? `runner group ${group.name} in the enterprise's settings`
    : `${settings(organization)} → ${group.name}`;
}

function families(audiences: readonly Audience[]): string {
  return list(audiences.map(({ family }) => family));
}

function list(names: readonly string[]): string {
  const more = names.length - NAMES;
  return names.length === 0
    ? "none"
    : `${names.slice(0, NAMES).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
