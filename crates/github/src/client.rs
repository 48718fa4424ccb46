//! The client: acts as the App, or as one of its installations.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};

use http::StatusCode;
use protocol::Secret;
use runtime::proxy::Proxy;
use time::OffsetDateTime;

use crate::access::Access;
use crate::reach::Reach;
use crate::tokens::{Issue, Tokens};
use crate::transport::{Answer, Call, Transport, unavailable};
use crate::trust::Trust;
use crate::{ApiUrl, App, AppSource, Error, Patience, Scope, jwt, limit};

/// Means that no response has reported it yet.
const UNTOLD: u64 = u64::MAX;

/// GitHub, as the App. Clones share connections, tokens and caches.
#[derive(Clone)]
pub struct GitHub(Arc<Inner>);

struct Inner {
    transport: Transport,
    source: Box<dyn AppSource>,
    tokens: Tokens,
    /// Installation of a repository or an organization; see `installations`.
    found: Lock<HashMap<Scope, u64>>,
    /// Ids of runner groups, by organization and name; see `groups`.
    groups: Lock<HashMap<(String, String), u64>>,
    remaining: AtomicU64,
}

/// GitHub, as one installation of the App. Cheap to create and clone.
#[derive(Clone)]
pub struct Installation {
    pub(crate) github: GitHub,
    id: u64,
}

impl GitHub {
    /// A client for the GitHub at `url`. Makes no calls. Requires a tokio runtime.
    pub fn new(url: ApiUrl, source: impl AppSource) -> Result<Self, Error> {
        Self::with_patience(url, source, Patience::default())
    }

    /// The same with other delays.
    pub fn with_patience(
        url: ApiUrl,
        source: impl AppSource,
        patience: Patience,
    ) -> Result<Self, Error> {
        Self::reaching(url, source, patience, Trust::default(), Reach::new(None))
    }

    /// The same through a proxy, if there is one.
    pub fn through(
        url: ApiUrl,
        source: impl AppSource,
        patience: Patience,
        proxy: Option<&Proxy>,
    ) -> Result<Self, Error> {
        Self::reaching(url, source, patience, Trust::default(), Reach::new(proxy))
    }

    /// The same with other certificate authorities, and another way to GitHub.
    pub(crate) fn reaching(
        url: ApiUrl,
        source: impl AppSource,
        patience: Patience,
        trust: Trust,
        reach: Reach,
    ) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            transport: Transport::new(url, patience, trust, reach)?,
            source: Box::new(source),
            tokens: Tokens::default(),
            found: Lock::default(),
            groups: Lock::default(),
            remaining: AtomicU64::new(UNTOLD),
        })))
    }

    /// Acts as an installation with a known id. Makes no calls.
    pub fn installation(&self, id: u64) -> Installation {
        Installation {
            github: self.clone(),
            id,
        }
    }

    /// Allows this many more requests, retries included, from all clones. Further ones are not sent and
    /// are [`Error::Unavailable`]. For a tool that has promised how much it asks.
    pub fn allow(&self, requests: u32) {
        self.0.transport.allow(requests);
    }

    /// The web page of a repository or organization, with which `config.sh` registers a runner.
    pub fn web_url(&self, scope: &Scope) -> String {
        format!("{}/{scope}", self.0.transport.url().web())
    }

    /// The calls left in this hour, from the last response to an installation.
    pub fn rate_limit_remaining(&self) -> Option<u64> {
        Some(self.0.remaining.load(Ordering::Relaxed)).filter(|left| *left != UNTOLD)
    }

    /// Makes a call as the App. After a rejected key, the source is asked for a newer one, once; a
    /// key that stays rejected is checked a second time.
    pub(crate) async fn as_app(&self, call: &Call) -> Result<Answer, Error> {
        let source = &self.0.source;
        let mut app = source.app().await?;
        let mut answer = self.send(&app, call).await?;
        if is_key_refused(&answer)
            && let Some(newer) = source.newer(app.clone()).await?
        {
            tracing::info!(
                app = newer.id(),
                "reloaded the App's credentials after GitHub rejected its key"
            );
            app = newer;
            answer = self.send(&app, call).await?;
        }
        if is_key_refused(&answer) {
            return self.doubt_key(&app, call, &answer).await;
        }
        Ok(answer)
    }

    /// Asks GitHub for the App itself. Only if GitHub rejects the key there too, and again after a
    /// delay, is the key at fault.
    async fn doubt_key(&self, app: &App, call: &Call, refused: &Answer) -> Result<Answer, Error> {
        self.pause().await;
        let itself = self.send(app, &Call::get("/app")).await?;
        if is_key_refused(&itself) {
            return Err(Error::KeyRefused {
                call: call.to_string(),
                message: refused.message(),
            });
        }
        let again = self.send(app, call).await?;
        if is_key_refused(&again) {
            let reason = format!(
                "GitHub rejected the App's key for this call and accepted it for another: {}",
                again.message()
            );
            return Err(unavailable(call, reason));
        }
        Ok(again)
    }

    /// Makes a call as nobody: what GitHub shows to everybody.
    pub(crate) async fn as_nobody(&self, call: &Call) -> Result<Answer, Error> {
        self.0.transport.send_as(None, call).await
    }

    async fn send(&self, app: &App, call: &Call) -> Result<Answer, Error> {
        self.0.transport.send(&sign(app)?, call).await
    }

    /// Waits before a second look.
    pub(crate) async fn pause(&self) {
        self.0.transport.pause().await;
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    /// The cached value.
    pub(crate) fn found(&self, scope: &Scope) -> Option<u64> {
        lock(&self.0.found).get(scope).copied()
    }

    pub(crate) fn remember(&self, scope: &Scope, installation: Option<u64>) {
        let mut found = lock(&self.0.found);
        match installation {
            Some(id) => found.insert(scope.clone(), id),
            None => found.remove(scope),
        };
    }

    pub(crate) fn groups(
        &self,
    ) -> impl std::ops::DerefMut<Target = HashMap<(String, String), u64>> {
        lock(&self.0.groups)
    }

    pub(crate) fn page_of_app(&self) -> String {
        format!("{}/settings/installations", self.0.transport.url().web())
    }
}

