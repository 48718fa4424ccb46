//! Receives GitHub's webhooks and starts an execution for each queued job.
//!
//! ```text
//! request ─▶ source ─▶ size ─▶ signature over the raw bytes ─▶ meaning ─┬▶ queued, served ─▶ StartExecution
//!   403 ◀──────┘  413 ◀──┘         401 ◀──┘            422 ◀──┘         │      └ throttled ─▶ overflow queue
//!                                                                       │      └ paused ─▶ 423
//!                                                                       ├▶ cancelled, taken by another's runner ─▶ cleanup
//!                                                                       ├▶ ended on its own runner, with a table ─▶ note
//!                                                                       └▶ anything else ─▶ 202
//! overflow queue ─▶ StartExecution
//! ```
//!
//! | step | module |
//! |---|---|
//! | Lambda event | [`event`] |
//! | source address | [`source`] |
//! | signature and secrets | [`signature`], [`secret`] |
//! | webhook body | [`webhook`] |
//! | policy | [`admission`](::admission) |
//! | paused by the operator | [`pause`] |
//! | one execution per job | [`start`] |
//! | throttled: when a job is queued, and how fast the queue is read | [`throttle`] |
//! | overflow queue | [`overflow`] |
//! | events for `cleanup` | [`handoff`] |
//! | notes for `cleanup` | [`note`] |
//! | response | [`respond`] |
//! | time limits | [`deadline`] |
//!
//! GitHub waits ten seconds for a response and does not retry a delivery. A 2xx therefore means that
//! the job is started, queued or not needed. A 5xx means that it is neither started nor queued, and
//! `sweep` asks GitHub for redelivery.

pub mod deadline;
mod deps;
pub mod event;
pub mod handoff;
pub mod note;
pub mod overflow;
pub mod pause;
pub mod respond;
pub mod secret;
pub mod settings;
pub mod signature;
pub mod source;
mod span;
pub mod start;
pub mod throttle;
pub mod webhook;

use admission::{About, Refusal};
use pool::JobNote;
use protocol::{Handoff, Job, Order, RunnerName};
use runtime::telemetry::Metric;
use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

pub use deps::Deps;
pub use event::{BatchResponse, Event, Request};
pub use respond::{Done, Error, Response};
pub use settings::Config;

use deadline::{ANSWER, KEEPING, WORK, by};
use handoff::hand_on;
use overflow::{KeepError, drain, keep};
use signature::{Signature, SignatureError};
use span::record;
use start::{Patience, Started, start_by};
use webhook::Webhook;

/// If a job is older than this when its webhook arrives, it may be over or run by an idle runner: ask
/// GitHub before launching a runner.
const PROMPT: time::Duration = time::Duration::minutes(1);

/// Lambda response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To a request.
    Http(Response),
    /// To messages of the overflow queue.
    Batch(BatchResponse),
}

/// Handles a webhook or a batch of the overflow queue. Never fails: the response carries the error.
pub async fn handle(deps: &Deps, event: Event, now: OffsetDateTime) -> Answer {
    let request = match event {
        Event::Http(request) => request,
        Event::Queue(messages) => return Answer::Batch(drain(deps, messages).await),
    };
    let span = info_span!(
        "webhook",
        delivery = Empty,
        event = Empty,
        job_id = Empty,
        run_id = Empty,
        repository = Empty,
        execution = Empty
    );
    async {
        let result = take(deps, &request, now).await;
        match &result {
            Ok(done) => {
                tracing::info!(status = done.status(), answer = %done.body(), ?done, "webhook taken");
                deps.metrics().emit(Metric::WebhooksTaken, 1.0);
            }
            Err(error) => {
                tracing::warn!(status = error.status(), fault = %error.fault(), %error, "webhook not taken");
                if error.is_unsigned() {
                    deps.metrics().emit(Metric::WebhooksUnsigned, 1.0);
                    // The alarm on unsigned requests compares the two. A metric without a value
                    // compares with nothing, and before the first webhook there is none.
                    deps.metrics().emit(Metric::WebhooksTaken, 0.0);
                } else {
                    deps.metrics().emit(Metric::WebhooksUnusable, 1.0);
                }
            }
        }
        Answer::Http(Response::from(&result))
    }
    .instrument(span)
    .await
}

