//! One request and its response. octocrab sends it; idempotent requests without a usable response
//! are retried in place.

use std::error::Error as _;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::{ACCEPT, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use octocrab::service::middleware::base_uri::BaseUriLayer;
use octocrab::service::middleware::extra_headers::ExtraHeadersLayer;
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use protocol::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::access::Access;
use crate::encode::encode;
use crate::page::PAGE_SIZE;
use crate::patience::{Patience, jittered};
use crate::permission::Permission;
use crate::reach::Reach;
use crate::trust::{Trust, is_untrusted};
use crate::{ApiUrl, Error, limit};

/// GitHub accepts connections within milliseconds of the round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// GitHub ends a request after ten seconds ([limit]); a longer one is lost.
///
/// [limit]: https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#timeouts
const CALL_TIMEOUT: Duration = Duration::from_secs(12);
/// Maximum number of tries in place.
const ATTEMPTS: u32 = 3;
/// Latest start of a retry after the first try: a call that timed out is retried once, and two such
/// calls fit into a function with a one-minute timeout.
const REPEAT_WITHIN: Duration = Duration::from_secs(15);
/// Connections that were idle for longer are not reused. A function's sandbox is frozen between
/// invocations, and only the next request notices a closed connection. hyper also drops idle
/// connections, after 90 s on the monotonic clock. That clock ran on through freezes of up to three
/// minutes ([measured]), but a paused virtual machine may stop it, so this limit is also checked
/// against the wall clock.
///
/// [measured]: https://github.com/aws/aws-lambda-web-adapter/issues/830
const REST_LIMIT: Duration = Duration::from_secs(45);
/// A renamed repository answers with one redirect, even after two renames.
const REDIRECTS: usize = 2;
/// Maximum length of GitHub's message in an error; a proxy may send a whole page.
const MESSAGE_LIMIT: usize = 300;

/// A request, before its credentials are known.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    path: String,
    query: String,
    body: Option<Value>,
    /// What its token must allow; `None` if the names of repositories suffice.
    needs: Option<Access>,
    /// Whether it is idempotent.
    repeatable: bool,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into()).repeatable()
    }

    /// Sent once, unless [`Self::repeatable`] marks it.
    pub(crate) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path.into())
    }

    pub(crate) fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path.into())
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path.into()).repeatable()
    }

    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            query: String::new(),
            body: None,
            needs: None,
            repeatable: false,
        }
    }

    /// Marks a call that is safe to repeat after GitHub has acted on it.
    pub(crate) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let mark = if self.query.is_empty() { '?' } else { '&' };
        self.query = format!("{}{mark}{name}={}", self.query, encode(value));
        self
    }

    /// A page of a list, counted from 1.
    pub(crate) fn page(self, page: u32) -> Self {
        self.with("per_page", &PAGE_SIZE.to_string())
            .with("page", &page.to_string())
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn needs(mut self, access: Access) -> Self {
        self.needs = Some(access);
        self
    }

    pub(crate) fn access(&self) -> Option<&Access> {
        self.needs.as_ref()
    }

    /// The permission that the App needs for it.
    pub(crate) fn permission(&self) -> Option<Permission> {
        self.needs.as_ref().map(Access::permission)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// GitHub's response, with any status.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// Parses the body if the response is a success.
    pub(crate) fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Error> {
        self.success(call)?;
        // The parser's message may quote the body, and some bodies are secrets.
        serde_json::from_slice(&self.body).map_err(|error| {
            unavailable(
                call,
                format!(
                    "unexpected response at line {}, column {}",
                    error.line(),
                    error.column()
                ),
            )
        })
    }

    /// Whether the response is a success; otherwise the error.
    pub(crate) fn success(&self, call: &Call) -> Result<(), Error> {
        if self.status.is_success() {
            return Ok(());
        }
        let advice = match (self.status, call.permission()) {
            (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, Some(needs)) => format!(
                "; the App needs {needs} here: grant it in the App's settings, accept the change for the installation, and check that the installation includes the repository"
            ),
            _ => String::new(),
        };
        Err(Error::Refused {
            call: call.to_string(),
            status: self.status.as_u16(),
            message: self.message(),
            advice,
        })
    }

    /// GitHub's message in an error.
    pub(crate) fn message(&self) -> String {
        #[derive(Deserialize)]
        struct Body {
            message: String,
        }
        serde_json::from_slice::<Body>(&self.body)
            .map_or_else(
                |_| String::from_utf8_lossy(&self.body).trim().to_owned(),
                |body| body.message,
            )
            .chars()
            .take(MESSAGE_LIMIT)
            .collect()
    }
}

/// The connections to one GitHub.
pub(crate) struct Transport {
    pool: Mutex<Pool>,
    connector: Connector,
    base: Uri,
    url: ApiUrl,
    patience: Patience,
    /// Requests that may still be sent, retries included.
    left: AtomicU32,
}

/// octocrab keeps connections alive between calls. A new pool has none.
struct Pool {
    octocrab: Octocrab,
    /// Counts the pools.
    generation: u64,
    /// When it was last used, by both clocks.
    used: (Instant, SystemTime),
}

impl Pool {
    fn has_rested(&self) -> bool {
        let (clock, day) = self.used;
        // The wall clock may be set back; then the monotonic clock decides.
        let by_day = day.elapsed().unwrap_or_default();
        clock.elapsed().max(by_day) > REST_LIMIT
    }
}

/// Why a try gave no response.
enum Failed {
    /// A retry may succeed.
    Lost(Error),
    /// A retry would fail too.
    Final(Error),
}

impl Transport {
    /// Requires a tokio runtime: octocrab spawns a task.
    pub(crate) fn new(
        url: ApiUrl,
        patience: Patience,
        trust: Trust,
        reach: Reach,
    ) -> Result<Self, Error> {
        let base: Uri = url
            .to_string()
            .parse()
            .map_err(|error: http::uri::InvalidUri| Error::Client(error.to_string()))?;
        let connector = connector(trust, reach)?;
        let pool = Mutex::new(Pool {
            octocrab: octocrab(&connector, &base),
            generation: 0,
            used: (Instant::now(), SystemTime::now()),
        });
        Ok(Self {
            pool,
            connector,
            base,
            url,
            patience,
            left: AtomicU32::new(u32::MAX),
        })
    }

    /// Allows this many more requests.
    pub(crate) fn allow(&self, requests: u32) {
        self.left.store(requests, Relaxed);
    }

    pub(crate) fn url(&self) -> &ApiUrl {
        &self.url
    }

    /// Waits before a rejected call is checked again.
    pub(crate) async fn pause(&self) {
        tokio::time::sleep(jittered(self.patience.second_look)).await;
    }

    /// Sends the call with `token`. Rate limits and 5xx are errors; the caller judges any other
    /// response.
    ///
    /// An idempotent call without a usable response is retried on a new connection.
    pub(crate) async fn send(&self, token: &Secret, call: &Call) -> Result<Answer, Error> {
        self.send_as(Some(token), call).await
    }

    /// The same; without a token as nobody.
    pub(crate) async fn send_as(
        &self,
        token: Option<&Secret>,
        call: &Call,
    ) -> Result<Answer, Error> {
        let begun = Instant::now();
        let mut pause = self.patience.repeat;
        let mut attempt = 1;
        loop {
            let spent = self
                .left
                .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
            if spent.is_err() {
                let reason = "not sent: the caller allowed no more calls".to_owned();
                return Err(unavailable(call, reason));
            }
            let (octocrab, generation) = self.pool();
            let error = match self.attempt(&octocrab, token, call).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Lost(error)) => error,
            };
            // The same cause may have broken the other kept connections.
            self.renew(generation);
            if !call.repeatable || attempt >= ATTEMPTS || begun.elapsed() >= REPEAT_WITHIN {
                return Err(error);
            }
            tracing::warn!(%error, attempt, "retrying the GitHub call on a new connection");
            tokio::time::sleep(jittered(pause)).await;
            pause *= 4;
            attempt += 1;
        }
    }

    /// The current pool, or a new one if it was idle for long.
    fn pool(&self) -> (Octocrab, u64) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.has_rested() {
            self.replace(&mut pool);
        }
        pool.used = (Instant::now(), SystemTime::now());
        (pool.octocrab.clone(), pool.generation)
    }

    /// Drops all kept connections, unless another call has done so since.
    fn renew(&self, failed: u64) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.generation == failed {
            self.replace(&mut pool);
        }
    }

    fn replace(&self, pool: &mut Pool) {
        pool.octocrab = octocrab(&self.connector, &self.base);
        pool.generation += 1;
    }

    async fn attempt(
        &self,
        octocrab: &Octocrab,
        token: Option<&Secret>,
        call: &Call,
    ) -> Result<Answer, Failed> {
        let bearer = match token {
            Some(token) => octocrab
                .user_access_token(token.expose().to_owned())
                .map_err(|error| Failed::Final(Error::Client(chain(&error))))?,
            None => octocrab.clone(),
        };
        let mut target = format!("{}{}{}", self.url.base_path(), call.path, call.query);
        for _ in 0..=REDIRECTS {
            let answer = tokio::time::timeout(CALL_TIMEOUT, exchange(&bearer, call, &target))
                .await
                .map_err(|_| {
                    Failed::Lost(unavailable(
                        call,
                        format!("no response within {CALL_TIMEOUT:?}"),
                    ))
                })??;
            match self.redirect(call, &answer) {
                Some(next) => target = next,
                None => return judge(call, answer),
            }
        }
        let circle = "redirected in a circle".to_owned();
        Err(Failed::Final(unavailable(call, circle)))
    }

    /// The redirect's target, if it is on the same GitHub: a renamed or moved repository. GitHub
    /// has not acted on a redirected request, so any method may follow a 307 or 308.
    fn redirect(&self, call: &Call, answer: &Answer) -> Option<String> {
        let follows = match answer.status.as_u16() {
            301 | 302 => call.method == Method::GET,
            307 | 308 => true,
            _ => false,
        };
        let location = answer.headers.get(LOCATION).filter(|_| follows)?;
        let target = location.to_str().ok()?;
        let path = target.strip_prefix(self.url.origin()).unwrap_or(target);
        path.starts_with('/').then(|| path.to_owned())
    }
}

