//! GitHub on loopback: the calls of a job that goes well, and of a sweep that finds nothing to do.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Request;
use hyper::body::Bytes;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::serve::{Answer, Service, json};

/// The size of a real configuration for four labels.
const CONFIGURATION: usize = 4_088;

/// GitHub's API.
#[derive(Default)]
pub(crate) struct GitHub {
    calls: Mutex<BTreeMap<String, u64>>,
    /// How long an answer takes.
    pub(crate) latency: Mutex<Duration>,
}

impl GitHub {
    /// The calls since they were last taken.
    pub(crate) fn take_calls(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Service for GitHub {
    fn answer(
        self: Arc<Self>,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        Box::pin(async move {
            let (route, status, body) = route(&request);
            *self
                .calls
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(route)
                .or_default() += 1;
            let latency = *self.latency.lock().unwrap_or_else(PoisonError::into_inner);
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            let mut answer = json(status, &body);
            for (name, value) in [
                ("x-ratelimit-limit", "12500"),
                ("x-ratelimit-remaining", "12000"),
            ] {
                let value = hyper::header::HeaderValue::from_static(value);
                answer.headers_mut().insert(name, value);
            }
            answer
        })
    }
}

/// What was called, and its answer.
fn route(request: &Request<Bytes>) -> (String, u16, Value) {
    let path = request.uri().path();
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    let sent: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let soon = OffsetDateTime::now_utc() + Duration::from_hours(1);
    let (route, status, body) = match parts[..] {
        ["app", "installations", _, "access_tokens"] => (
            "/app/installations/{id}/access_tokens",
            201,
            json!({ "token": "ghs_0123456789", "expires_at": soon.format(&Rfc3339).unwrap_or_default() }),
        ),
        ["repos", _, _, "actions", "runners", "generate-jitconfig"] => (
            "/repos/{owner}/{repo}/actions/runners/generate-jitconfig",
            201,
            json!({
                "runner": {
                    "id": 42, "name": sent["name"], "os": "unknown", "status": "offline",
                    "busy": false, "labels": [], "runner_group_id": 1,
                },
                "encoded_jit_config": configuration(),
            }),
        ),
        ["repos", owner, name, "actions", "jobs", id] => (
            "/repos/{owner}/{repo}/actions/jobs/{id}",
            200,
            json!({
                "id": id.parse::<u64>().unwrap_or_default(), "run_id": 99, "run_attempt": 1,
                "status": "completed", "conclusion": "success", "name": "build",
                "created_at": "2026-01-01T00:00:00Z", "started_at": "2026-01-01T00:00:40Z",
                "completed_at": "2026-01-01T00:05:00Z", "labels": ["self-hosted", "linux", "x64"],
                "runner_id": 42, "runner_name": format!("fr-{name}-{id}"),
                "html_url": format!("https://github.com/{owner}/{name}/actions/runs/99/job/{id}"),
            }),
        ),
        ["app", "hook", "deliveries"] => ("/app/hook/deliveries", 200, json!([])),
        _ => (path, 404, json!({ "message": "Not Found" })),
    };
    (format!("{} {route}", request.method()), status, body)
}

/// A configuration as GitHub nests it: base64 of JSON whose values are base64 again.
pub(crate) fn configuration() -> String {
    let quarter = noise(CONFIGURATION / 4 * 3 / 4);
    let files = json!({
        ".runner": quarter, ".credentials": quarter.replace('A', "B"),
        ".credentials_rsaparams": noise(CONFIGURATION / 4 * 3 / 2 - 120),
    });
    STANDARD.encode(files.to_string())
}

/// Base64 characters without a pattern, the same in every run.
fn noise(length: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 1_u64;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(ALPHABET[usize::try_from(state >> 58).unwrap_or_default()])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_as_long_as_a_real_one() {
        let length = configuration().len();
        assert!((3_900..4_200).contains(&length), "{length} characters");
    }
}
