//! What was found about a job, each part with where it comes from.

use aws::executions::Described;
use decisions::{EndedContainer, EndedTask, ExecutionOutput, JobStatus, Status};
use protocol::{DeploymentId, ExecutionName, JobId, LabelSet, Repository};
use serde::Serialize;
use time::OffsetDateTime;

use super::history::Course;
use super::setbacks::Setback;

/// A part of the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Seen<T> {
    Found(T),
    /// It was looked for and is not there.
    Nothing,
    /// It was not looked for, or could not be: why.
    Unknown(String),
}

impl<T> Seen<T> {
    pub const fn found(&self) -> Option<&T> {
        match self {
            Self::Found(found) => Some(found),
            Self::Nothing | Self::Unknown(_) => None,
        }
    }

    pub const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown(why.into())
    }
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// When it was collected.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub deployment: DeploymentId,
    pub stack: String,
    pub job: JobSeen,
    /// What the log of `verify` has about the job, oldest first.
    pub webhooks: Seen<Vec<WebhookSeen>>,
    /// The job's executions, oldest first.
    pub executions: Seen<Vec<ExecutionSeen>>,
    /// Where the newest execution is.
    pub course: Seen<Course>,
    /// The steps of its executions that failed, oldest first.
    pub setbacks: Seen<Vec<Setback>>,
    /// The execution of another job's runner, if that ran this job and it did not end well.
    pub host: Seen<Host>,
    /// The task of its newest runner.
    pub task: Seen<TaskSeen>,
    /// The last lines of that task's log.
    pub said: Seen<Vec<String>>,
    /// The job at GitHub.
    #[serde(serialize_with = "as_text")]
    pub github: Seen<JobStatus>,
    /// What today's policy says about such a job; `Nothing` if it serves it.
    pub refused: Seen<Refused>,
    /// GitHub's deliveries of `queued` events about when the job was created, oldest first. Only asked
    /// for without a trace of the webhook; if the webhook was late, those of it that failed.
    pub deliveries: Seen<Vec<DeliverySeen>>,
}

/// The job itself, from the order of its execution, from GitHub, or from the argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSeen {
    pub id: JobId,
    pub repository: Option<Repository>,
    pub name: Option<String>,
    pub labels: Option<LabelSet>,
    /// Start of its stay in the queue.
    #[serde(with = "time::serde::rfc3339::option")]
    pub queued_at: Option<OffsetDateTime>,
}

/// A webhook about the job, from the log of `verify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSeen {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// GitHub's id of the delivery.
    pub delivery: Option<String>,
    pub status: u16,
    pub answer: Answer,
}

/// What `verify` answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// An execution was started.
    Started,
    /// An execution was at work already.
    Running,
    /// The job has had as many executions as its events may start.
    Enough,
    /// The job is in the overflow queue.
    Kept,
    /// Left at GitHub, because the deployment was paused.
    Paused,
    /// `cleanup` was told.
    HandedOn,
    /// It is not served, or nothing depends on the event: the reason.
    Ignored(String),
    /// It was not taken: the error.
    Error(String),
    /// Another version wrote something else.
    Other(String),
}

/// An execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionSeen {
    pub name: ExecutionName,
    #[serde(serialize_with = "status_name")]
    pub status: Status,
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    pub error: Option<String>,
    pub cause: Option<String>,
    /// If it succeeded.
    pub output: Option<ExecutionOutput>,
    /// Its order.
    #[serde(skip)]
    pub input: String,
}

impl ExecutionSeen {
    pub fn new(name: ExecutionName, described: Described) -> Self {
        let output = described.output.as_deref();
        Self {
            name,
            status: described.status,
            started_at: described.started_at,
            ended_at: described.ended_at,
            error: described.error,
            cause: described.cause,
            output: output.and_then(|output| serde_json::from_str(output).ok()),
            input: described.input,
        }
    }
}

