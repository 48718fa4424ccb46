//! A GitHub whose every answer the test decides: for what a model of GitHub would not say.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use axum::http::request::Parts;
use github::{ApiUrl, App, AppSource, GitHub, Installation, Patience};
use protocol::Job;
use serde_json::{Value, json};

pub(crate) const KEY: &str = include_str!("../keys/app.pkcs1.pem");
pub(crate) const ROTATED_KEY: &str = include_str!("../keys/rotated.pem");

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `GET /path?query`.
    pub(crate) line: String,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Value,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// What is answered.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    never: bool,
}

pub(crate) fn reply(status: u16, body: impl ToString) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: body.to_string(),
        never: false,
    }
}

impl Reply {
    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Never answers; the clock of the test stops, so that only time-outs go on.
    pub(crate) fn never() -> Self {
        Self {
            never: true,
            ..reply(200, "")
        }
    }
}

type Answers = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

#[derive(Clone)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Answers,
    stopped: Arc<AtomicBool>,
}

pub(crate) struct Stub {
    shared: Shared,
    pub(crate) url: String,
}

impl Stub {
    /// Answers as `answers` says. What it leaves to the stub is answered 404.
    pub(crate) async fn start(
        answers: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            seen: Arc::default(),
            stopped: Arc::default(),
            answers: Arc::new(move |seen| {
                answers(seen)
                    .or_else(|| issues_a_token(seen))
                    .or_else(|| shows_the_app(seen))
                    .unwrap_or_else(|| reply(404, json!({ "message": "Not Found" })))
            }),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shared, url }
    }

    pub(crate) fn github(&self) -> GitHub {
        self.github_of(App::new("1234", KEY).unwrap())
    }

    pub(crate) fn github_of(&self, source: impl AppSource) -> GitHub {
        let url: ApiUrl = self.url.parse().unwrap();
        GitHub::with_patience(url, source, Patience::NONE).unwrap()
    }

    pub(crate) fn installation(&self) -> Installation {
        self.github().installation(77)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many requests began so.
    pub(crate) fn hits(&self, line: &str) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.line.starts_with(line))
            .count()
    }
}

/// An installation token that is good for the next thousand years.
fn issues_a_token(seen: &Seen) -> Option<Reply> {
    let id = seen
        .line
        .strip_prefix("POST /app/installations/")?
        .strip_suffix("/access_tokens")?;
    Some(token(&format!("ghs_{id}"), "3000-01-01T00:00:00Z"))
}

/// The App itself, which GitHub always shows.
fn shows_the_app(seen: &Seen) -> Option<Reply> {
    let page = json!({ "html_url": "https://github.com/apps/our-runners" });
    (seen.line == "GET /app").then(|| reply(200, page))
}

/// The job of that number, of run 2 of octo/hello.
pub(crate) fn job(id: u64) -> Job {
    serde_json::from_value(json!({
        "id": id, "runId": 2, "runAttempt": 1, "name": "build", "workflow": "CI",
        "repository": "octo/hello", "ownerType": "Organization", "private": true,
        "labels": ["linux"], "installationId": 77, "queuedAt": "2026-01-01T00:00:00Z"
    }))
    .unwrap()
}

pub(crate) fn token(token: &str, expires_at: &str) -> Reply {
    reply(201, json!({ "token": token, "expires_at": expires_at }))
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response<Body> {
    let (
        Parts {
            method,
            uri,
            headers,
            ..
        },
        body,
    ) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let seen = Seen {
        line: format!("{method} {uri}"),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    shared.seen.lock().unwrap().push(seen.clone());
    let reply = (shared.answers)(&seen);
    if reply.never {
        // The clock can be stopped only once.
        if !shared.stopped.swap(true, Ordering::Relaxed) {
            tokio::time::pause();
        }
        pending::<()>().await;
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).unwrap()
}
