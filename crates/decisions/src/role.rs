//! The role that the jobs of a repository run under, where it has one of its own.
//!
//! A runner with such a role must never take another repository's job. Registered at the repository it
//! cannot: GitHub gives it no other repository's job. Registered at an organization it takes any job that
//! its runner group admits, so there it needs a group of its own, which its operator has to limit.

use std::collections::BTreeMap;
use std::str::FromStr;

use protocol::Repository;

/// What stands for all repositories of an owner.
const ALL: &str = "*";

/// Roles by pattern: `owner/name`, or `owner/*` for all of an owner's other repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryRoles(BTreeMap<String, String>);

/// Text that assigns no roles.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolesError {
    #[error("it is no JSON object of texts: {0}")]
    Json(String),
    #[error("{0:?} is neither `owner/name` nor `owner/*`")]
    Pattern(String),
    #[error("{0:?} is there twice; GitHub compares names without case")]
    Twice(String),
    #[error("the role of {0:?} is empty")]
    NoRole(String),
}

impl FromStr for RepositoryRoles {
    type Err = RolesError;

    /// Parses a JSON object: patterns, and names of roles.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given: BTreeMap<String, String> =
            serde_json::from_str(text).map_err(|error| RolesError::Json(error.to_string()))?;
        let mut roles = BTreeMap::new();
        for (pattern, role) in given {
            // Any name stands for the asterisk, which is none.
            let is_pattern = match pattern.strip_suffix(ALL) {
                Some(owner) => {
                    owner.ends_with('/') && format!("{owner}x").parse::<Repository>().is_ok()
                }
                None => pattern.parse::<Repository>().is_ok(),
            };
            if !is_pattern {
                return Err(RolesError::Pattern(pattern));
            }
            if role.is_empty() {
                return Err(RolesError::NoRole(pattern));
            }
            if roles.insert(pattern.to_lowercase(), role).is_some() {
                return Err(RolesError::Twice(pattern));
            }
        }
        Ok(Self(roles))
    }
}

impl RepositoryRoles {
    /// The role of a repository's task, where it has one of its own. Refused if another repository's job
    /// could take the runner.
    pub fn at(&self, repository: &Repository, seen: RoleSeen) -> Result<Option<&str>, Exposed> {
        match self.of(repository) {
            Some(_) if !seen.at_repository && !seen.own_group => Err(Exposed),
            role => Ok(role),
        }
    }

    /// The role of a repository: its own, else its owner's.
    fn of(&self, repository: &Repository) -> Option<&str> {
        let owner = repository.owner().to_lowercase();
        let name = repository.name().to_lowercase();
        let own = self.0.get(&format!("{owner}/{name}"));
        let role = own.or_else(|| self.0.get(&format!("{owner}/{ALL}")));
        role.map(String::as_str)
    }
}

/// What is known when a task is planned for a repository with a role of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleSeen {
    /// The runner registers at the repository.
    pub at_repository: bool,
    /// Its task definition names a runner group of its own.
    pub own_group: bool,
}

/// GitHub could give the runner a job of another repository, which would run under the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposed;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn roles(text: &str) -> RepositoryRoles {
        text.parse().unwrap()
    }

    #[test]
    fn the_most_specific_pattern_names_the_role() {
        let roles = roles(r#"{ "Octo/Infra": "deploy", "octo/*": "build", "acme/x": "other" }"#);
        for (repository, role) in [
            ("octo/infra", Some("deploy")),
            ("OCTO/INFRA", Some("deploy")),
            ("octo/infra-2", Some("build")),
            ("octo/hello", Some("build")),
            ("octo2/infra", None),
            ("acme/x", Some("other")),
            ("acme/y", None),
        ] {
            assert_eq!(roles.of(&repository.parse().unwrap()), role, "{repository}");
        }
        assert_eq!(RepositoryRoles::default().of(&"a/b".parse().unwrap()), None);
    }

    #[test]
    fn a_runner_that_another_repositorys_job_could_take_has_no_role() {
        let roles = roles(r#"{ "octo/infra": "deploy" }"#);
        let at = |repository: &str, at_repository, own_group| {
            let seen = RoleSeen {
                at_repository,
                own_group,
            };
            roles.at(&repository.parse().unwrap(), seen)
        };
        for (at_repository, own_group) in [(true, false), (true, true), (false, true)] {
            assert_eq!(
                at("octo/infra", at_repository, own_group),
                Ok(Some("deploy"))
            );
        }
        assert_eq!(at("octo/infra", false, false), Err(Exposed));
        assert_eq!(at("octo/hello", false, false), Ok(None));
    }

    #[test]
    fn what_assigns_no_role_is_told_in_a_sentence() {
        for (text, part) in [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            (r#"{ "octo/x": 1 }"#, "no JSON object"),
            (r#"{ "octo": "r" }"#, "neither `owner/name` nor `owner/*`"),
            (r#"{ "*": "r" }"#, "neither"),
            (r#"{ "*/x": "r" }"#, "neither"),
            (r#"{ "octo/te*": "r" }"#, "neither"),
            (r#"{ "octo/x/y": "r" }"#, "neither"),
            (r#"{ "octo/x": "r", "Octo/X": "r" }"#, "twice"),
            (r#"{ "octo/x": "" }"#, "empty"),
        ] {
            let error = text.parse::<RepositoryRoles>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    fn name() -> impl Strategy<Value = String> {
        "[aAbB][a-c.-]{0,2}".prop_filter("no repository", |name| !name.contains(".."))
    }

    proptest! {
        /// Each role is named after its pattern, so the name says whose it is.
        #[test]
        fn no_repository_gets_anothers_role(
            patterns in prop::collection::btree_map((name(), prop::option::of(name())), Just(()), 0..8),
            owner in name(), repository in name(),
        ) {
            let mut given = BTreeMap::new();
            for (owner, name) in patterns.keys() {
                let pattern = format!("{owner}/{}", name.as_deref().unwrap_or(ALL)).to_lowercase();
                given.insert(pattern.clone(), pattern);
            }
            let roles = roles(&serde_json::to_string(&given).unwrap());
            let repository: Repository = format!("{owner}/{repository}").parse().unwrap();
            let whole = repository.to_string().to_lowercase();
            let all = format!("{}/{ALL}", owner.to_lowercase());
            let expected = [&whole, &all].into_iter().find(|pattern| given.contains_key(*pattern));
            prop_assert_eq!(roles.of(&repository), expected.map(String::as_str));
        }
    }
}
