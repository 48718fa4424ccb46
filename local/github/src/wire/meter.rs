//! What is called how often, and GitHub's limits on that.
//! <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};

use crate::clock::fine_stamp;
use crate::faults::{Fault, FaultKind};
use crate::random;
use crate::state::world::{Shared, World};
use crate::wire::answer::Refusal;
use crate::wire::auth::presented;

/// Kept for a look; the counts go on.
const RECORDS: usize = 10_000;
const HOUR: i64 = 3600;
const MINUTE: i64 = 60;
/// Where GitHub Enterprise Server has its REST API.
pub(crate) const ENTERPRISE_PREFIX: &str = "/api/v3";

/// One call that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// When it came.
    pub at: String,
    /// Its method.
    pub method: String,
    /// Its route, as GitHub's description of the API names it.
    pub route: String,
    /// Its path with the query.
    pub path: String,
    /// The status it was answered with; 0 if it was not answered.
    pub status: u16,
    /// The installation whose token it carried.
    pub installation: Option<u64>,
}

/// All that was called since the start, or since it was cleared.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) records: VecDeque<RequestRecord>,
    pub(crate) counts: BTreeMap<String, u64>,
    hours: BTreeMap<u64, Window>,
    configurations: BTreeMap<u64, Window>,
}

/// A count that starts anew at `ends` (seconds since 1970).
#[derive(Clone, Copy, Debug)]
struct Window {
    ends: i64,
    used: u64,
}

impl Traffic {
    /// Forgets the calls, not what they used of the limits.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.counts.clear();
    }
}

impl Window {
    fn count(slot: &mut Option<Self>, now: i64, length: i64) -> Self {
        let fresh = Self {
            ends: now + length,
            used: 0,
        };
        let window = slot.get_or_insert(fresh);
        if window.ends <= now {
            *window = fresh;
        }
        window.used += 1;
        *window
    }
}

fn count(windows: &mut BTreeMap<u64, Window>, of: u64, now: i64, length: i64) -> Window {
    let mut slot = windows.remove(&of);
    let window = Window::count(&mut slot, now, length);
    windows.insert(of, window);
    window
}

impl World {
    /// Counts a call against the hour's limit: the headers that say how it stands, and whether it is
    /// too much.
    fn count_call(&mut self, installation: u64) -> (Vec<(&'static str, String)>, bool) {
        let now = self.now().unix_timestamp();
        let limit = self.settings.hourly_limit;
        let window = count(&mut self.traffic.hours, installation, now, HOUR);
        let headers = vec![
            ("x-ratelimit-limit", limit.to_string()),
            (
                "x-ratelimit-remaining",
                limit.saturating_sub(window.used).to_string(),
            ),
            ("x-ratelimit-reset", window.ends.to_string()),
            ("x-ratelimit-used", window.used.min(limit).to_string()),
            ("x-ratelimit-resource", "core".to_owned()),
        ];
        (headers, self.settings.enforce_limits && window.used > limit)
    }

    /// Counts a just-in-time configuration against the minute's limit.
    pub(crate) fn count_configuration(&mut self, installation: u64) -> Result<(), Refusal> {
        let now = self.now().unix_timestamp();
        let window = count(&mut self.traffic.configurations, installation, now, MINUTE);
        if self.settings.enforce_limits && window.used > self.settings.configurations_per_minute {
            let retry_after = u64::try_from(window.ends - now).unwrap_or(1).max(1);
            let limit = FaultKind::SecondaryLimit { retry_after };
            return Err(limit.refusal(now).unwrap_or_else(Refusal::forbidden));
        }
        Ok(())
    }
}

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
        let faults = world.take_faults(&method, uri.path(), &template);
        (
            installation,
            limits,
            exceeded,
            faults,
            fine_stamp(world.now()),
        )
    });
    let response = answer(&shared, request, next, exceeded, faults).await;
    let status = response
        .as_ref()
        .map_or(0, |response| response.status().as_u16());
    if !ours {
        shared.note(|world| {
            let record = RequestRecord {
                at,
                method: method.to_string(),
                route: template.clone(),
                path: uri
                    .path_and_query()
                    .map_or("", |path| path.as_str())
                    .to_owned(),
                status,
                installation,
            };
            *world
                .traffic
                .counts
                .entry(format!("{method} {template}"))
                .or_default() += 1;
            world.traffic.records.push_back(record);
            if world.traffic.records.len() > RECORDS {
                world.traffic.records.pop_front();
            }
        });
    }
    let Some(mut response) = response else {
        return cut();
    };
    add_headers(response.headers_mut(), limits);
    response
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
        let refusal = Refusal::new(
            StatusCode::FORBIDDEN,
            "API rate limit exceeded for installation.",
        );
        return Some(refusal.into_response());
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
            other => return Some(other.refusal(now).map(IntoResponse::into_response)),
        }
    }
    None
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
