//! What is told of an attempt: metrics, and the execution's output.

use decisions::{Attempt, Ended, EndedTask, Outcome, OutcomeClass, Verdict};
use github::JobState;
use protocol::Job;
use runtime::telemetry::Metric;
use serde_json::{Value, json};

use crate::Deps;
use crate::cost::{Size, estimate};
use crate::event::AttemptOver;

/// The log stream of a task begins with this and the container's name.
const STREAM_PREFIX: &str = "runner/runner";

/// Metrics of an attempt that is over.
pub fn attempt(deps: &Deps, over: &AttemptOver, attempt: &Attempt, ended: &Ended) {
    emit(deps, Metric::Outcomes, 1.0, Some(ended.outcome.name()));
    if ended.outcome.class() == OutcomeClass::Unpicked {
        emit(deps, Metric::SurplusRunners, 1.0, None);
    }
    // A burst that AWS refuses for its rate says nothing of whether starting works.
    let tried = ended.outcome != Outcome::Throttled;
    let came_up = matches!(
        ended.outcome.class(),
        OutcomeClass::Ran | OutcomeClass::Unpicked
    );
    if attempt.number == 1 && tried && !came_up {
        emit(deps, Metric::FirstFailedStarts, 1.0, None);
    }
    if let Some(seconds) = ended.task.as_ref().and_then(EndedTask::billed_seconds) {
        let repository = over.order.job.repository.to_string();
        emit(deps, Metric::RunnerSeconds, seconds, Some(&repository));
        if let Some(size) = size(over, ended) {
            emit(
                deps,
                Metric::EstimatedCost,
                estimate(size, seconds),
                Some(&repository),
            );
        }
    }
}

/// Metrics of what follows.
pub fn verdict(deps: &Deps, verdict: &Verdict) {
    match verdict {
        Verdict::End => {}
        Verdict::Relaunch { .. } => emit(deps, Metric::Relaunches, 1.0, None),
        Verdict::GiveUp { .. } => emit(deps, Metric::FailedExecutions, 1.0, None),
    }
}

/// How long the job waited, where GitHub tells when it started.
pub fn served(deps: &Deps, job: &Job, state: &JobState) {
    if let Some(started) = state.started_at() {
        emit(
            deps,
            Metric::QueuedToStartedSeconds,
            (started - job.queued_at).as_seconds_f64().max(0.0),
            None,
        );
    }
}

/// The execution's output: where a person looks next.
pub fn output(deps: &Deps, over: &AttemptOver, ended: &Ended, state: Option<&JobState>) -> Value {
    let task = ended
        .task
        .as_ref()
        .and_then(|task| task.task_arn.as_deref());
    let task_id = task.and_then(|arn| arn.rsplit('/').next());
    json!({
        "outcome": ended.outcome.name(),
        "detail": ended.detail,
        "job": state.map(describe),
        "servedBy": state.and_then(JobState::runner),
        "runner": over.runner.as_ref().map(|runner| &runner.name),
        "task": task,
        "log": task_id.map(|id| json!({ "group": deps.config.log_group, "stream": format!("{STREAM_PREFIX}/{id}") })),
    })
}

fn describe(state: &JobState) -> String {
    match state {
        JobState::Queued => "queued".to_owned(),
        JobState::Waiting => "waiting".to_owned(),
        JobState::InProgress { .. } => "in progress".to_owned(),
        JobState::Completed { conclusion, .. } => conclusion.as_ref().map_or_else(
            || "completed".to_owned(),
            |conclusion| format!("completed: {conclusion}"),
        ),
        JobState::Absent => "gone from GitHub".to_owned(),
    }
}

fn size(over: &AttemptOver, ended: &Ended) -> Option<Size> {
    let task = ended.task.as_ref()?;
    let provider = task.capacity_provider_name.as_deref();
    // Tasks on instances of the operator's own have no price of their own.
    if !provider.is_none_or(|name| name.starts_with("FARGATE")) {
        return None;
    }
    let architecture = over
        .matched
        .as_ref()
        .and_then(|matched| matched.architecture.as_deref());
    Some(Size {
        cpu: task.cpu.as_deref()?.parse().ok()?,
        memory: task.memory.as_deref()?.parse().ok()?,
        arm: architecture == Some("ARM64"),
        spot: provider == Some("FARGATE_SPOT"),
    })
}

fn emit(deps: &Deps, metric: Metric, value: f64, split: Option<&str>) {
    runtime::telemetry::emit(&deps.fleet.deployment.to_string(), metric, value, split);
}
