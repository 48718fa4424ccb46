//! Reads an execution's state and task from its history.

use aws::ErrorKind;
use aws::executions::history::{
    HistoryEvent, HistoryEventType, TaskFailedEventDetails, TaskScheduledEventDetails,
    TaskSucceededEventDetails,
};
use decisions::Overrides;
use protocol::{ExecutionName, ParameterPath, RunnerName, State};
use serde::Deserialize;

use crate::{Error, Fleet};

/// Enough for any attempt: it writes a dozen events, or a hundred with all retries.
const PAGES: usize = 5;

/// An execution's newest state and its newest planned runner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The state that it entered last; `None` if it entered none yet, or one of a newer version.
    pub state: Option<State>,
    pub runner: Option<RunnerName>,
    /// The path of that runner's registration.
    pub parameter: Option<ParameterPath>,
}

/// What an execution's history says about one runner's task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// The tasks that RunTask returned and that have not ended; empty if RunTask was not called
    /// yet, is in progress, or failed.
    Tasks(Vec<String>),
    /// The history ends between the call of RunTask and its result, or is unreadable: there may be
    /// an unknown task.
    Unsure,
}

/// The input of `Token` and of `Runner`.
#[derive(Deserialize)]
struct Planned {
    #[serde(rename = "runTask")]
    run_task: Tasked,
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

/// The runner and the RunTask request of a state's input.
fn planned(event: &HistoryEvent) -> Option<(RunnerName, Overrides)> {
    let input = event.state_entered_event_details()?.input()?;
    let request = serde_json::from_str::<Planned>(input).ok()?.run_task;
    Some((request.runner()?, request.overrides))
}

/// Reads events, newest first, for one runner's task.
#[allow(clippy::struct_excessive_bools)] // Independent facts.
struct Search<'a> {
    runner: &'a RunnerName,
    found: Vec<String>,
    /// A newer event exists, so RunTask is no longer in progress.
    left: bool,
    /// The task of the next `TaskSubmitted` has ended, or the next RunTask has failed.
    ended: bool,
    /// The next RunTask has returned.
    answered: bool,
    unsure: bool,
}

impl<'a> Search<'a> {
    fn new(runner: &'a RunnerName) -> Self {
        Self {
            runner,
            found: Vec::new(),
            left: false,
            ended: false,
            answered: false,
            unsure: false,
        }
    }

    /// Takes the next older event. Returns the result once all events of the runner were seen.
    fn take(&mut self, event: &HistoryEvent) -> Option<Submitted> {
        let ecs = |kind: Option<&str>| kind == Some("ecs");
        match event.r#type() {
            HistoryEventType::TaskSucceeded => {
                let details = event.task_succeeded_event_details();
                self.ended |= ecs(details.map(TaskSucceededEventDetails::resource_type));
            }
            HistoryEventType::TaskFailed => {
                let details = event.task_failed_event_details();
                if ecs(details.map(TaskFailedEventDetails::resource_type)) {
                    // Only this error is the task's own end. Before its submission any error is
                    // RunTask's result; after it, Step Functions has lost sight of the task.
                    let error = details.and_then(|details| details.error());
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
                if let Some((runner, _)) = planned(event) {
                    if runner == *self.runner {
                        return Some(self.result());
                    }
                    // The collected facts belong to a later attempt.
                    *self = Self {
                        left: true,
                        ..Self::new(self.runner)
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

    fn result(&mut self) -> Submitted {
        let found = std::mem::take(&mut self.found);
        if found.is_empty() && self.unsure {
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
                }
                if let Some((runner, overrides)) = planned(event) {
                    let path = overrides.agent_variable("AGENT_PARAMETER");
                    position.parameter = path.and_then(|path| path.parse().ok());
                    position.runner = Some(runner);
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
        let mut search = Search::new(runner);
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
