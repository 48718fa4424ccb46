//! What went wrong on a job's way: the failed steps in the history of an execution. Pure.

use aws::executions::history::{HistoryEvent, HistoryEventType};
use decisions::{Ended, NextAttempt, Outcome, StepError};
use protocol::{Class, ExecutionName, Fault, RunnerName, State};
use serde::Serialize;
use time::OffsetDateTime;

use super::evidence::TaskSeen;
use super::history::{StepFailure, message, planned, submitted};

/// The exit code of a process that SIGKILL ended: 128 and the signal's number.
const KILLED: i32 = 137;
/// ECS's code of a task that Fargate Spot took back ([codes]).
///
/// [codes]: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
const SPOT: &str = "SpotInterruption";
/// Characters that are kept of what was said with an error.
const MESSAGE: usize = 500;

/// A step that failed, whether or not it was tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Setback {
    /// When the step was tried.
    #[serde(with = "time::serde::rfc3339")]
    pub began: OffsetDateTime,
    /// When it failed.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub execution: ExecutionName,
    /// The runner of its attempt, once that was planned.
    pub runner: Option<RunnerName>,
    /// The state, as the history spells it.
    pub state: String,
    /// The error, and what was said with it.
    pub failure: StepFailure,
    /// What that means for an attempt.
    pub outcome: Outcome,
    /// If a task ended: ECS's code for the reason.
    pub stop_code: Option<String>,
    /// If a task ended: the agent's exit code.
    pub exit_code: Option<i32>,
    /// Whether there was a task.
    pub had_task: bool,
}

impl Setback {
    /// Whether the task's process was killed, not by its own end nor by ECS.
    pub fn was_killed(&self) -> bool {
        self.outcome == Outcome::Unknown && self.exit_code == Some(KILLED)
    }

    /// Whether Fargate Spot took the task back.
    pub fn was_taken_back(&self) -> bool {
        self.outcome == Outcome::SpotInterruption || self.stop_code.as_deref() == Some(SPOT)
    }

    /// In a few words.
    pub fn told(&self) -> String {
        let attempt = match &self.runner {
            Some(runner) => format!("attempt {}: ", runner.attempt()),
            None => String::new(),
        };
        let Self {
            state,
            failure: StepFailure { error, .. },
            outcome,
            ..
        } = self;
        let outcome = outcome.name();
        let what = if self.was_taken_back() {
            "Fargate Spot took its task back".to_owned()
        } else if self.was_killed() {
            "its task was killed (exit code 137)".to_owned()
        } else if self.outcome == Outcome::RanJob && error == Fault::StillQueued.name() {
            "its runner ran another job".to_owned()
        } else if self.had_task {
            format!("its task ended with {outcome}")
        } else if state == State::Runner.as_str() {
            format!("ECS refused its task with {outcome} ({error})")
        } else {
            format!("{state} failed with {error}")
        };
        format!("{attempt}{what}")
    }
}

/// The task of an attempt whose end is not in the history: the execution was closed before, or the task
/// ended before the execution waited for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    pub execution: ExecutionName,
    pub runner: RunnerName,
    /// The task's ARN.
    pub task: String,
    /// When the attempt had the task.
    pub began: OffsetDateTime,
}

impl Untold {
    /// What ECS tells of its end, unless it has none, ran a job to its end, or was stopped by this system.
    fn setback(&self, task: &TaskSeen) -> Option<Setback> {
        let ended = Ended::from_task(&task.ended()?);
        if matches!(
            ended.outcome,
            Outcome::RanJob | Outcome::NotNeeded | Outcome::StoppedByUs
        ) {
            return None;
        }
        let code = task.stop_code.clone();
        Some(Setback {
            began: self.began,
            at: task.stopped_at.unwrap_or(self.began),
            execution: self.execution.clone(),
            runner: Some(self.runner.clone()),
            state: State::Runner.as_str().to_owned(),
            failure: StepFailure {
                error: code.clone().unwrap_or_default(),
                message: short(&ended.detail),
            },
            outcome: ended.outcome,
            stop_code: code,
            exit_code: task.exit_code,
            had_task: true,
        })
    }
}