async fn take(deps: &Deps, request: &Request, now: OffsetDateTime) -> Result<Done, Error> {
    let act_by = Instant::now() + WORK;
    deps.config.sources.admit(request.source.as_deref())?;
    let body = request.bytes()?;
    let signature: Signature = request
        .header(signature::HEADER)
        .ok_or(SignatureError::Missing)?
        .parse()?;
    let check = deps.secrets.check(&body, &signature, now);
    let read = ("ssm:GetParameter", &*deps.config.secret_parameter);
    by(act_by, read, check).await?;

    // The signature is GitHub's from here on.
    let span = Span::current();
    let event = request.header(webhook::EVENT_HEADER);
    span.record("event", event);
    span.record("delivery", request.header(webhook::DELIVERY_HEADER));
    match Webhook::read(event, &body, now)? {
        Webhook::Ping => Ok(Done::Pong),
        Webhook::WithoutJob => Ok(Done::NoJob),
        Webhook::Other(event) => Ok(Done::Ignored(event)),
        Webhook::Queued { job, about } => {
            record(&job);
            match deps.config.policy.admit(&job, &about) {
                // GitHub lists the delivery as failed, and `sweep` asks for it again after the pause.
                Ok(()) if deps.pause.is_on(now).await => Ok(Done::Paused),
                Ok(()) => start_or_keep(deps, job, now, act_by).await,
                Err(refusal) => {
                    report_not_served(deps, &job, &about, &refusal);
                    Ok(Done::NotServed(refusal))
                }
            }
        }
        Webhook::Cancelled { job, about } => {
            record(&job);
            match deps.config.policy.admit(&job, &about) {
                Ok(()) => hand_over(deps, &Handoff::Cancelled { job }, act_by).await,
                Err(refusal) => Ok(Done::NotServed(refusal)),
            }
        }
        Webhook::Ended {
            job,
            about,
            runner,
            started_at,
            conclusion,
            completed_at,
        } => {
            let note = |runner| JobNote {
                runner,
                started_at,
                conclusion,
                completed_at,
            };
            Ok(note_completed(deps, &job, &about, &runner, note, now).await)
        }
        Webhook::Started { job, about, runner } => match taken_from(deps, &job, &runner) {
            Some(runner) => {
                record(&job);
                match deps.config.policy.admit_repository(&job, &about) {
                    // This owner's jobs cannot get our runners, so this runner only shares the name.
                    Err(refusal @ Refusal::Owner(_)) => return Ok(Done::NotServed(refusal)),
                    Err(refusal) => report_taken(deps, &job, &runner, &refusal),
                    Ok(()) => {}
                }
                // Served or not: the job that the runner was started for may have no runner.
                hand_over(deps, &Handoff::Displaced { job, runner }, act_by).await
            }
            None => Ok(Done::Ignored("a job in the hands of its runner".to_owned())),
        },
    }
}

/// Notes that the job ended on its own runner, if it did. Otherwise, and without a table, nothing
/// depends on the event.
async fn note_completed(
    deps: &Deps,
    job: &Job,
    about: &About,
    runner: &str,
    note: impl FnOnce(RunnerName) -> JobNote,
    now: OffsetDateTime,
) -> Done {
    if deps.pool.is_some()
        && let Some(runner) = note::own_runner(deps, job, runner)
        && deps.config.policy.admit_repository(job, about).is_ok()
    {
        record(job);
        if note::write(deps, job, &note(runner), now).await {
            return Done::Noted;
        }
    }
    Done::Ignored("workflow_job completed".to_owned())
}

/// Reports why a queued job starts no execution, to explain why it waits.
fn report_not_served(deps: &Deps, job: &Job, about: &About, refusal: &Refusal) {
    if refusal.is_for_githubs_runners() {
        return;
    }
    tracing::info!(
        labels = %job.labels,
        group = about.group.as_deref().unwrap_or("not named"),
        reason = %refusal,
        "a queued job is not served"
    );
    deps.metrics()
        .split(Metric::JobsNotServed, 1.0, refusal.kind());
}

