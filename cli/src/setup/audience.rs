//! Whether GitHub's settings let in just those whose jobs the deployment runs. Pure.

use std::collections::BTreeMap;

use github::{AppProfile, GroupRepository, Installed, RunnerGroup};

use super::app::place;
use super::policy::{Audience, Policy, same, visibility};
use crate::finding::Finding;

/// How many names a finding lists.
const NAMES: usize = 8;

/// A runner group with the repositories that it lists.
#[derive(Clone, Debug)]
pub struct Group {
    pub group: RunnerGroup,
    /// Nothing where they were not asked for.
    pub repositories: Option<Vec<GroupRepository>>,
}

/// Whether strangers may install the App, and whether some have.
pub fn check_owners(
    app: &AppProfile,
    public: Option<bool>,
    installations: &[Installed],
    policy: &Policy,
) -> Vec<Finding> {
    let mut findings = vec![check_public_app(app, public, installations, policy)];
    findings.extend(strangers(installations, policy));
    findings
}

/// Installations of accounts whose jobs are not run.
pub fn strangers(installations: &[Installed], policy: &Policy) -> Vec<Finding> {
    let owners = policy.owners();
    let served = if owners.is_empty() {
        policy.repositories()
    } else {
        owners
    };
    installations
        .iter()
        .filter(|installation| {
            let account = installation.account.as_ref();
            account.is_none_or(|account| !policy.serves_account(account))
        })
        .map(|installation| {
            Finding::bad(
                format!(
                    "{} is of nobody whose jobs are run: {}",
                    place(installation),
                    list(&served)
                ),
                "name the account in allowedOwners and deploy, or have it uninstall the App",
            )
        })
        .collect()
}

fn check_public_app(
    app: &AppProfile,
    public: Option<bool>,
    installations: &[Installed],
    policy: &Policy,
) -> Finding {
    let make_private = format!(
        "App settings of {} → Advanced → Make private; its own account can still install it",
        app.html_url
    );
    match public {
        None => return Finding::note("whether the App is public cannot be seen at this GitHub"),
        Some(false) => {
            return Finding::good(format!(
                "the App is private: only {} can install it",
                app.owner.name
            ));
        }
        Some(true) => {}
    }
    if policy.owners().contains(&"*") {
        return Finding::bad(
            "the App is public and allowedOwners is *: whoever installs it has jobs run here",
            format!("name the owners in allowedOwners and deploy; or {make_private}"),
        );
    }
    let accounts = installations.iter().filter_map(|one| one.account.as_ref());
    let others: Vec<&str> = accounts
        .filter(|account| account.id != app.owner.id && policy.serves_account(account))
        .map(|account| account.name.as_str())
        .collect();
    if others.is_empty() {
        Finding::bad("the App is public: anybody may install it", make_private)
    } else {
        Finding::good(format!(
            "the App is public, as it must be for {}: anybody may install it, but no job of theirs is run",
            list(&others)
        ))
    }
}

/// The runner groups that a deployment's runners join at an organization, by name.
pub fn group_names(policy: &Policy, audiences: &[Audience], organization: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for audience in members(policy, audiences, organization) {
        let name = group_of(policy, audience);
        if !names.iter().any(|known| same(known, name)) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Kinds of runners that serve the organization.
fn members<'a>(
    policy: &Policy,
    audiences: &'a [Audience],
    organization: &str,
) -> Vec<&'a Audience> {
    let serves = |audience: &&Audience| {
        let repositories = policy.repositories_of(audience, organization);
        repositories.is_none_or(|repositories| !repositories.is_empty())
    };
    audiences.iter().filter(serves).collect()
}

fn group_of<'a>(policy: &'a Policy, audience: &'a Audience) -> &'a str {
    audience
        .runner_group
        .as_deref()
        .unwrap_or(&policy.runner_group)
}