/// Adds what ECS tells of the tasks whose end the histories do not have. It takes the place of what was
/// said of the attempt without its task.
pub fn complete(setbacks: &mut Vec<Setback>, untold: &[Untold], tasks: &[TaskSeen]) {
    for one in untold {
        let task = tasks.iter().find(|task| task.arn == one.task);
        let Some(found) = task.and_then(|task| one.setback(task)) else {
            continue;
        };
        let same = |known: &Setback| known.runner == found.runner && known.outcome == found.outcome;
        setbacks.retain(|known| known.had_task || !same(known));
        let after = |known: &Setback| known.execution == found.execution && known.at > found.at;
        let at = setbacks.iter().position(after);
        let at = at.unwrap_or_else(|| {
            let last = setbacks
                .iter()
                .rposition(|known| known.execution == found.execution);
            last.map_or(setbacks.len(), |last| last + 1)
        });
        setbacks.insert(at, found);
    }
}

/// Reads a history, newest event first, as Step Functions returns it. The results begin with the
/// oldest.
pub fn read(execution: &ExecutionName, events: &[HistoryEvent]) -> (Vec<Setback>, Vec<Untold>) {
    let mut reading = Reading {
        execution,
        state: String::new(),
        began: None,
        runner: None,
        found: Vec::new(),
        untold: Vec::new(),
    };
    for event in events.iter().rev() {
        reading.take(event);
    }
    (reading.found, reading.untold)
}

struct Reading<'a> {
    execution: &'a ExecutionName,
    state: String,
    /// When the state's task was tried last.
    began: Option<OffsetDateTime>,
    runner: Option<RunnerName>,
    found: Vec<Setback>,
    untold: Vec<Untold>,
}

impl Reading<'_> {
    /// The attempt has this task.
    fn has(&mut self, task: String, at: OffsetDateTime) {
        let known = self.untold.iter().any(|one| one.task == task);
        if let Some(runner) = self.runner.clone().filter(|_| !known) {
            self.untold.push(Untold {
                execution: self.execution.clone(),
                runner,
                task,
                began: at,
            });
        }
    }

    /// The end of the attempt's task is told.
    fn told(&mut self) {
        let runner = self.runner.as_ref();
        self.untold.retain(|one| Some(&one.runner) != runner);
    }

    fn waits_for_task(&self) -> bool {
        matches!(self.state.parse(), Ok(State::Runner | State::WarmRunner))
    }

    fn take(&mut self, event: &HistoryEvent) {
        let timestamp = event.timestamp();
        let nanoseconds =
            i128::from(timestamp.secs()) * 1_000_000_000 + i128::from(timestamp.subsec_nanos());
        let Ok(at) = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds) else {
            return;
        };
        if let Some(entered) = event.state_entered_event_details() {
            entered.name().clone_into(&mut self.state);
            self.began = Some(at);
            if self.state == State::Launch.as_str() {
                // It plans the next one.
                self.runner = None;
            }
            if let Some((runner, adopted)) = entered.input().and_then(planned) {
                self.runner = Some(runner);
                if let Some(task) = adopted {
                    self.has(task, at);
                }
            }
            return;
        }
        let (error, cause) = match event.r#type() {
            HistoryEventType::TaskScheduled => {
                self.began = Some(at);
                return;
            }
            HistoryEventType::TaskSubmitted => {
                let details = event.task_submitted_event_details();
                let details = details.filter(|details| details.resource_type() == "ecs");
                if let Some(task) = details.and_then(|details| submitted(details.output()?)) {
                    self.has(task, at);
                }
                return;
            }
            HistoryEventType::TaskSucceeded => {
                if self.waits_for_task() {
                    self.told();
                }
                return;
            }
            HistoryEventType::TaskFailed => event
                .task_failed_event_details()
                .map(|told| (told.error(), told.cause()))
                .unwrap_or_default(),
            HistoryEventType::TaskSubmitFailed => event
                .task_submit_failed_event_details()
                .map(|told| (told.error(), told.cause()))
                .unwrap_or_default(),
            HistoryEventType::TaskTimedOut => event
                .task_timed_out_event_details()
                .map(|told| (told.error(), told.cause()))
                .unwrap_or_default(),
            _ => return,
        };
        let error = StepError {
            error: error.unwrap_or_default().to_owned(),
            cause: cause.unwrap_or_default().to_owned(),
        };
        if let Some(setback) = self.setback(at, &error) {
            if setback.had_task && self.waits_for_task() {
                self.told();
            }
            self.found.push(setback);
        }
    }

    fn setback(&self, at: OffsetDateTime, error: &StepError) -> Option<Setback> {
        let fault = Fault::from_name(&error.error);
        let verdict = fault.is_some_and(|fault| fault.class() == Class::Verdict);
        let of = |detail: &str, outcome: Outcome| Setback {
            began: self.began.unwrap_or(at),
            at,
            execution: self.execution.clone(),
            runner: self.runner.clone(),
            state: self.state.clone(),
            failure: StepFailure {
                error: error.error.clone(),
                message: short(detail),
            },
            outcome,
            stop_code: None,
            exit_code: None,
            had_task: outcome.had_job(),
        };
        let ended = match fault {
            // The only verdict that tells how an attempt ended. Most ends were steps' errors before.
            Some(Fault::StillQueued) => {
                let next: NextAttempt = serde_json::from_str(&message(&error.cause)).ok()?;
                let known = self
                    .found
                    .iter()
                    .any(|before| before.runner == self.runner && before.outcome == next.outcome);
                return (!known).then(|| of(&next.detail, next.outcome));
            }
            _ if verdict => return None,
            _ => Ended::from_error(error),
        };
        let task = ended.task.as_ref();
        Some(Setback {
            stop_code: task.and_then(|task| task.stop_code.clone()),
            exit_code: task.and_then(|task| task.runner()?.exit_code),
            had_task: task.is_some(),
            ..of(&ended.detail, ended.outcome)
        })
    }
}

