//! Accounts, their repositories and runner groups, and the places where runners are registered.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The group that every organization has, and the only one of a repository.
pub(crate) const DEFAULT_GROUP: u64 = 1;

/// What kind of account owns a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnerType {
    /// An organization.
    #[default]
    Organization,
    /// A person.
    User,
}

impl OwnerType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "Organization",
            Self::User => "User",
        }
    }
}

/// A runner group of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunnerGroup {
    /// Its name.
    pub name: String,
    /// The repositories (`owner/name`) whose jobs its runners take; all of them if not given.
    #[serde(default)]
    pub repositories: Option<BTreeSet<String>>,
    /// Whether public repositories are among them.
    #[serde(default)]
    pub allows_public: bool,
}

impl RunnerGroup {
    pub(crate) fn is_visible_to(&self, repository: &Repository) -> bool {
        let named = self.repositories.as_ref().is_none_or(|repositories| {
            let full_name = repository.full_name();
            repositories
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&full_name))
        });
        named && (repository.private || self.allows_public)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) kind: OwnerType,
    pub(crate) groups: BTreeMap<u64, RunnerGroup>,
}

#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) id: u64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) private: bool,
}

impl Repository {
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// A place where runners are registered and jobs look for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Repository(String),
    Organization(String),
}

impl Scope {
    /// `owner/name` or the organization's login.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Repository(name) | Self::Organization(name) => name,
        }
    }

    /// Who owns it.
    pub(crate) fn login(&self) -> &str {
        match self {
            Self::Repository(name) => name.split('/').next().unwrap_or_default(),
            Self::Organization(login) => login,
        }
    }
}