/// Opens connections. Its TLS configuration, with the certificate authorities, outlives a pool.
type Connector = TimeoutConnector<HttpsConnector<Reach>>;

fn connector(trust: Trust, reach: Reach) -> Result<Connector, Error> {
    let tls = trust
        .tls()
        .map_err(|error| Error::Client(error.to_string()))?;
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        // [`ApiUrl`] accepts plain HTTP only on this machine.
        .https_or_http()
        .enable_http1()
        .wrap_connector(reach);
    let mut connector = TimeoutConnector::new(https);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    Ok(connector)
}

/// A client without connections, as octocrab builds its own. Only that one reads the system's
/// authorities, each time.
fn octocrab(connector: &Connector, base: &Uri) -> Octocrab {
    let client: Client<_, OctoBody> =
        Client::builder(TokioExecutor::new()).build(connector.clone());
    let headers = vec![
        (USER_AGENT, HeaderValue::from_static("octocrab")),
        (
            ACCEPT,
            HeaderValue::from_static("application/vnd.github+json"),
        ),
    ];
    let built = OctocrabBuilder::new_empty()
        .with_service(client)
        .with_layer(&ExtraHeadersLayer::new(Arc::new(headers)))
        .with_layer(&BaseUriLayer::new(base.clone()))
        .with_auth(AuthState::None)
        .build();
    match built {
        Ok(octocrab) => octocrab,
    }
}

