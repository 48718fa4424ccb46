//! How a listener speaks with the stand-in.
//!
//! The real protocol between listener and GitHub is private to them; this one says the same in few
//! words. A session is a connection: as long as the listener has a request for messages open, or
//! had one a moment ago, its runner is online.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get, post};
use serde::Deserialize;
use serde_json::json;

use crate::config::DeletionNotice;
use crate::random;
use crate::service::registrations;
use crate::state::jit::Credential;
use crate::state::jobs::{Job, JobStatus};
use crate::state::world::{Shared, World};
use crate::wire::answer::{Answer, Refusal, json as answer, nothing, query, read};

/// How long a request for messages stays open. GitHub: 50 s.
const POLL: Duration = Duration::from_secs(20);

/// Why a session has ended for its listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Its runner was deleted.
    Deleted,
    /// Its runner has had its job.
    Ended,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) runner: u64,
    /// Set once the runner is gone.
    pub(crate) notice: Option<Notice>,
    /// Its registration is used up and nobody tells it.
    pub(crate) ghost: bool,
    /// It shall replace itself by a newer version.
    pub(crate) update: bool,
    version: String,
    /// Requests for messages that are open.
    connections: usize,
    last_heard: Instant,
}

/// What a listener is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Job(u64),
    Cancel(u64),
    Update,
}

/// What the listener is doing while it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Idle,
    /// It has a job.
    Busy,
    /// It has a job and knows that it is cancelled.
    Ending,
}

impl Session {
    /// Whether it would hear of a job.
    pub(crate) fn is_listening(&self, world: &World) -> bool {
        self.notice.is_none() && !self.ghost && !self.update && !world.is_outdated(&self.version)
    }

    /// For how long nothing was heard of it; nothing while it is connected.
    pub(crate) fn silence(&self, now: Instant) -> Option<Duration> {
        (self.connections == 0).then(|| now.saturating_duration_since(self.last_heard))
    }
}

impl World {
    /// Opens the session of a runner.
    pub(crate) fn open_session(
        &mut self,
        credential: &Credential,
        version: &str,
    ) -> Result<String, Refusal> {
        let runner = self
            .runners
            .values_mut()
            .find(|runner| runner.credential == *credential)
            .ok_or_else(|| Refusal::new(StatusCode::UNAUTHORIZED, "invalid_client"))?;
        if runner.session.is_some() {
            return Err(Refusal::new(
                StatusCode::CONFLICT,
                "The runner has a session already.",
            ));
        }
        if runner.job.is_some() {
            // It went while a job was leased to it; that job is not handed out again so soon.
            return Err(Refusal::new(
                StatusCode::CONFLICT,
                "The runner's last session is not over yet.",
            ));
        }
        let now = Instant::now();
        let id = random::uuid();
        runner.session = Some(id.clone());
        runner.version = Some(version.to_owned());
        runner.idle_since = Some(now);
        runner.lost_at = None;
        let session = Session {
            runner: runner.id,
            notice: None,
            ghost: false,
            update: false,
            version: version.to_owned(),
            connections: 0,
            last_heard: now,
        };
        self.sessions.insert(id.clone(), session);
        Ok(id)
    }

    /// Ends a session from either side. A job that its runner had stays with it for a while.
    pub(crate) fn close_session(&mut self, id: &str) {
        let Some(session) = self.sessions.remove(id) else {
            return;
        };
        if let Some(runner) = self.runners.get_mut(&session.runner)
            && runner.session.as_deref() == Some(id)
        {
            runner.session = None;
            runner.idle_since = None;
            runner.lost_at = Some(session.last_heard);
        }
    }