/// Whether the runner groups of an organization admit just the repositories whose jobs are run. GitHub
/// gives an idle runner to any job that its group admits, whatever our lists say.
pub fn check_groups(
    policy: &Policy,
    audiences: &[Audience],
    organization: &str,
    groups: &[Group],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in group_names(policy, audiences, organization) {
        let members: Vec<_> = members(policy, audiences, organization)
            .into_iter()
            .filter(|audience| same(group_of(policy, audience), &name))
            .collect();
        let Some(group) = groups.iter().find(|one| same(&one.group.name, &name)) else {
            findings.push(Finding::bad(
                format!(
                    "{organization} has no runner group {name}, so no runner of {} can be registered",
                    families(&members)
                ),
                format!("make it: {} → New runner group", settings(organization)),
            ));
            continue;
        };
        let mut found = Vec::new();
        for alike in by_repositories(policy, &members, organization) {
            found.extend(check_group(policy, &alike, organization, group));
        }
        found.extend(check_public(policy, organization, group));
        if found.is_empty() {
            found.push(fits(organization, group));
        }
        findings.extend(found);
        if group.group.restricted_to_workflows {
            findings.push(Finding::note(format!(
                "runner group {name} of {organization} runs only {}: jobs of other workflows wait for ever",
                list(&group.group.selected_workflows)
            )));
        }
    }
    findings
}

/// Audiences of the same repositories, together: they get one finding.
fn by_repositories<'a>(
    policy: &Policy,
    audiences: &[&'a Audience],
    organization: &str,
) -> Vec<Vec<&'a Audience>> {
    let mut alike: BTreeMap<Option<Vec<String>>, Vec<&Audience>> = BTreeMap::new();
    for audience in audiences {
        let key = policy.repositories_of(audience, organization);
        let key = key.map(|names| {
            let mut names: Vec<_> = names.iter().map(|name| name.to_lowercase()).collect();
            names.sort();
            names
        });
        alike.entry(key).or_default().push(audience);
    }
    alike.into_values().collect()
}

fn check_group(
    policy: &Policy,
    audiences: &[&Audience],
    organization: &str,
    Group {
        group,
        repositories,
    }: &Group,
) -> Vec<Finding> {
    let Some(first) = audiences.first() else {
        return Vec::new();
    };
    let wanted = policy.repositories_of(first, organization);
    let place = format!("runner group {} of {organization}", group.name);
    let runners = format!("runners of {}", families(audiences));
    let change = change(organization, group);
    if group.visibility != "selected" {
        let Some(wanted) = wanted else {
            return Vec::new();
        };
        let all = if group.visibility == "private" {
            "all private repositories"
        } else {
            "all repositories"
        };
        return vec![Finding::bad(
            format!(
                "{place} admits {all}, but {runners} are for {}: GitHub may give them jobs of others",
                list(&wanted)
            ),
            format!(
                "{change}: select {}; or give them a runnerGroup of their own",
                list(&wanted)
            ),
        )];
    }
    let Some(repositories) = repositories else {
        return vec![Finding::note(format!(
            "{place} admits selected repositories; `fargate-runners setup --check` compares them"
        ))];
    };
    let names: Vec<&str> = repositories
        .iter()
        .map(|one| one.full_name.as_str())
        .collect();
    let Some(wanted) = wanted else {
        return vec![Finding::bad(
            format!(
                "{place} admits only {}, but {runners} are started for all: for jobs of others in vain",
                list(&names)
            ),
            format!("name those in allowedRepositories and deploy; or {change}: All repositories"),
        )];
    };
    let extra: Vec<_> = names
        .iter()
        .filter(|name| !wanted.iter().any(|one| same(one, name)))
        .collect();
    let missing: Vec<_> = wanted
        .iter()
        .filter(|name| !names.iter().any(|one| same(one, name)))
        .collect();
    let mut findings = Vec::new();
    if !extra.is_empty() {
        findings.push(Finding::bad(
            format!(
                "{place} also admits {}: GitHub may give their jobs to {runners}",
                list(&extra)
            ),
            format!(
                "{change}: take them out; or serve them by allowedRepositories and the runner's repositories"
            ),
        ));
    }
    if !missing.is_empty() {
        findings.push(Finding::bad(
            format!(
                "{place} does not admit {}: {runners} are started for their jobs in vain",
                list(&missing)
            ),
            format!("{change}: add them"),
        ));
    }
    findings
}