impl Installation {
    /// The installation's id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Makes a call as the installation, with a token for what the call needs and no more. A rejected
    /// token, for example a revoked one, is replaced once.
    pub(crate) async fn call(&self, call: &Call) -> Result<Answer, Error> {
        let inner = &self.github.0;
        let least = Access::metadata();
        let access = call.access().unwrap_or(&least);
        let mut token = self.token(access).await?;
        let mut answer = inner.transport.send(&token, call).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            inner.tokens.forget(self.id, access, &token).await;
            token = self.token(access).await?;
            answer = inner.transport.send(&token, call).await?;
        }
        if let Some(left) = limit::remaining(&answer.headers) {
            inner.remaining.store(left, Ordering::Relaxed);
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            // A new token may be unknown to part of GitHub for a moment.
            inner.tokens.forget(self.id, access, &token).await;
            let reason = format!(
                "GitHub rejected a new installation token: {}",
                answer.message()
            );
            return Err(unavailable(call, reason));
        }
        Ok(answer)
    }

    async fn token(&self, access: &Access) -> Result<Secret, Error> {
        match self.github.token(self.id, access).await? {
            Issue::Token(token) => Ok(token),
            Issue::Gone => Err(self.gone()),
            Issue::OutOfReach(other) => match access.repository() {
                Some(repository) => {
                    let scope = Scope::Repository(repository.clone());
                    self.github.remember(&scope, other);
                    Err(self.github.not_installed_at(repository).await)
                }
                None => Err(self.gone()),
            },
        }
    }

    /// The installation no longer exists.
    pub(crate) fn gone(&self) -> Error {
        Error::AppNotInstalled {
            target: format!("installation {}, which GitHub no longer knows", self.id),
            hint: self.github.page_of_app(),
        }
    }
}

fn sign(app: &App) -> Result<Secret, Error> {
    jwt::sign(app, OffsetDateTime::now_utc().unix_timestamp())
        .map_err(|error| Error::Client(error.to_string()))
}

/// GitHub answers 401 to a JWT that it cannot verify, and 404 with this text if the issuer is not
/// an App.
fn is_key_refused(answer: &Answer) -> bool {
    match answer.status {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::NOT_FOUND => answer.message().starts_with("Integration "),
        _ => false,
    }
}

fn lock<T>(mutex: &Lock<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for GitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHub")
            .field("url", self.0.transport.url())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Installation")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