/// Sends one request and reads its whole response. The target is a path without a host: octocrab
/// sends the token only to its own host.
async fn exchange(bearer: &Octocrab, call: &Call, target: &str) -> Result<Answer, Failed> {
    let lost = |error: octocrab::Error| {
        Failed::Lost(if is_untrusted(&error) {
            Error::Untrusted {
                call: call.to_string(),
                reason: chain(&error),
            }
        } else {
            unavailable(call, chain(&error))
        })
    };
    let request = Request::builder().method(&call.method).uri(target);
    let request = bearer
        .build_request(request, call.body.as_ref())
        .map_err(|error| Failed::Final(Error::Client(chain(&error))))?;
    let (parts, body) = bearer.execute(request).await.map_err(lost)?.into_parts();
    let body = body.collect().await.map_err(lost)?.to_bytes().to_vec();
    tracing::debug!(%call, status = parts.status.as_u16(), "GitHub responded");
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

fn judge(call: &Call, answer: Answer) -> Result<Answer, Failed> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let message = answer.message();
    if let Some(retry_after) = limit::retry_after(answer.status, &answer.headers, &message, now) {
        return Err(Failed::Final(Error::RateLimited {
            call: call.to_string(),
            retry_after,
        }));
    }
    if answer.status.is_server_error() || answer.status == StatusCode::REQUEST_TIMEOUT {
        let reason = format!("status {}: {message}", answer.status.as_u16());
        return Err(Failed::Lost(unavailable(call, reason)));
    }
    Ok(answer)
}

pub(crate) fn unavailable(call: &Call, reason: String) -> Error {
    Error::Unavailable {
        call: call.to_string(),
        reason,
    }
}

/// An error with its causes: the outermost alone is often just "service error".
fn chain(error: &octocrab::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_encoded() {
        let call = Call::get("/x").with("name", "a b&c=d").with("page", "2");
        assert_eq!(call.query, "?name=a%20b%26c%3Dd&page=2");
        assert_eq!(call.to_string(), "GET /x");
    }

    #[test]
    fn an_unreadable_answer_is_not_quoted() {
        let answer = Answer {
            status: StatusCode::CREATED,
            headers: HeaderMap::new(),
            body: br#"{"token":"hunter2"}"#.to_vec(),
        };
        let error = answer.json::<Vec<String>>(&Call::post("/x")).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
