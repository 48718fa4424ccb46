//! Reports an attempt: metrics, and the execution's output.

use decisions::{
    Attempt, Ended, EndedTask, ExecutionOutput, GiveUp, JobStatus, LogStream, Outcome,
    OutcomeClass, Verdict,
};
use protocol::{Fault, Start};
use runtime::telemetry::{Metric, Metrics};

use crate::Deps;
use crate::event::AttemptOver;
use decisions::cost::{Size, estimate};

/// Prefix of a task's log stream: awslogs' stream prefix and the container's name.
const STREAM_PREFIX: &str = "runner/runner";

/// The facts that an attempt's metrics are computed from.
#[derive(Clone, Copy, Debug)]
pub struct AttemptReport<'a> {
    /// The state machine's input.
    pub over: &'a AttemptOver,
    /// The attempt's state.
    pub attempt: &'a Attempt,
    pub ended: &'a Ended,
    /// The job's status; `None` if GitHub was not asked.
    pub job: Option<&'a JobStatus>,
    /// The decision.
    pub verdict: &'a Verdict,
}

impl AttemptReport<'_> {
    pub fn emit(self, metrics: &Metrics) {
        self.outcome(metrics);
        self.cost(metrics);
        match self.verdict {
            Verdict::End => self.wait(metrics),
            Verdict::Relaunch { .. } => metrics.emit(Metric::Relaunches, 1.0),
            // Whoever opens a pull request from a fork must not be able to raise the alarm.
            Verdict::GiveUp { reason, .. } if *reason == GiveUp::Fault(Fault::NotAdmitted) => {}
            Verdict::GiveUp { .. } => metrics.emit(Metric::FailedExecutions, 1.0),
        }
    }

    fn outcome(self, metrics: &Metrics) {
        let outcome = self.ended.outcome;
        metrics.split(Metric::Outcomes, 1.0, outcome.name());
        if outcome.class() == OutcomeClass::Unpicked {
            metrics.emit(Metric::SurplusRunners, 1.0);
        }
        // A throttled burst says nothing about whether starting works.
        let tried = outcome != Outcome::Throttled;
        let came_up = matches!(outcome.class(), OutcomeClass::Ran | OutcomeClass::Unpicked);
        if self.attempt.number == 1 && tried && !came_up {
            metrics.emit(Metric::FirstFailedStarts, 1.0);
        }
    }

    fn cost(self, metrics: &Metrics) {
        let task = self.ended.task.as_ref();
        let Some(seconds) = task.and_then(EndedTask::billed_seconds) else {
            return;
        };
        let repository = self.over.order.job.repository.to_string();
        metrics.split(Metric::RunnerSeconds, seconds, &repository);
        if let Some(size) = size(self.over, self.ended) {
            metrics.split(Metric::EstimatedCost, estimate(size, seconds), &repository);
        }
    }

    /// Emits the time from queued to started, if GitHub reports a start time.
    fn wait(self, metrics: &Metrics) {
        if let Some(started) = self.job.and_then(JobStatus::started_at) {
            let waited = started - self.over.order.job.queued_at;
            let seconds = waited.as_seconds_f64().max(0.0);
            metrics.emit(Metric::QueuedToStartedSeconds, seconds);
            if let Some(start) = start(self.over, self.job) {
                metrics.split(Metric::StartSeconds, seconds, start.name());
            }
        }
    }
}

/// The execution's output, which points an operator to the task and its log.
pub fn output(
    deps: &Deps,
    over: &AttemptOver,
    ended: &Ended,
    job: Option<&JobStatus>,
) -> ExecutionOutput {
    let task = ended.task.as_ref().and_then(|task| task.task_arn.clone());
    let task_id = task.as_deref().and_then(|arn| arn.rsplit('/').next());
    ExecutionOutput {
        outcome: ended.outcome,
        detail: ended.detail.clone(),
        job: job.map(describe),
        served_by: job.and_then(JobStatus::runner).map(str::to_owned),
        runner: over.runner.as_ref().map(|runner| runner.name.clone()),
        log: task_id.map(|id| LogStream {
            group: deps.config.log_group.clone(),
            stream: format!("{STREAM_PREFIX}/{id}"),
        }),
        task,
    }
}

