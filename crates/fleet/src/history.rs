//! Reads an execution's state and task from its history.

use aws::ErrorKind;
use aws::executions::history::{
    HistoryEvent, HistoryEventType, TaskFailedEventDetails, TaskScheduledEventDetails,
    TaskSucceededEventDetails,
};
use decisions::{Overrides, TASK_FAILED};
use protocol::{Adopted, ExecutionName, ParameterPath, RunnerName, State};
use serde::Deserialize;
use time::OffsetDateTime;

use crate::{Error, Fleet};

/// Enough for any attempt: it writes a dozen events, or a hundred with all retries.
const PAGES: usize = 5;

/// An execution's newest state and its newest planned runner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The state that it entered last; `None` if it entered none yet, or one of a newer version.
    pub state: Option<State>,
    /// When it entered that.
    pub entered_at: Option<OffsetDateTime>,
    pub runner: Option<RunnerName>,
    /// The path of that runner's registration.
    pub parameter: Option<ParameterPath>,
    /// The warm task that has taken it.
    pub adopted: Option<Adopted>,
}

/// What an execution's history says about one runner's task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// The tasks that RunTask returned and that have not ended; empty if RunTask was not called
    /// yet, is in progress, or failed.
    Tasks(Vec<String>),
    /// The history ends between the call of RunTask and its result, or is unreadable, or a pool
    /// exists and the history ends in `Token`, which may have taken a warm task: there may be an
    /// unknown task.
    Unsure,
}

/// The input of `Token`, `Start`, `Runner` and `WarmRunner`.
#[derive(Deserialize)]
struct Planned {
    #[serde(rename = "runTask")]
    run_task: Tasked,
    /// The warm task that took the registration, in the input of `Start` and `WarmRunner`.
    #[serde(default)]
    warm: Option<Adopted>,
}

/// A value with RunTask's overrides: the request, or a task in the result.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tasked {
    #[serde(default)]
    task_arn: String,
    overrides: Overrides,
}

impl Tasked {
    fn runner(&self) -> Option<RunnerName> {
        self.overrides.agent_variable("AGENT_RUNNER")?.parse().ok()
    }
}

/// The output of `TaskSubmitted`: RunTask's result in Pascal case, as recorded on AWS
/// (`test_run_task_sync`, 2024-02-23, in `LocalStack`'s recorded histories).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    tasks: Vec<Tasked>,
}

/// A state that an execution entered with a planned runner.
struct Entered {
    state: Option<State>,
    runner: RunnerName,
    overrides: Overrides,
    adopted: Option<Adopted>,
}

/// Reads the runner, its RunTask request and its warm task from a state's input.
fn planned(event: &HistoryEvent) -> Option<Entered> {
    let entered = event.state_entered_event_details()?;
    let planned = serde_json::from_str::<Planned>(entered.input()?).ok()?;
    Some(Entered {
        state: entered.name().parse().ok(),
        runner: planned.run_task.runner()?,
        overrides: planned.run_task.overrides,
        adopted: planned.warm,
    })
}

/// Whether an event is of the wait for a warm task. The engines spell the service differently.
fn is_wait(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind.ends_with("dynamodb"))
}

/// Whether a failed wait says that the warm task has ended: `cleanup` reported its failure, or the wait
/// met a noted end.
fn tells_an_end(error: Option<&str>) -> bool {
    error.is_some_and(|error| {
        error == TASK_FAILED || error.ends_with("ConditionalCheckFailedException")
    })
}

/// Reads events, newest first, for one runner's task.
#[allow(clippy::struct_excessive_bools)] // Independent facts.
struct Search<'a> {
    runner: &'a RunnerName,
    /// Whether the deployment keeps warm tasks.
    pooled: bool,
    found: Vec<String>,
    /// A newer event exists, so RunTask is no longer in progress.
    left: bool,
    /// The task of the next `TaskSubmitted` has ended, or the next RunTask has failed.
    ended: bool,
    /// The next RunTask has returned.
    answered: bool,
    unsure: bool,
    /// The warm task of the next wait has ended.
    adopted_ended: bool,
}

impl<'a> Search<'a> {
    fn new(runner: &'a RunnerName, pooled: bool) -> Self {
        Self {
            runner,
            pooled,
            found: Vec::new(),
            left: false,
            ended: false,
            answered: false,
            unsure: false,
            adopted_ended: false,
        }
    }

