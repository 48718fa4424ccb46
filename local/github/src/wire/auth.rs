//! Who is calling, and what that caller may do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use time::{Duration, OffsetDateTime};

use crate::random;
use crate::state::directory::{Access, Scope};
use crate::state::world::{Shared, World};
use crate::wire::answer::Refusal;

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
    /// Looking at and writing check runs.
    Checks(Access),
    /// What every installation has: the repository's metadata.
    Nothing,
}

impl Needs {
    fn permission(self, scope: &Scope) -> (&'static str, Access) {
        match (self, scope) {
            (Self::Runners(access), Scope::Organization(_)) => {
                ("organization_self_hosted_runners", access)
            }
            (Self::Runners(access), Scope::Repository(_)) => ("administration", access),
            (Self::Jobs, _) => ("actions", Access::Read),
            (Self::Checks(access), _) => ("checks", access),
            (Self::Nothing, _) => ("metadata", Access::Read),
        }
    }
}

impl Tokens {
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
}

impl World {
    /// Whether the App itself is calling.
    fn check_app(&mut self, headers: &HeaderMap) -> Result<(), Refusal> {
        let token = presented(headers).ok_or_else(|| {
            Refusal::new(
                StatusCode::UNAUTHORIZED,
                "A JSON web token could not be decoded",
            )
        })?;
        self.app.check(token, self.now().unix_timestamp())?;
        let first = self.tokens.seen_jwts.insert(token.to_owned());
        if !first && self.settings.refuse_repeated_jwt {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "Integration not found"));
        }
        Ok(())
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<Token, Refusal> {
        let text = presented(headers)
            .ok_or_else(|| Refusal::new(StatusCode::UNAUTHORIZED, "Requires authentication"))?;
        let bad = || Refusal::new(StatusCode::UNAUTHORIZED, "Bad credentials");
        let token = self.tokens.installation.get(text).ok_or_else(bad)?;
        let installation = self
            .directory
            .installation(token.installation)
            .filter(|_| token.expires_at > self.now())
            .ok_or_else(bad)?;
        if installation.suspended {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "This installation has been suspended",
            ));
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
}

/// The token of the `Authorization` header, with either of GitHub's schemes.
pub(crate) fn presented(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token"))
        .then_some(token.trim())
}

/// The App, by its JWT.
pub(crate) struct AppCaller;

impl FromRequestParts<Arc<Shared>> for AppCaller {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Self::Rejection> {
        shared.note(|world| world.check_app(&parts.headers))?;
        Ok(Self)
    }
}

/// An installation, by its token.
pub(crate) struct InstallationCaller(pub(crate) Token);

impl FromRequestParts<Arc<Shared>> for InstallationCaller {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Arc<Shared>,
    ) -> Result<Self, Self::Rejection> {
        shared
            .read(|world| world.check_token(&parts.headers))
            .map(Self)
    }
}