/// How the task that served the job started; `None` without a pool, or if another execution's runner
/// served it, which says nothing of this start.
fn start(over: &AttemptOver, job: Option<&JobStatus>) -> Option<Start> {
    over.matched.as_ref()?.definition.warm?;
    let own = over.runner.as_ref()?.name.to_string();
    job.and_then(JobStatus::runner)
        .filter(|runner| **runner == own)?;
    let adopted = over.registration.as_ref()?.warm.is_some();
    Some(if adopted { Start::Warm } else { Start::Cold })
}

fn describe(state: &JobStatus) -> String {
    match state {
        JobStatus::Queued => "queued".to_owned(),
        JobStatus::Waiting => "waiting".to_owned(),
        JobStatus::InProgress { .. } => "in progress".to_owned(),
        JobStatus::Completed { conclusion, .. } => conclusion.as_ref().map_or_else(
            || "completed".to_owned(),
            |conclusion| format!("completed: {conclusion}"),
        ),
        JobStatus::Absent => "gone from GitHub".to_owned(),
    }
}

fn size(over: &AttemptOver, ended: &Ended) -> Option<Size> {
    let task = ended.task.as_ref()?;
    let provider = task.capacity_provider_name.as_deref();
    // Tasks on the operator's own instances have no price of their own.
    if !provider.is_none_or(|name| name.starts_with("FARGATE")) {
        return None;
    }
    let architecture = over
        .matched
        .as_ref()
        .and_then(|matched| matched.definition.architecture.as_deref());
    let (cpu, memory) = task.size()?;
    Some(Size {
        cpu,
        memory,
        arm: architecture == Some("ARM64"),
        spot: provider == Some("FARGATE_SPOT"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn over(changes: impl Fn(&mut Value)) -> AttemptOver {
        let mut over = json!({
            "order": { "job": {
                "id": 42, "runId": 1, "runAttempt": 1, "name": "build", "repository": "octo/hello",
                "ownerType": "Organization", "private": true, "labels": ["linux"],
                "installationId": null, "queuedAt": "2026-01-01T00:00:00Z"
            }},
            "match": {
                "family": "f", "offered": ["linux"], "cpu": null, "memory": null,
                "architecture": null, "warm": { "slots": 2 }, "revision": 7
            },
            "runner": {
                "name": "fr-hello-42", "labels": ["linux"],
                "parameter": "/fargate-runners/runners/fr-hello-42/0123456789abcdef0123456789abcdef"
            },
            "registration": {
                "runnerId": 9, "installationId": 1, "warm": { "taskArn": "arn:task" }
            },
            "execution": "hello-42"
        });
        changes(&mut over);
        serde_json::from_value(over).unwrap()
    }

    #[test]
    fn a_start_is_warm_or_cold_where_there_is_a_pool_and_the_own_runner_served() {
        let taken_by = |runner: &str| JobStatus::InProgress {
            runner: Some(runner.to_owned()),
            started_at: None,
        };
        let own = taken_by("fr-hello-42");
        let cold = |over: &mut Value| {
            over["registration"].as_object_mut().unwrap().remove("warm");
        };
        let without_pool = |over: &mut Value| {
            over["match"].as_object_mut().unwrap().remove("warm");
        };
        assert_eq!(start(&over(|_| {}), Some(&own)), Some(Start::Warm));
        assert_eq!(start(&over(cold), Some(&own)), Some(Start::Cold));
        assert_eq!(start(&over(without_pool), Some(&own)), None);
        assert_eq!(start(&over(|_| {}), Some(&taken_by("fr-hello-43"))), None);
        assert_eq!(start(&over(|_| {}), None), None);
    }
}