/// Reports that a runner of this deployment runs a job that the policy refuses. At organization scope
/// the policy decides what is launched; the runner group decides which jobs an idle runner gets.
fn report_taken(deps: &Deps, job: &Job, runner: &RunnerName, refusal: &Refusal) {
    tracing::warn!(
        %runner,
        repository = %job.repository,
        reason = %refusal,
        "a runner of this deployment runs a job that it does not serve: admit only the allowed repositories to the runner group"
    );
    deps.metrics().emit(Metric::RunnersTakenByStrangers, 1.0);
}

/// The runner, if it is one of this deployment's and was started for another job.
fn taken_from(deps: &Deps, job: &Job, runner: &str) -> Option<RunnerName> {
    let runner: RunnerName = runner.parse().ok()?;
    let ours = *runner.deployment() == deps.config.deployment;
    (ours && runner.execution().job() != job.id).then_some(runner)
}

/// Starts an execution for the job. Queues the job after the first throttle, or after a second without
/// an answer, and for a few seconds after either.
async fn start_or_keep(
    deps: &Deps,
    job: Job,
    now: OffsetDateTime,
    act_by: Instant,
) -> Result<Done, Error> {
    let order = Order {
        recheck: now - job.created_at.unwrap_or(job.queued_at) > PROMPT,
        not_before: None,
        job,
    };
    let keep = match &deps.config.overflow_queue {
        Some(queue) => {
            let began = Instant::now();
            if deps.throttle().holds(began) {
                tracing::info!("Step Functions was throttling a moment ago; queueing the job");
            } else {
                let answer_by = act_by.min(began + ANSWER);
                let patience = Patience::UntilThrottled;
                match start_by(&deps.executions, &order, answer_by, patience).await {
                    Err(problem) if problem.passes() => {
                        deps.throttle()
                            .refused(Instant::now(), runtime::random::fraction());
                        tracing::warn!(%problem, "Step Functions is throttling; queueing the job");
                    }
                    Err(problem) => return Err(Error::Start(Box::new(problem))),
                    Ok(started) => return follow(deps, order.job, started, act_by).await,
                }
            }
            let keeping = keep(&deps.sqs, queue, &order);
            match by(act_by + KEEPING, ("sqs:SendMessage", queue), keeping).await {
                Ok(()) => {
                    deps.metrics().emit(Metric::KeptEvents, 1.0);
                    return Ok(Done::Kept);
                }
                Err(problem) => problem,
            }
        }
        None => KeepError::NoQueue,
    };
    // Only starting it helps the job now.
    match start_by(&deps.executions, &order, act_by, Patience::Unlimited).await {
        Ok(started) => follow(deps, order.job, started, act_by).await,
        Err(start) if start.passes() => Err(Error::NotKept {
            start: Box::new(start),
            keep: Box::new(keep),
        }),
        Err(problem) => Err(Error::Start(Box::new(problem))),
    }
}

/// Does what follows a job's start.
async fn follow(deps: &Deps, job: Job, started: Started, act_by: Instant) -> Result<Done, Error> {
    let (Started::New(execution) | Started::Already(execution) | Started::Enough(execution)) =
        &started;
    Span::current().record("execution", tracing::field::display(execution));
    match started {
        Started::New(execution) => Ok(Done::Started(execution)),
        Started::Already(execution) => {
            // Usually a repeated delivery. But a job can be held back and queued again, and its
            // execution may have seen it held back a moment ago.
            hand_over(deps, &Handoff::Requeued { job }, act_by).await?;
            Ok(Done::Running(execution))
        }
        Started::Enough(execution) => {
            tracing::warn!(
                "the job's events begin no more executions; re-run the job if it still waits"
            );
            Ok(Done::Enough(execution))
        }
    }
}

async fn hand_over(deps: &Deps, handoff: &Handoff, act_by: Instant) -> Result<Done, Error> {
    hand_on(deps, handoff, act_by)
        .await
        .map_err(|error| Error::Handoff(Box::new(error)))?;
    Ok(Done::HandedOn(handoff.kind()))
}
