//! Counts, limits and spoils calls.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::clock::fine_stamp;
use crate::faults::{Fault, FaultKind, Met};
use crate::random;
use crate::state::refusal::Refusal;
use crate::state::shared::Shared;
use crate::state::traffic::RequestRecord;
use crate::wire::answer::status;
use crate::wire::auth::presented;

/// Largest body of a call; those of this API have some kilobytes.
const BODY_LIMIT: usize = 1 << 20;
/// What is kept of the body of a call that a fault met.
const TEXT_KEPT: usize = 4 * 1024;
/// Where GitHub Enterprise Server has its REST API.
pub(crate) const ENTERPRISE_PREFIX: &str = "/api/v3";

/// Counts, limits and spoils calls.
pub(crate) async fn meter(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let uri = request.uri().clone();
    let template = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("(unknown)", MatchedPath::as_str);
    let template = template
        .strip_prefix(ENTERPRISE_PREFIX)
        .unwrap_or(template)
        .to_owned();
    let ours = template.starts_with("/_");
    let (installation, limits, exceeded, faults, at) = shared.note(|world| {
        let installation =
            presented(request.headers()).and_then(|token| world.tokens.installation(token));
        let (limits, exceeded) = match installation {
            Some(installation) if !ours => world.count_call(installation),
            _ => (Vec::new(), false),
        };
        let faults = world.take_faults(method.as_str(), uri.path(), &template);
        (
            installation,
            limits,
            exceeded,
            faults,
            fine_stamp(world.now()),
        )
    });
    let request = if faults.is_empty() {
        request
    } else {
        let (request, body) = read(request).await;
        shared.note(|world| {
            let at = fine_stamp(world.exactly());
            for fault in &faults {
                world.traffic.meet(Met {
                    at: at.clone(),
                    fault: fault.clone(),
                    path: uri.to_string(),
                    body: body.clone(),
                });
            }
        });
        request
    };
    let response = answer(&shared, request, next, exceeded, faults).await;
    let status = response
        .as_ref()
        .map_or(0, |response| response.status().as_u16());
    if !ours {
        shared.note(|world| {
            let record = RequestRecord {
                at,
                method: method.to_string(),
                route: template,
                path: uri
                    .path_and_query()
                    .map_or("", |path| path.as_str())
                    .to_owned(),
                status,
                installation,
            };
            world.traffic.record(record);
        });
    }
    let Some(mut response) = response else {
        return cut();
    };
    add_headers(response.headers_mut(), limits);
    response
}

/// Reads a request's body: the same request again, and the body's first part as text. A body that
/// breaks or is too large for GitHub is empty.
async fn read(request: Request) -> (Request, String) {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body[..body.len().min(TEXT_KEPT)]).into_owned();
    (Request::from_parts(parts, Body::from(body)), text)
}

/// The call's answer; nothing if the connection is to be cut.
async fn answer(
    shared: &Arc<Shared>,
    request: Request,
    next: Next,
    exceeded: bool,
    faults: Vec<Fault>,
) -> Option<Response> {
    let now = shared.read(|world| world.now().unix_timestamp());
    if exceeded {
        return Some(Refusal::rate_limited().into_response());
    }
    let (after, before): (Vec<Fault>, Vec<Fault>) =
        faults.into_iter().partition(|fault| fault.after);
    if let Some(spoilt) = spoil(&before, now).await {
        return spoilt;
    }
    let response = next.run(request).await;
    spoil(&after, now).await.unwrap_or(Some(response))
}

/// Waits as slow faults ask, and gives what the first of the others answers.
async fn spoil(faults: &[Fault], now: i64) -> Option<Option<Response>> {
    for fault in faults {
        match &fault.kind {
            FaultKind::Slow { milliseconds } => {
                tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
            }
            FaultKind::Disconnect => return Some(None),
            other => return Some(refusal(other, now).map(IntoResponse::into_response)),
        }
    }
    None
}

/// What a fault answers; nothing for one that answers nothing itself.
fn refusal(fault: &FaultKind, now: i64) -> Option<Refusal> {
    match fault {
        FaultKind::Status {
            status: number,
            message,
            retry_after,
        } => {
            let status = status(*number);
            let words = status.canonical_reason().unwrap_or("Server Error");
            let message = message.clone().unwrap_or_else(|| words.to_owned());
            let refusal = Refusal::new(status.as_u16(), message);
            Some(match retry_after {
                Some(seconds) => refusal.with_header("retry-after", seconds.to_string()),
                None => refusal,
            })
        }
        FaultKind::RateLimited { reset_seconds } => Some(
            Refusal::rate_limited()
                .with_header("x-ratelimit-remaining", "0".to_owned())
                .with_header("x-ratelimit-reset", (now + reset_seconds).to_string()),
        ),
        FaultKind::SecondaryLimit { retry_after } => Some(Refusal::secondary_limit(*retry_after)),
        FaultKind::Slow { .. } | FaultKind::Disconnect => None,
    }
}

fn add_headers(headers: &mut HeaderMap, limits: Vec<(&'static str, String)>) {
    let identity = [
        ("x-github-media-type", "github.v3; format=json".to_owned()),
        ("x-github-request-id", random::uuid()),
        ("server", "github.com (stand-in)".to_owned()),
    ];
    for (name, value) in limits.into_iter().chain(identity) {
        // A fault may have set its own.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers
                .entry(HeaderName::from_static(name))
                .or_insert(value);
        }
    }
}

/// An answer whose body breaks at once: the server gives the connection up, and the caller sees it
/// closed before the answer was complete.
fn cut() -> Response {
    let broken = Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionAborted));
    Response::new(Body::from_stream(stream::iter([broken])))
}
