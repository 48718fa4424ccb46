//! What a deployment tells of itself in Parameter Store: whose jobs it runs, and its kinds of runners.

use catalogue::Catalogue;
use github::GroupRepository;
use serde::Deserialize;

use crate::Error;

/// Where runners are registered, which decides about the permission to do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Repository,
    Organization,
}

/// Whose jobs a deployment runs; `cdk/src/policy-parameter.ts` writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    pub scope: Scope,
    /// Runner group of runners that name none.
    pub runner_group: String,
    allowed_owners: String,
    allowed_repositories: String,
    pub allow_public_repositories: bool,
    pub allow_internal_repositories: bool,
}

/// A kind of runner, and who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    /// Family of its task definition.
    pub family: String,
    /// Runner group of its runners; the deployment's where there is none.
    pub runner_group: Option<String>,
    /// `owner/name`, or `owner/` for all of an owner's; nothing for all.
    pub repositories: Option<Vec<String>>,
}

/// Names of the parameters.
pub fn policy_parameter(prefix: &str) -> String {
    format!("/{prefix}/policy")
}

impl Policy {
    pub fn parse(prefix: &str, text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|error| {
            Error::Other(format!(
                "{} cannot be read ({error}): deploy again, which writes it (cdk deploy)",
                policy_parameter(prefix)
            ))
        })
    }

    /// `name` or `name:id`; `*` for everybody; none where the repositories say it.
    pub fn owners(&self) -> Vec<&str> {
        words(&self.allowed_owners)
    }

    /// `owner/name`; none for all.
    pub fn repositories(&self) -> Vec<&str> {
        words(&self.allowed_repositories)
    }

    /// The names of the accounts that are served, as far as they are listed.
    pub fn accounts(&self) -> Vec<&str> {
        let owners = self.owners();
        let named: Vec<_> = if owners.is_empty() {
            self.repositories()
        } else {
            owners
        };
        let mut accounts: Vec<&str> = Vec::new();
        for name in named {
            let name = name.split(['/', ':']).next().unwrap_or(name);
            if name != "*" && !accounts.iter().any(|known| same(known, name)) {
                accounts.push(name);
            }
        }
        accounts
    }

    /// Whether an account's jobs are run, as far as its repositories do not matter.
    pub fn serves_account(&self, account: &github::Account) -> bool {
        let owners = self.owners();
        if owners.is_empty() {
            let mut repositories = self.repositories().into_iter();
            return repositories.any(|name| same(owner_of(name), &account.name));
        }
        owners.into_iter().any(|owner| match owner.split_once(':') {
            Some((_, id)) => id.parse() == Ok(account.id),
            None => owner == "*" || same(owner, &account.name),
        })
    }

    /// The repositories of an organization whose jobs a kind of runner takes; nothing if that is all of
    /// them. Whether they are public or internal is not looked at.
    pub fn repositories_of(&self, audience: &Audience, organization: &str) -> Option<Vec<String>> {
        let own = |names: &[&str]| -> Vec<String> {
            let own = names
                .iter()
                .filter(|name| same(owner_of(name), organization));
            own.map(|name| (*name).to_owned()).collect()
        };
        let patterns = audience.repositories.as_ref().map(|patterns| {
            let patterns: Vec<_> = patterns.iter().map(String::as_str).collect();
            own(&patterns)
        });
        let everywhere = patterns
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|name| name.ends_with('/')));
        let listed = self.repositories();
        if !listed.is_empty() {
            let mut mine = own(&listed);
            if !everywhere {
                let patterns = patterns.unwrap_or_default();
                mine.retain(|name| patterns.iter().any(|pattern| same(pattern, name)));
            }
            return Some(mine);
        }
        if everywhere { None } else { patterns }
    }

    /// Whether jobs of a repository of this visibility are run.
    pub fn serves_visibility(&self, repository: &GroupRepository) -> bool {
        match visibility(repository) {
            "public" => self.allow_public_repositories,
            "internal" => self.allow_internal_repositories,
            _ => true,
        }
    }
}

pub fn visibility(repository: &GroupRepository) -> &str {
    let told = if repository.private {
        "private"
    } else {
        "public"
    };
    repository.visibility.as_deref().unwrap_or(told)
}

/// Reads the offers that `sweep` publishes; nothing before the first sweep of this version.
pub fn audiences(text: Option<&str>) -> Option<Vec<Audience>> {
    let catalogue = Catalogue::decode(text?).ok()?;
    let offers = catalogue.offers.into_iter().map(|offer| Audience {
        family: offer.definition.family,
        runner_group: offer.definition.runner_group,
        repositories: offer.repositories.map(|them| them.patterns().to_vec()),
    });
    Some(offers.collect())
}

/// Whether two names are one to GitHub.
pub fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn owner_of(repository: &str) -> &str {
    repository.split('/').next().unwrap_or(repository)
}

fn words(list: &str) -> Vec<&str> {
    let words = list.split(|c: char| c.is_whitespace() || c == ',');
    words.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(change: &[(&str, &str)]) -> Policy {
        let text = include_str!("../../../cdk/test/fixtures/policy.json");
        let mut json: serde_json::Value = serde_json::from_str(text).unwrap();
        for (name, value) in change {
            json[*name] = serde_json::from_str(value).unwrap_or_else(|_| (*value).into());
        }
        Policy::parse("fargate-runners", &json.to_string()).unwrap()
    }

    fn account(name: &str, id: u64) -> github::Account {
        github::Account {
            id,
            name: name.to_owned(),
            kind: None,
        }
    }

    #[test]
    fn what_the_stack_publishes_is_read() {
        let policy = policy(&[]);
        assert_eq!(policy.scope, Scope::Repository);
        assert_eq!(policy.accounts(), ["octo"]);
        let error = Policy::parse("x", "{}").unwrap_err().to_string();
        assert!(
            error.contains("/x/policy") && error.contains("cdk deploy"),
            "{error}"
        );
    }

    #[test]
    fn an_owner_is_known_by_id_where_the_list_has_one() {
        let policy = policy(&[("allowedOwners", "octo hub:2")]);
        assert!(policy.serves_account(&account("Octo", 9)));
        assert!(policy.serves_account(&account("renamed", 2)));
        // The name is free again after its owner was renamed.
        assert!(!policy.serves_account(&account("hub", 4)));
        assert_eq!(policy.accounts(), ["octo", "hub"]);
    }

    #[test]
    fn where_repositories_alone_are_named_their_owners_are_served() {
        let policy = policy(&[
            ("allowedOwners", ""),
            ("allowedRepositories", "octo/a octo/b hub/c"),
        ]);
        assert!(policy.serves_account(&account("OCTO", 1)));
        assert!(!policy.serves_account(&account("stranger", 3)));
        assert_eq!(policy.accounts(), ["octo", "hub"]);
    }

    #[test]
    fn a_catalogue_of_another_version_is_as_none() {
        assert_eq!(audiences(None), None);
        assert_eq!(audiences(Some("v1:AAAA")), None);
    }
}