    /// Takes the next older event. Returns the result once all events of the runner were seen.
    fn take(&mut self, event: &HistoryEvent) -> Option<Submitted> {
        let ecs = |kind: Option<&str>| kind == Some("ecs");
        match event.r#type() {
            HistoryEventType::TaskSucceeded => {
                let details = event.task_succeeded_event_details();
                let kind = details.map(TaskSucceededEventDetails::resource_type);
                self.ended |= ecs(kind);
                self.adopted_ended |= is_wait(kind);
            }
            HistoryEventType::TaskFailed => {
                let details = event.task_failed_event_details();
                let kind = details.map(TaskFailedEventDetails::resource_type);
                let error = details.and_then(|details| details.error());
                self.adopted_ended |= is_wait(kind) && tells_an_end(error);
                if ecs(kind) {
                    // Only this error is the task's own end. Before its submission any error is
                    // RunTask's result; after it, Step Functions has lost sight of the task.
                    self.ended |= error == Some("States.TaskFailed");
                    self.answered = true;
                }
            }
            HistoryEventType::TaskSubmitFailed | HistoryEventType::TaskStartFailed => {
                self.answered = true;
            }
            HistoryEventType::TaskSubmitted => self.submitted(event),
            HistoryEventType::TaskScheduled => {
                let details = event.task_scheduled_event_details();
                if ecs(details.map(TaskScheduledEventDetails::resource_type)) {
                    self.unsure |= self.left && !self.answered && !self.ended;
                    (self.ended, self.answered) = (false, false);
                }
            }
            HistoryEventType::TaskStarted => return None,
            _ => {
                if let Some(entered) = planned(event) {
                    let runner = &entered.runner;
                    if runner == self.runner {
                        return Some(self.result(entered));
                    }
                    // The collected facts belong to a later attempt.
                    *self = Self {
                        left: true,
                        ..Self::new(self.runner, self.pooled)
                    };
                    if runner.execution() == self.runner.execution()
                        && runner.attempt() < self.runner.attempt()
                    {
                        return Some(Submitted::Tasks(Vec::new()));
                    }
                }
            }
        }
        self.left = true;
        None
    }

    fn submitted(&mut self, event: &HistoryEvent) {
        let Some(details) = event.task_submitted_event_details() else {
            return;
        };
        if details.resource_type() != "ecs" {
            return;
        }
        self.answered = true;
        let Ok(answer) = serde_json::from_str::<Answer>(details.output().unwrap_or_default())
        else {
            self.unsure |= !self.ended;
            return;
        };
        if !self.ended {
            let own = |task: &Tasked| task.runner().is_none_or(|runner| runner == *self.runner);
            let arns = answer.tasks.into_iter().filter(own);
            let arns: Vec<_> = arns.map(|task| task.task_arn).collect();
            self.found.extend(arns);
        }
    }

    /// The result, once the newest state of the runner was found.
    fn result(&mut self, entered: Entered) -> Submitted {
        let mut found = std::mem::take(&mut self.found);
        if !self.adopted_ended {
            found.extend(entered.adopted.map(|adopted| adopted.task_arn));
        }
        // Every later state of the attempt has the same input, so it ended in this one.
        let in_token = self.pooled && entered.state == Some(State::Token);
        if found.is_empty() && (self.unsure || in_token) {
            Submitted::Unsure
        } else {
            Submitted::Tasks(found)
        }
    }
}

impl Fleet {
    /// Reads the newest events until both the state and a planned runner are found.
    pub async fn position(&self, name: &ExecutionName) -> Result<Position, Error> {
        let mut position = Position::default();
        let mut entered_one = false;
        let mut token = None;
        for _ in 0..PAGES {
            let (events, next) = self.executions.history(name, token).await?;
            for event in &events {
                if let Some(entered) = event.state_entered_event_details()
                    && !std::mem::replace(&mut entered_one, true)
                {
                    position.state = entered.name().parse().ok();
                    position.entered_at =
                        OffsetDateTime::from_unix_timestamp(event.timestamp().secs()).ok();
                }
                if let Some(entered) = planned(event) {
                    let path = entered.overrides.agent_variable("AGENT_PARAMETER");
                    position.parameter = path.and_then(|path| path.parse().ok());
                    position.runner = Some(entered.runner);
                    position.adopted = entered.adopted;
                    return Ok(position);
                }
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
        Ok(position)
    }

    /// The task of a runner, from the history of the execution that planned it.
    pub(crate) async fn submitted(&self, runner: &RunnerName) -> Result<Submitted, Error> {
        let mut search = Search::new(runner, self.pool.is_some());
        let mut token = None;
        for _ in 0..PAGES {
            let page = self.executions.history(runner.execution(), token).await;
            let (events, next) = match page {
                // Histories are kept for 90 days, and no task should be older.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Ok(Submitted::Unsure);
                }
                page => page?,
            };
            for event in &events {
                if let Some(found) = search.take(event) {
                    return Ok(found);
                }
            }
            token = next;
            if token.is_none() {
                return Ok(Submitted::Tasks(Vec::new()));
            }
        }
        Ok(Submitted::Unsure)
    }
}