/// Whether the group admits repositories of a visibility that is not served, or the other way round.
fn check_public(
    policy: &Policy,
    organization: &str,
    Group {
        group,
        repositories,
    }: &Group,
) -> Vec<Finding> {
    let place = format!("runner group {} of {organization}", group.name);
    let change = change(organization, group);
    if group.visibility == "selected" {
        let listed = repositories.iter().flatten();
        let refused: Vec<_> = listed
            .filter(|one| one.private || group.allows_public_repositories)
            .filter(|one| !policy.serves_visibility(one))
            .map(|one| format!("{} ({})", one.full_name, visibility(one)))
            .collect();
        if refused.is_empty() {
            return Vec::new();
        }
        return vec![Finding::bad(
            format!(
                "{place} admits {}, whose jobs are not run here for their visibility",
                list(&refused)
            ),
            format!(
                "{change}: take them out; or set allowPublicRepositories or allowInternalRepositories"
            ),
        )];
    }
    let admits = group.visibility == "all" && group.allows_public_repositories;
    match (admits, policy.allow_public_repositories) {
        (true, false) => vec![Finding::bad(
            format!(
                "{place} admits public repositories, whose jobs are not run here: GitHub may give them a runner"
            ),
            format!("{change}: untick \"Allow public repositories\""),
        )],
        (false, true) => vec![Finding::bad(
            format!(
                "{place} does not admit public repositories: runners are started for their jobs in vain"
            ),
            format!(
                "set allowPublicRepositories to false and deploy; or {change}: All repositories, \"Allow public repositories\""
            ),
        )],
        _ => Vec::new(),
    }
}

fn fits(
    organization: &str,
    Group {
        group,
        repositories,
    }: &Group,
) -> Finding {
    let names = repositories
        .iter()
        .flatten()
        .map(|one| one.full_name.as_str());
    let admitted = if group.visibility == "selected" {
        list(&names.collect::<Vec<_>>())
    } else {
        "all repositories".to_owned()
    };
    Finding::good(format!(
        "runner group {} of {organization} admits {admitted}, as here",
        group.name
    ))
}

fn settings(organization: &str) -> String {
    format!("settings of {organization} → Actions → Runner groups")
}

fn change(organization: &str, group: &RunnerGroup) -> String {
    if group.inherited {
        format!("runner group {} in the enterprise's settings", group.name)
    } else {
        format!("{} → {}", settings(organization), group.name)
    }
}

fn families(audiences: &[&Audience]) -> String {
    let names: Vec<_> = audiences.iter().map(|one| one.family.as_str()).collect();
    list(&names)
}

