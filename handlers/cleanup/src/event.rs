//! Who calls, and why.

use job::{ExecutionName, Job, Matched, Order, RunnerName};
use outcome::{Attempt, EndedTask, StepError};
use registration::PlannedRunner;
use serde::Deserialize;
use serde_json::Value;

/// A call of `cleanup`.
#[derive(Clone, Debug)]
pub enum Event {
    /// The state machine: an attempt is over.
    Attempt(Box<AttemptOver>),
    /// EventBridge: a task stopped.
    TaskStopped(Box<EndedTask>),
    /// EventBridge: an execution was aborted, failed or timed out.
    ExecutionClosed(ExecutionClosed),
    /// `verify`: a job ended that no runner had taken.
    Cancelled(Box<Job>),
    /// `verify`: a job was queued again while an execution of it was at work.
    Requeued(Box<Job>),
    /// `verify`: a runner of ours runs this job, which is not its own.
    Displaced {
        /// The job that it runs.
        job: Box<Job>,
        /// The runner.
        runner: RunnerName,
    },
}

/// What the state machine gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptOver {
    /// The execution's input.
    pub order: Order,
    /// What `match` found.
    #[serde(rename = "match", default)]
    pub matched: Option<Matched>,
    /// Which attempt it was.
    #[serde(default)]
    pub attempt: Option<Attempt>,
    /// The runner that was planned.
    #[serde(default)]
    pub runner: Option<PlannedRunner>,
    /// What `token` registered; none where it did not get that far.
    #[serde(default)]
    pub registration: Option<Registered>,
    /// The task, where it ended well.
    #[serde(default)]
    pub task: Option<EndedTask>,
    /// The error, where a step or the task failed.
    #[serde(default)]
    pub error: Option<StepError>,
    /// The execution's name.
    pub execution: ExecutionName,
}

/// What `token` registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// The runner's id at GitHub; none where it registers by itself with a token.
    pub runner_id: Option<u64>,
    /// The installation that registered it.
    pub installation_id: u64,
}

/// An execution's end, as EventBridge tells it ([shape]).
///
/// [shape]: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionClosed {
    /// The execution's name. Executions that others start by hand may carry any.
    pub name: String,
    /// How it ended.
    pub status: String,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Handed {
    Cancelled { job: Box<Job> },
    Requeued { job: Box<Job> },
    Displaced { job: Box<Job>, runner: RunnerName },
}

impl Event {
    /// Tells the callers apart by the shape of what they send.
    pub fn parse(event: Value) -> Result<Self, serde_json::Error> {
        let detail = || event.get("detail").cloned().unwrap_or_default();
        match event.get("detail-type").and_then(Value::as_str) {
            Some("ECS Task State Change") => {
                Ok(Self::TaskStopped(serde_json::from_value(detail())?))
            }
            Some("Step Functions Execution Status Change") => {
                Ok(Self::ExecutionClosed(serde_json::from_value(detail())?))
            }
            _ if event.get("kind").is_some() => Ok(match serde_json::from_value(event)? {
                Handed::Cancelled { job } => Self::Cancelled(job),
                Handed::Requeued { job } => Self::Requeued(job),
                Handed::Displaced { job, runner } => Self::Displaced { job, runner },
            }),
            _ => Ok(Self::Attempt(serde_json::from_value(event)?)),
        }
    }
}
