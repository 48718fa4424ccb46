//! Where runners register.

use std::fmt;
use std::str::FromStr;

use protocol::{Job, OwnerType, Repository};

use crate::encode::encode;
use crate::permission::{self, Permission};

/// A deployment's choice of where its runners register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunnerScope {
    /// At the job's repository.
    Repository,
    /// At the organization that owns the job's repository.
    Organization,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use `repository` or `organization`")]
pub struct ScopeError;

impl RunnerScope {
    /// Where this job's runner registers: a user account has no organization.
    pub fn at(self, job: &Job) -> Scope {
        match (self, job.owner_type) {
            (Self::Organization, OwnerType::Organization) => {
                Scope::Organization(job.repository.owner().to_owned())
            }
            (Self::Repository, _) | (_, OwnerType::User) => {
                Scope::Repository(job.repository.clone())
            }
        }
    }
}

impl FromStr for RunnerScope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "repository" => Ok(Self::Repository),
            "organization" => Ok(Self::Organization),
            _ => Err(ScopeError),
        }
    }
}

/// A place where runners register.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Repository(Repository),
    /// An organization, by login.
    Organization(String),
}

impl Scope {
    /// Whether a runner that is registered here can be assigned jobs of a repository. GitHub
    /// compares names case-insensitively.
    pub fn reaches(&self, other: &Repository) -> bool {
        match self {
            Self::Repository(repository) => {
                repository.owner().eq_ignore_ascii_case(other.owner())
                    && repository.name().eq_ignore_ascii_case(other.name())
            }
            Self::Organization(login) => login.eq_ignore_ascii_case(other.owner()),
        }
    }

    /// The path of an endpoint below `…/actions/`.
    pub(crate) fn actions(&self, rest: &str) -> String {
        match self {
            Self::Repository(repository) => format!("/repos/{repository}/actions/{rest}"),
            Self::Organization(login) => format!("/orgs/{}/actions/{rest}", encode(login)),
        }
    }

    /// Permission to register, list and delete runners here ([permissions]).
    ///
    /// [permissions]: https://docs.github.com/rest/authentication/permissions-required-for-github-apps
    pub(crate) const fn runner_permission(&self) -> Permission {
        match self {
            Self::Repository(_) => permission::ADMINISTRATION,
            Self::Organization(_) => permission::SELF_HOSTED_RUNNERS,
        }
    }

    /// The repository, if it is one.
    pub(crate) const fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Repository(repository) => Some(repository),
            Self::Organization(_) => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(repository) => repository.fmt(f),
            Self::Organization(login) => f.write_str(login),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(owner_type: &str) -> Job {
        serde_json::from_value(serde_json::json!({
            "id": 1, "runId": 1, "runAttempt": 1, "name": "x", "repository": "octo/hello",
            "ownerType": owner_type, "private": true, "labels": ["a"], "installationId": null,
            "queuedAt": "2026-01-01T00:00:00Z"
        }))
        .unwrap()
    }

    #[test]
    fn a_users_runner_is_always_registered_at_the_repository() {
        let repository = Scope::Repository("octo/hello".parse().unwrap());
        assert_eq!(RunnerScope::Organization.at(&job("User")), repository);
        assert_eq!(RunnerScope::Repository.at(&job("Organization")), repository);
        assert_eq!(
            RunnerScope::Organization.at(&job("Organization")),
            Scope::Organization("octo".to_owned())
        );
    }

    #[test]
    fn a_runner_gets_jobs_of_its_own_scope_only() {
        let repository = RunnerScope::Repository.at(&job("Organization"));
        let organization = RunnerScope::Organization.at(&job("Organization"));
        for (other, at_repository, at_organization) in [
            ("octo/hello", true, true),
            ("Octo/Hello", true, true),
            ("octo/world", false, true),
            ("acme/hello", false, false),
        ] {
            let other = other.parse().unwrap();
            assert_eq!(repository.reaches(&other), at_repository, "{other}");
            assert_eq!(organization.reaches(&other), at_organization, "{other}");
        }
    }

    #[test]
    fn paths_are_those_of_the_scope() {
        let at = |scope: RunnerScope| scope.at(&job("Organization")).actions("runners");
        assert_eq!(
            at(RunnerScope::Repository),
            "/repos/octo/hello/actions/runners"
        );
        assert_eq!(at(RunnerScope::Organization), "/orgs/octo/actions/runners");
    }
}
