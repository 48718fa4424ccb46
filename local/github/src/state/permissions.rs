//! What a token reaches and may do.

use std::collections::{BTreeMap, BTreeSet};

use time::{Duration, OffsetDateTime};

use crate::state::accounts::{Repository, Scope};
use crate::state::installation::{Access, Installation};
use crate::state::refusal::Refusal;
use crate::state::token::{Needs, Token};
use crate::state::world::World;

impl World {
    /// The token of that text, if it is still worth something.
    pub(crate) fn valid_token(&self, text: &str) -> Result<Token, Refusal> {
        let bad = || Refusal::unauthorized("Bad credentials");
        let token = self.tokens.get(text).ok_or_else(bad)?;
        let installation = self
            .directory
            .installation(token.installation)
            .filter(|_| token.expires_at > self.now())
            .ok_or_else(bad)?;
        if installation.suspended {
            return Err(Refusal::suspended());
        }
        Ok(token.clone())
    }

    /// Whether `token` reaches `scope` and may do there what is asked for. What it doesn't reach is
    /// not found; what it may not do is forbidden.
    pub(crate) fn authorize(
        &self,
        token: &Token,
        scope: &Scope,
        needs: Needs,
    ) -> Result<(), Refusal> {
        let installation = self
            .directory
            .installation(token.installation)
            .filter(|installation| installation.login.eq_ignore_ascii_case(scope.login()))
            .ok_or_else(Refusal::not_found)?;
        if let Scope::Repository(name) = scope {
            let reached = token.repositories.as_ref();
            let hidden = !installation.includes(name)
                || self.is_hidden(name)
                || reached.is_some_and(|reached| !reached.contains(&name.to_lowercase()));
            if hidden {
                return Err(Refusal::not_found());
            }
        }
        let (permission, access) = needs.permission(scope);
        let granted = token
            .permissions
            .get(permission)
            .min(installation.permissions.get(permission));
        if granted.is_some_and(|granted| *granted >= access) {
            Ok(())
        } else if self.settings.hide_missing_permission {
            Err(Refusal::not_found())
        } else {
            let word = if access == Access::Write {
                "write"
            } else {
                "read"
            };
            Err(Refusal::forbidden().with_header(
                "x-accepted-github-permissions",
                format!("{permission}={word}"),
            ))
        }
    }

    /// Whether an outage hides a repository.
    pub(crate) fn is_hidden(&self, full_name: &str) -> bool {
        let hidden = &self.settings.hidden_repositories;
        hidden
            .iter()
            .any(|name| name.eq_ignore_ascii_case(full_name))
    }

    /// When a token that is issued now expires.
    pub(crate) fn token_expiry(&self) -> OffsetDateTime {
        let seconds = i64::try_from(self.settings.token_lifetime_seconds).unwrap_or(i64::MAX);
        self.now().saturating_add(Duration::seconds(seconds))
    }

    /// A token may have less than the installation, never more.
    pub(crate) fn granted(
        installation: &Installation,
        wanted: Option<BTreeMap<String, Access>>,
    ) -> Result<BTreeMap<String, Access>, Refusal> {
        let Some(wanted) = wanted else {
            return Ok(installation.permissions.clone());
        };
        let within = wanted.iter().all(|(name, access)| {
            installation
                .permissions
                .get(name)
                .is_some_and(|granted| granted >= access)
        });
        if within {
            Ok(wanted)
        } else {
            Err(Refusal::invalid(
                "The permissions requested are not granted to this installation.",
            ))
        }
    }

    /// The repositories that a token is narrowed to, which the installation has to include. Names come
    /// without the owner.
    pub(crate) fn reached(
        &self,
        installation: &Installation,
        names: Option<&[String]>,
        ids: Option<&[u64]>,
    ) -> Result<Option<BTreeSet<String>>, Refusal> {
        if names.is_none() && ids.is_none() {
            return Ok(None);
        }
        let (names, ids) = (names.unwrap_or_default(), ids.unwrap_or_default());
        let wanted = |repository: &&Repository| {
            names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&repository.name))
                || ids.contains(&repository.id)
        };
        let found: BTreeSet<String> = self
            .directory
            .repositories()
            .filter(|repository| repository.owner.eq_ignore_ascii_case(&installation.login))
            .filter(|repository| installation.includes(&repository.full_name()))
            .filter(wanted)
            .map(|repository| repository.full_name().to_lowercase())
            .collect();
        if found.len() < names.len().max(ids.len()) {
            return Err(Refusal::invalid(
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            ));
        }
        Ok(Some(found))
    }

    pub(crate) fn suspend(&mut self, login: &str, suspended: bool) {
        if let Some(installation) = self.directory.installation_mut(login) {
            installation.suspended = suspended;
        }
    }

    /// From now on an installation includes all repositories but these.
    pub(crate) fn exclude(&mut self, login: &str, repositories: &BTreeSet<String>) {
        if let Some(installation) = self.directory.installation_mut(login) {
            installation.excluded = repositories
                .iter()
                .map(|name| name.to_lowercase())
                .collect();
        }
    }

    pub(crate) fn set_permission(&mut self, login: &str, permission: &str, access: Option<Access>) {
        let Some(installation) = self.directory.installation_mut(login) else {
            return;
        };
        match access {
            Some(access) => {
                installation
                    .permissions
                    .insert(permission.to_owned(), access);
            }
            None => {
                installation.permissions.remove(permission);
            }
        }
    }
}