fn list(names: &[impl ToString]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<_> = names.iter().take(NAMES).map(ToString::to_string).collect();
    let more = names.len().saturating_sub(NAMES);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Mark;

    fn policy(owners: &str, repositories: &str, public: bool) -> Policy {
        let json = serde_json::json!({
            "scope": "organization", "runnerGroup": "Default", "allowedOwners": owners,
            "allowedRepositories": repositories, "allowPublicRepositories": public,
            "allowInternalRepositories": false,
        });
        Policy::parse("fargate-runners", &json.to_string()).unwrap()
    }

    fn kind(family: &str, repositories: Option<&[&str]>, group: Option<&str>) -> Audience {
        Audience {
            family: family.to_owned(),
            runner_group: group.map(str::to_owned),
            repositories: repositories.map(|some| some.iter().map(ToString::to_string).collect()),
        }
    }

    fn group(name: &str, visibility: &str, repositories: &[(&str, &str)]) -> Group {
        let repositories = repositories
            .iter()
            .map(|(name, visibility)| GroupRepository {
                full_name: (*name).to_owned(),
                private: *visibility != "public",
                visibility: Some((*visibility).to_owned()),
            });
        Group {
            group: RunnerGroup {
                id: 1,
                name: name.to_owned(),
                visibility: visibility.to_owned(),
                allows_public_repositories: false,
                inherited: false,
                restricted_to_workflows: false,
                selected_workflows: Vec::new(),
            },
            repositories: Some(repositories.collect()),
        }
    }

    /// What is to be mended, each with its fix.
    fn faults(policy: &Policy, kinds: &[Audience], groups: &[Group]) -> Vec<String> {
        let findings = check_groups(policy, kinds, "octo", groups);
        let bad = findings.into_iter().filter(|one| one.mark == Mark::Bad);
        bad.map(|one| format!("{} → {}", one.text, one.fix.unwrap()))
            .collect()
    }

    fn everybody() -> Vec<Audience> {
        vec![kind("fr-x64", None, None)]
    }

    #[track_caller]
    fn assert_told(faults: &[String], words: &[&[&str]]) {
        assert_eq!(faults.len(), words.len(), "{faults:#?}");
        for (fault, words) in faults.iter().zip(words) {
            for word in *words {
                assert!(fault.contains(word), "{fault} lacks {word}");
            }
        }
    }

    #[test]
    fn a_group_is_compared_with_the_lists_by_name() {
        let some = policy("octo", "octo/a octo/b elsewhere/c", false);
        let all = group("Default", "all", &[]);
        assert_told(
            &faults(&some, &everybody(), &[all]),
            &[&[
                "Default of octo admits all repositories, but runners of fr-x64 are for octo/a, octo/b",
                "→ settings of octo → Actions → Runner groups → Default: select octo/a, octo/b",
            ]],
        );
        let listed = [("octo/A", "private"), ("octo/b", "private")];
        assert_told(
            &faults(
                &some,
                &everybody(),
                &[group("default", "selected", &listed)],
            ),
            &[],
        );
        let other = [("octo/b", "private"), ("octo/c", "private")];
        assert_told(
            &faults(&some, &everybody(), &[group("Default", "selected", &other)]),
            &[
                &["also admits octo/c", "take them out"],
                &["does not admit octo/a", "add them"],
            ],
        );
        let anybody = policy("octo", "", false);
        let narrow = group("Default", "selected", &[("octo/a", "private")]);
        assert_told(
            &faults(&anybody, &everybody(), &[narrow]),
            &[&[
                "admits only octo/a, but runners of fr-x64 are started for all",
                "name those in allowedRepositories",
            ]],
        );
    }

    #[test]
    fn a_runner_for_some_repositories_needs_a_group_of_its_own() {
        let policy = policy("octo", "", false);
        let mut kinds = everybody();
        kinds.push(kind("fr-deploy", Some(&["octo/infra"]), Some("deployers")));
        kinds.push(kind("fr-big", Some(&["octo/big"]), None));
        kinds.push(kind("fr-hub", Some(&["hub/x"]), Some("Elsewhere")));
        let default = group("Default", "all", &[]);
        let found = faults(&policy, &kinds, std::slice::from_ref(&default));
        assert_told(
            &found,
            &[
                &[
                    "runners of fr-big are for octo/big",
                    "a runnerGroup of their own",
                ],
                &[
                    "octo has no runner group deployers, so no runner of fr-deploy",
                    "make it",
                ],
            ],
        );
        kinds[2] = kind("fr-all", Some(&["octo/"]), None);
        let deployers = group("Deployers", "selected", &[("octo/infra", "private")]);
        assert_told(&faults(&policy, &kinds, &[default, deployers]), &[]);
    }

    #[test]
    fn what_a_group_admits_of_other_visibilities_is_compared() {
        let (closed, open) = (policy("octo", "", false), policy("octo", "", true));
        let mut all = group("Default", "all", &[]);
        all.group.allows_public_repositories = true;
        let told = faults(&closed, &everybody(), std::slice::from_ref(&all));
        assert_told(&told, &[&["admits public repositories", "untick"]]);
        assert_told(&faults(&open, &everybody(), &[all]), &[]);
        let private = group("Default", "private", &[]);
        let told = faults(&open, &everybody(), &[private]);
        assert_told(
            &told,
            &[&["does not admit public", "set allowPublicRepositories"]],
        );
        let listed = policy("octo", "octo/in octo/open", false);
        let repositories = [("octo/in", "internal"), ("octo/open", "public")];
        let mut selected = group("Default", "selected", &repositories);
        let told = faults(&listed, &everybody(), std::slice::from_ref(&selected));
        assert_told(&told, &[&["admits octo/in (internal), whose"]]);
        selected.group.allows_public_repositories = true;
        let told = faults(&listed, &everybody(), &[selected]);
        assert_told(
            &told,
            &[&["admits octo/in (internal), octo/open (public), whose"]],
        );
    }

    #[test]
    fn an_enterprises_group_is_changed_there_and_its_workflows_are_mentioned() {
        let policy = policy("octo", "octo/a", false);
        let mut all = group("Default", "all", &[]);
        all.group.inherited = true;
        all.group.restricted_to_workflows = true;
        all.group.selected_workflows = vec!["octo/a/x.yaml@main".to_owned()];
        let told = faults(&policy, &everybody(), std::slice::from_ref(&all));
        assert_told(
            &told,
            &[&["→ runner group Default in the enterprise's settings: select"]],
        );
        let findings = check_groups(&policy, &everybody(), "octo", &[all]);
        assert!(
            findings
                .iter()
                .any(|one| one.text.contains("runs only octo/a/x.yaml@main"))
        );
    }

    fn app() -> AppProfile {
        serde_json::from_value(serde_json::json!({
            "id": 42, "slug": "runners", "html_url": "https://github.com/apps/runners",
            "owner": { "id": 1, "login": "octo", "type": "Organization" },
        }))
        .unwrap()
    }

    fn installed(id: u64, login: &str, account: u64) -> Installed {
        serde_json::from_value(serde_json::json!({
            "id": id, "account": { "id": account, "login": login, "type": "Organization" },
            "target_type": "Organization", "suspended_at": null,
        }))
        .unwrap()
    }

    #[test]
    fn an_app_that_is_public_for_nobodys_sake_is_told_so() {
        let octo = [installed(7, "octo", 1)];
        let check = |owners: &str, public, installed: &[Installed]| {
            let findings = check_owners(&app(), public, installed, &policy(owners, "", false));
            let bad = findings.iter().filter(|one| one.mark == Mark::Bad);
            (bad.count(), findings[0].text.clone())
        };
        assert!(
            check("octo", Some(true), &octo)
                .1
                .contains("anybody may install it")
        );
        assert_eq!(check("octo", Some(true), &octo).0, 1);
        assert_eq!(check("octo", Some(false), &octo).0, 0);
        assert_eq!(check("octo", None, &octo).0, 0);
        assert!(
            check("*", Some(true), &octo)
                .1
                .contains("allowedOwners is *")
        );
        // It must be public for an account other than its own.
        let both = [installed(7, "octo", 1), installed(8, "renamed", 2)];
        let (bad, told) = check("octo hub:2", Some(true), &both);
        assert_eq!(bad, 0);
        assert!(told.contains("as it must be for renamed"), "{told}");
    }

    #[test]
    fn installations_of_strangers_are_named() {
        let all = [installed(7, "octo", 1), installed(8, "stranger", 3)];
        let found = strangers(&all, &policy("octo hub:2", "", false));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].text.starts_with(
                "installation 8 (stranger) is of nobody whose jobs are run: octo, hub:2"
            )
        );
    }
}