    /// What there is to tell; an end of the session is a refusal.
    fn message(&self, session: &str, doing: Doing) -> Result<Option<Message>, Refusal> {
        let revoked = || Refusal::new(StatusCode::UNAUTHORIZED, "The runner's token is revoked.");
        let session = self.sessions.get(session).ok_or_else(revoked)?;
        match session.notice {
            Some(Notice::Deleted) if self.settings.deletion_notice == DeletionNotice::NotFound => {
                return Err(Refusal::new(StatusCode::NOT_FOUND, "Runner not found"));
            }
            Some(_) => return Err(revoked()),
            None => {}
        }
        if session.ghost {
            return Ok(None);
        }
        if doing == Doing::Idle && self.is_outdated(&session.version) {
            // GitHub words this as it likes; nothing may hang on the sentence.
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "This runner is too old to be sent jobs. Install a newer one.",
            ));
        }
        if doing == Doing::Idle && session.update {
            return Ok(Some(Message::Update));
        }
        let job = self
            .runners
            .get(&session.runner)
            .filter(|runner| runner.held_until.is_none())
            .and_then(|runner| runner.job);
        let Some(entry) = job.and_then(|job| self.jobs.get(&job)) else {
            return Ok(None);
        };
        Ok(match (entry.job.status, doing) {
            (JobStatus::Queued, Doing::Idle) => Some(Message::Job(entry.job.id)),
            (JobStatus::InProgress, Doing::Busy) if entry.cancelled => {
                Some(Message::Cancel(entry.job.id))
            }
            _ => None,
        })
    }

    pub(crate) fn has_message(&self, session: &str) -> bool {
        !matches!(self.message(session, Doing::Idle), Ok(None))
    }

    /// The session's runner begins the job it was told of.
    pub(crate) fn acquire(&mut self, session: &str, job: u64) -> Option<Job> {
        let runner = self
            .sessions
            .get(session)
            .filter(|session| session.notice.is_none())?
            .runner;
        self.begin(job, runner)
    }

    /// The session's runner is done with its job.
    pub(crate) fn complete(&mut self, session: &str, job: u64, conclusion: &str) -> bool {
        let Some(id) = self.sessions.get(session).map(|session| session.runner) else {
            return false;
        };
        let Some(runner) = self
            .runners
            .get_mut(&id)
            .filter(|runner| runner.job == Some(job))
        else {
            return false;
        };
        runner.job = None;
        runner.idle_since = Some(Instant::now());
        let ephemeral = runner.ephemeral;
        self.conclude(job, conclusion);
        if ephemeral {
            self.remove_runner(id, Notice::Ended);
        }
        true
    }

    /// Whether GitHub sends no messages to this version any more.
    fn is_outdated(&self, version: &str) -> bool {
        let numbers = |text: &str| -> Vec<u64> {
            text.split('.')
                .map(|part| part.parse().unwrap_or(0))
                .collect()
        };
        self.settings
            .minimum_runner_version
            .as_ref()
            .is_some_and(|minimum| numbers(version) < numbers(minimum))
    }
}

/// Keeps a session connected while it lives.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    session: String,
}

impl Connection {
    pub(crate) fn new(shared: &Arc<Shared>, session: &str) -> Self {
        shared.note(|world| {
            if let Some(session) = world.sessions.get_mut(session) {
                session.connections += 1;
            }
        });
        Self {
            shared: shared.clone(),
            session: session.to_owned(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.note(|world| {
            if let Some(session) = world.sessions.get_mut(&self.session) {
                session.connections = session.connections.saturating_sub(1);
                session.last_heard = Instant::now();
            }
        });
    }
}

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_runner/registrations", post(registrations::configure))
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
    Ok(answer(StatusCode::CREATED, &body))
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
    Ok(answer(StatusCode::OK, &json!({ "kind": kind, "job": job })))
}

async fn acquire(
    State(shared): State<Arc<Shared>>,
    Path((session, job)): Path<(String, u64)>,
) -> Answer {
    let job = shared
        .change(|world| world.acquire(&session, job))
        .ok_or_else(Refusal::not_found)?;
    let base = shared.read(|world| world.base.clone());
    Ok(answer(
        StatusCode::OK,
        &json!({
            "id": job.id,
            "name": job.name,
            "run": job.run,
            "env": job.env,
            "repository": job.repository,
            "workflow": job.workflow,
            "run_id": job.run_id,
            "run_attempt": job.run_attempt,
            "server_url": base,
        }),
    ))
}

async fn output(
    State(shared): State<Arc<Shared>>,
    Path((session, job)): Path<(String, u64)>,
    body: Bytes,
) -> Answer {
    let text = String::from_utf8_lossy(&body);
    let known = shared.change(|world| {
        let runner = world.sessions.get(&session).map(|session| session.runner);
        let its = world.jobs.get(&job).is_some_and(|entry| {
            entry.job.status == JobStatus::InProgress && entry.job.runner_id == runner
        });
        if its {
            world.append_output(job, &text);
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