/// The execution whose runner ran the job, started for another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    pub execution: ExecutionSeen,
    pub setbacks: Vec<Setback>,
}

/// A task that ECS still knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskSeen {
    pub arn: String,
    /// ECS's `lastStatus`.
    pub status: String,
    #[serde(with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub stopped_at: Option<OffsetDateTime>,
    pub capacity: Option<String>,
    pub stop_code: Option<String>,
    pub stopped_reason: Option<String>,
    /// Of the container `runner`, with what ECS says of it.
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
}

impl TaskSeen {
    /// Its end, once it has stopped.
    pub fn ended(&self) -> Option<EndedTask> {
        let container = EndedContainer {
            name: protocol::CONTAINER.to_owned(),
            exit_code: self.exit_code,
            reason: self.reason.clone(),
        };
        (self.status == "STOPPED").then(|| EndedTask {
            task_arn: Some(self.arn.clone()),
            stop_code: self.stop_code.clone(),
            stopped_reason: self.stopped_reason.clone(),
            containers: vec![container],
            ..EndedTask::default()
        })
    }
}

/// Why today's policy does not serve the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    pub kind: RefusedKind,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RefusedKind {
    Labels,
    /// Labels of GitHub's own runners.
    GitHubsRunners,
    Owner,
    Repository,
    Visibility,
    Fork,
    /// The App is not installed on the repository.
    NotInstalled,
}

/// A delivery of a `queued` event, which may be the job's: GitHub's list does not name jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliverySeen {
    pub id: u64,
    pub guid: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The HTTP status; 0 without a response.
    pub status: u16,
}

impl Evidence {
    /// Nothing known yet.
    pub fn new(at: OffsetDateTime, deployment: DeploymentId, stack: &str, job: JobId) -> Self {
        Self {
            at,
            deployment,
            stack: stack.to_owned(),
            job: JobSeen {
                id: job,
                repository: None,
                name: None,
                labels: None,
                queued_at: None,
            },
            webhooks: Seen::unknown("not asked"),
            executions: Seen::unknown("not asked"),
            course: Seen::unknown("not asked"),
            setbacks: Seen::unknown("not asked"),
            host: Seen::unknown("not asked"),
            task: Seen::unknown("not asked"),
            said: Seen::unknown("not asked"),
            github: Seen::unknown("not asked"),
            refused: Seen::unknown("not asked"),
            deliveries: Seen::unknown("not asked"),
        }
    }

    /// The newest execution.
    pub fn newest(&self) -> Option<&ExecutionSeen> {
        self.executions.found()?.last()
    }

    /// Whether anything shows that there is such a job.
    pub fn knows_the_job(&self) -> bool {
        self.newest().is_some() || self.github.found().is_some() || self.webhooks.found().is_some()
    }
}

/// A status as one sentence's object.
pub fn told(status: &JobStatus) -> String {
    let on = |runner: &Option<String>| {
        runner
            .as_ref()
            .map_or_else(String::new, |runner| format!(" on {runner}"))
    };
    match status {
        JobStatus::Queued => "queued".to_owned(),
        JobStatus::Waiting => "held back (approval or concurrency)".to_owned(),
        JobStatus::InProgress { runner, .. } => format!("in progress{}", on(runner)),
        JobStatus::Completed {
            conclusion, runner, ..
        } => format!(
            "completed{}: {}",
            on(runner),
            conclusion.as_deref().unwrap_or("no conclusion")
        ),
        JobStatus::Absent => "not found".to_owned(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn status_name<S: serde::Serializer>(status: &Status, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(status.name())
}

fn as_text<S: serde::Serializer>(seen: &Seen<JobStatus>, to: S) -> Result<S::Ok, S::Error> {
    let text = match seen {
        Seen::Found(status) => Seen::Found(told(status)),
        Seen::Nothing => Seen::Nothing,
        Seen::Unknown(why) => Seen::Unknown(why.clone()),
    };
    text.serialize(to)
}