fn short(text: &str) -> String {
    text.chars().take(MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use aws::executions::history;
    use aws_sdk_ecs::primitives::DateTime;
    use decisions::Attempt;
    use serde_json::{Value, json};

    use super::*;

    /// A state is entered for the first time, or a step fails in it.
    enum Step<'a> {
        Enter(&'a str, Option<&'a str>),
        /// With the plan to let a runner have a warm task.
        Adopt(&'a str, &'a str),
        /// ECS has started a task.
        Submit(&'a str),
        Succeed,
        Fail(&'a str, Value),
    }

    /// What a history with these steps tells, each a second after the one before.
    fn told(steps: &[Step<'_>]) -> Vec<Setback> {
        let (setbacks, untold) = read_steps(steps);
        assert_eq!(untold, []);
        setbacks
    }

    fn read_steps(steps: &[Step<'_>]) -> (Vec<Setback>, Vec<Untold>) {
        let mut events: Vec<_> = steps
            .iter()
            .zip(1..)
            .map(|(step, number)| {
                let event = HistoryEvent::builder()
                    .id(number)
                    .timestamp(DateTime::from_millis(number * 1_000 + 250));
                let event = match step {
                    Step::Enter(state, runner) => {
                        let input = runner.map(|runner| {
                            json!({ "runTask": { "Overrides": { "ContainerOverrides": [{
                                "Name": protocol::CONTAINER,
                                "Environment": [{ "Name": "AGENT_RUNNER", "Value": runner }],
                            }] } } })
                            .to_string()
                        });
                        let entered = history::StateEnteredEventDetails::builder()
                            .name(*state)
                            .set_input(input);
                        event
                            .r#type(HistoryEventType::TaskStateEntered)
                            .state_entered_event_details(entered.build().unwrap())
                    }
                    Step::Adopt(runner, task) => {
                        let input = json!({ "warm": { "taskArn": task }, "runTask": { "Overrides": {
                            "ContainerOverrides": [{
                                "Name": protocol::CONTAINER,
                                "Environment": [{ "Name": "AGENT_RUNNER", "Value": runner }],
                            }],
                        } } });
                        let entered = history::StateEnteredEventDetails::builder()
                            .name(State::WarmRunner.as_str())
                            .input(input.to_string());
                        event
                            .r#type(HistoryEventType::TaskStateEntered)
                            .state_entered_event_details(entered.build().unwrap())
                    }
                    Step::Submit(task) => {
                        let submitted = history::TaskSubmittedEventDetails::builder()
                            .resource_type("ecs")
                            .resource("runTask.sync")
                            .output(json!({ "Tasks": [{ "TaskArn": task }] }).to_string());
                        event
                            .r#type(HistoryEventType::TaskSubmitted)
                            .task_submitted_event_details(submitted.build().unwrap())
                    }
                    Step::Succeed => event.r#type(HistoryEventType::TaskSucceeded),
                    Step::Fail(error, cause) => {
                        let cause = cause
                            .as_str()
                            .map_or_else(|| cause.to_string(), str::to_owned);
                        let failed = history::TaskFailedEventDetails::builder()
                            .resource_type("any")
                            .resource("any")
                            .error(*error)
                            .cause(cause);
                        event
                            .r#type(HistoryEventType::TaskFailed)
                            .task_failed_event_details(failed.build().unwrap())
                    }
                };
                event.build().unwrap()
            })
            .collect();
        events.reverse();
        read(&"hello-7".parse().unwrap(), &events)
    }

    fn task(stop_code: &str, exit_code: Option<i32>) -> Value {
        json!({ "TaskArn": "arn:task/1", "StopCode": stop_code, "StoppedReason": "told",
                "Containers": [{ "Name": "runner", "ExitCode": exit_code }] })
    }

    fn still_queued(outcome: Outcome) -> Value {
        let next = NextAttempt {
            outcome,
            detail: "its detail".to_owned(),
            wait_seconds: 90,
            attempt: Attempt::first(),
        };
        json!({ "errorType": "StillQueued", "errorMessage": serde_json::to_string(&next).unwrap() })
    }

    #[test]
    fn each_failed_step_is_told_once_with_its_attempt() {
        let seen = told(&[
            Step::Enter("Match", None),
            Step::Fail("Runtime.ExitError", json!("gone")),
            Step::Enter("Launch", None),
            Step::Enter("Token", Some("fr-hello-7")),
            Step::Enter("Runner", Some("fr-hello-7")),
            Step::Fail(
                "ECS.AmazonECSException",
                json!("Capacity is unavailable at this time"),
            ),
            Step::Enter("Cleanup", None),
            Step::Fail("StillQueued", still_queued(Outcome::NoCapacity)),
            Step::Enter("Wait", None),
            Step::Enter("Launch", None),
            Step::Enter("Token", Some("fr-hello-7-a2")),
            Step::Enter("Runner", Some("fr-hello-7-a2")),
            Step::Fail(
                "States.TaskFailed",
                task("EssentialContainerExited", Some(137)),
            ),
            Step::Enter("Cleanup", None),
            Step::Fail("GitHubUnavailable", json!({ "errorMessage": "502" })),
            Step::Fail("StillQueued", still_queued(Outcome::Unknown)),
        ]);
        let lines: Vec<_> = seen.iter().map(Setback::told).collect();
        assert_eq!(
            lines,
            [
                "Match failed with Runtime.ExitError",
                "attempt 1: ECS refused its task with NoCapacity (ECS.AmazonECSException)",
                "attempt 2: its task was killed (exit code 137)",
                "attempt 2: Cleanup failed with GitHubUnavailable",
            ]
        );
        let times = (seen[1].began.unix_timestamp(), seen[1].at.unix_timestamp());
        assert_eq!(times, (5, 6));
        assert!(seen[2].was_killed() && !seen[2].was_taken_back());
    }

    #[test]
    fn an_end_that_no_step_told_is_read_from_the_verdict() {
        let seen = told(&[
            Step::Enter("Runner", Some("fr-hello-7")),
            Step::Enter("Cleanup", None),
            Step::Fail("StillQueued", still_queued(Outcome::RanJob)),
            Step::Enter("Wait", None),
            Step::Enter("Launch", None),
            Step::Fail("Deferred", json!({ "errorMessage": "75" })),
        ]);
        let lines: Vec<_> = seen.iter().map(Setback::told).collect();
        assert_eq!(lines, ["attempt 1: its runner ran another job"]);
    }

    #[test]
    fn spot_is_named_whatever_the_agent_said() {
        for exit in [None, Some(26), Some(27), Some(137)] {
            let seen = told(&[
                Step::Enter("WarmRunner", Some("fr-hello-7-a3")),
                Step::Fail("TaskFailed", task("SpotInterruption", exit)),
            ]);
            assert!(
                seen[0].was_taken_back() && !seen[0].was_killed(),
                "{seen:?}"
            );
            assert_eq!(seen[0].told(), "attempt 3: Fargate Spot took its task back");
        }
    }

    fn stopped(arn: &str, stop_code: &str, exit_code: Option<i32>) -> TaskSeen {
        TaskSeen {
            arn: arn.to_owned(),
            status: "STOPPED".to_owned(),
            created_at: None,
            started_at: None,
            stopped_at: Some(OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(90)),
            capacity: None,
            stop_code: Some(stop_code.to_owned()),
            stopped_reason: None,
            exit_code,
            reason: None,
        }
    }

    /// A history with the task `arn:1`, whose end it does not tell.
    fn untold_ends() -> [(&'static str, Vec<Step<'static>>); 2] {
        let refused = json!("the conditional request failed");
        [
            (
                "the execution was closed while the task ran",
                vec![
                    Step::Enter("Runner", Some("fr-hello-7-a2")),
                    Step::Submit("arn:1"),
                ],
            ),
            (
                "the warm task ended before the execution waited for it",
                vec![
                    Step::Adopt("fr-hello-7-a2", "arn:1"),
                    Step::Fail("DynamoDb.ConditionalCheckFailedException", refused),
                    Step::Enter("Cleanup", None),
                    Step::Fail("StillQueued", still_queued(Outcome::Unknown)),
                ],
            ),
        ]
    }

    #[test]
    fn what_the_history_does_not_tell_of_a_tasks_end_ecs_tells() {
        for (case, steps) in untold_ends() {
            let (mut setbacks, untold) = read_steps(&steps);
            assert_eq!(untold.len(), 1, "{case}: {setbacks:#?}");
            let tasks = [stopped("arn:1", "EssentialContainerExited", Some(137))];
            complete(&mut setbacks, &untold, &tasks);
            let killed: Vec<_> = setbacks.iter().filter(|one| one.was_killed()).collect();
            assert_eq!(killed.len(), 1, "{case}: {setbacks:#?}");
            assert_eq!(
                killed[0].told(),
                "attempt 2: its task was killed (exit code 137)"
            );
            let again = |one: &&Setback| one.outcome == Outcome::Unknown;
            assert_eq!(setbacks.iter().filter(again).count(), 1, "{case}");
        }
    }

    #[test]
    fn a_task_that_runs_or_was_stopped_by_this_system_is_no_setback() {
        let running = TaskSeen {
            status: "RUNNING".to_owned(),
            ..stopped("arn:1", "", None)
        };
        let ends = [
            running,
            stopped("arn:1", "UserInitiated", Some(143)),
            stopped("arn:1", "EssentialContainerExited", Some(0)),
            stopped("arn:2", "SpotInterruption", None),
        ];
        for task in ends {
            let [(_, steps), _] = untold_ends();
            let (mut setbacks, untold) = read_steps(&steps);
            complete(&mut setbacks, &untold, std::slice::from_ref(&task));
            assert_eq!(setbacks, [], "{task:?}");
        }
        let (mut setbacks, untold) = read_steps(&untold_ends()[0].1);
        complete(
            &mut setbacks,
            &untold,
            &[stopped("arn:1", "SpotInterruption", None)],
        );
        assert!(setbacks[0].was_taken_back(), "{setbacks:?}");
    }

    #[test]
    fn a_task_whose_end_the_history_tells_is_not_asked_for() {
        for end in [
            Step::Succeed,
            Step::Fail(
                "States.TaskFailed",
                task("EssentialContainerExited", Some(137)),
            ),
        ] {
            let (_, untold) = read_steps(&[
                Step::Enter("Runner", Some("fr-hello-7")),
                Step::Submit("arn:1"),
                end,
            ]);
            assert_eq!(untold, []);
        }
    }
}
