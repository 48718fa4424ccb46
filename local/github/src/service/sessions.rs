//! How a listener speaks with the stand-in.
//!
//! The real protocol between listener and GitHub is private to them; this one says the same in few
//! words. A session is a connection: as long as the listener has a request for messages open, or
//! had one a moment ago, its runner is online.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::response::Response;
use axum::routing::{delete, get, post};
use serde::Deserialize;
use serde_json::json;

use crate::state::connection::Connection;
use crate::state::jit::Credential;
use crate::state::job::JobStatus;
use crate::state::refusal::Refusal;
use crate::state::session::{Doing, Message};
use crate::state::shared::Shared;
use crate::state::world::World;
use crate::wire::answer::{Answer, created, nothing, ok, query, read};

/// How long a request for messages stays open. GitHub: 50 s.
const POLL: Duration = Duration::from_secs(20);

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_runner/sessions", post(open))
        .route("/_runner/sessions/{session}", delete(close))
        .route("/_runner/sessions/{session}/message", get(poll))
        .route(
            "/_runner/sessions/{session}/jobs/{job}/acquire",
            post(acquire),
        )
        .route(
            "/_runner/sessions/{session}/jobs/{job}/output",
            post(output),
        )
        .route(
            "/_runner/sessions/{session}/jobs/{job}/summary",
            post(summary),
        )
        .route(
            "/_runner/sessions/{session}/jobs/{job}/complete",
            post(complete),
        )
}

#[derive(Debug, Deserialize)]
struct OpenRequest {
    client_id: String,
    secret: String,
    version: String,
}

async fn open(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let request: OpenRequest = read(&body)?;
    let credential = Credential {
        client_id: request.client_id,
        secret: request.secret,
    };
    let (session, fault) = shared.change(|world| {
        let session = world.open_session(&credential, &request.version)?;
        Ok::<_, Refusal>((session, world.settings.listener))
    })?;
    let body = json!({ "session": session, "fault": fault });
    Ok(created(&body))
}

async fn close(State(shared): State<Arc<Shared>>, Path(session): Path<String>) -> Response {
    shared.change(|world| world.close_session(&session));
    nothing()
}

async fn poll(
    State(shared): State<Arc<Shared>>,
    Path(session): Path<String>,
    OriginalUri(uri): OriginalUri,
) -> Answer {
    let doing = match query(&uri, "doing").as_deref() {
        Some("busy") => Doing::Busy,
        Some("ending") => Doing::Ending,
        _ => Doing::Idle,
    };
    let _connection = Connection::new(&shared, &session);
    let message = shared
        .wait(POLL, |world| world.message(&session, doing).transpose())
        .await
        .transpose()?;
    let (kind, job) = match message {
        None => return Ok(nothing()),
        Some(Message::Job(job)) => ("job", Some(job)),
        Some(Message::Cancel(job)) => ("cancel", Some(job)),
        Some(Message::Update) => ("update", None),
    };
    Ok(ok(&json!({ "kind": kind, "job": job })))
}

async fn acquire(
    State(shared): State<Arc<Shared>>,
    Path((session, job)): Path<(String, u64)>,
) -> Answer {
    let job = shared
        .change(|world| world.acquire(&session, job))
        .ok_or_else(Refusal::not_found)?;
    let base = shared.read(|world| world.base.clone());
    Ok(ok(&json!({
        "id": job.id,
        "name": job.name,
        "run": job.run,
        "env": job.env,
        "repository": job.repository,
        "workflow": job.workflow,
        "run_id": job.run_id,
        "run_attempt": job.run_attempt,
        "server_url": base,
    })))
}

async fn output(
    State(shared): State<Arc<Shared>>,
    Path((session, job)): Path<(String, u64)>,
    body: Bytes,
) -> Answer {
    append(&shared, &session, job, &body, World::append_output)
}

async fn summary(
    State(shared): State<Arc<Shared>>,
    Path((session, job)): Path<(String, u64)>,
    body: Bytes,
) -> Answer {
    append(&shared, &session, job, &body, World::append_summary)
}

/// Takes a text from the runner that runs the job, and from no other.
fn append(
    shared: &Shared,
    session: &str,
    job: u64,
    body: &[u8],
    append: fn(&mut World, u64, &str),
) -> Answer {
    let text = String::from_utf8_lossy(body);
    let known = shared.change(|world| {
        let runner = world.sessions.get(session).map(|session| session.runner);
        let its = world.jobs.get(&job).is_some_and(|entry| {
            entry.job.status == JobStatus::InProgress && entry.job.runner_id == runner
        });
        if its {
            append(world, job, &text);
        }
        its
    });
    if known {
        Ok(nothing())
    } else {
        Err(Refusal::not_found())
    }
}

#[derive(Debug, Deserialize)]
struct CompleteRequest {
    result: String,
}

async fn complete(
    State(shared): State<Arc<Shared>>,
    Path((session, job)): Path<(String, u64)>,
    body: Bytes,
) -> Answer {
    let request: CompleteRequest = read(&body)?;
    let conclusion = match request.result.as_str() {
        "Succeeded" => "success",
        "Canceled" => "cancelled",
        _ => "failure",
    };
    if shared.change(|world| world.complete(&session, job, conclusion)) {
        Ok(nothing())
    } else {
        Err(Refusal::not_found())
    }
}
