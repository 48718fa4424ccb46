//! Installation tokens, and what they carry.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::random;
use crate::state::accounts::Scope;
use crate::state::installation::Access;

/// The tokens that were handed out, and the App's that were seen.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    installation: BTreeMap<String, Token>,
    seen_jwts: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) installation: u64,
    pub(crate) expires_at: OffsetDateTime,
    pub(crate) permissions: BTreeMap<String, Access>,
    /// `owner/name` in lower case; all of the installation's if not given.
    pub(crate) repositories: Option<BTreeSet<String>>,
}

/// A permission that a route asks for: that of the scope's kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Needs {
    /// Registering, listing and deleting runners.
    Runners(Access),
    /// Looking at jobs and runs.
    Jobs,
    /// Running jobs again.
    Reruns,
    /// Looking at and writing check runs.
    Checks(Access),
    /// What every installation has: the repository's metadata.
    Nothing,
}

impl Needs {
    pub(crate) fn permission(self, scope: &Scope) -> (&'static str, Access) {
        match (self, scope) {
            (Self::Runners(access), Scope::Organization(_)) => {
                ("organization_self_hosted_runners", access)
            }
            (Self::Runners(access), Scope::Repository(_)) => ("administration", access),
            (Self::Jobs, _) => ("actions", Access::Read),
            (Self::Reruns, _) => ("actions", Access::Write),
            (Self::Checks(access), _) => ("checks", access),
            (Self::Nothing, _) => ("metadata", Access::Read),
        }
    }
}

/// An installation token that was handed out, without its text: what it opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// The installation that it belongs to.
    pub installation: u64,
    /// What it may do.
    pub permissions: BTreeMap<String, Access>,
    /// `owner/name` in lower case; all of the installation's if not given.
    pub repositories: Option<BTreeSet<String>>,
}

impl Tokens {
    /// What was handed out and is not expired by force.
    pub(crate) fn issued(&self) -> Vec<IssuedToken> {
        let shown = |token: &Token| IssuedToken {
            installation: token.installation,
            permissions: token.permissions.clone(),
            repositories: token.repositories.clone(),
        };
        self.installation.values().map(shown).collect()
    }

    pub(crate) fn issue(&mut self, token: Token) -> String {
        // `ghs_APPID_JWT` of about 520 characters, with dots, as GitHub issues since 2026:
        // https://github.blog/changelog/2026-04-24-notice-about-upcoming-new-format-for-github-app-installation-tokens/
        let part = random::alphanumeric;
        let text = format!("ghs_1234_{}.{}.{}", part(36), part(380), part(86));
        self.installation.insert(text.clone(), token);
        text
    }

    /// The installation a token belongs to, valid or not; for counting.
    pub(crate) fn installation(&self, text: &str) -> Option<u64> {
        self.installation.get(text).map(|token| token.installation)
    }

    pub(crate) fn expire_all(&mut self) {
        self.installation.clear();
    }

    pub(crate) fn get(&self, text: &str) -> Option<&Token> {
        self.installation.get(text)
    }

    /// Remembers an App's token; whether it is the first time.
    pub(crate) fn see_jwt(&mut self, text: &str) -> bool {
        self.seen_jwts.insert(text.to_owned())
    }
}
