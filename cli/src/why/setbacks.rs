//! What went wrong on a job's way: the failed steps in the history of an execution. Pure.

use aws::executions::history::{HistoryEvent, HistoryEventType};
use decisions::{Ended, NextAttempt, Outcome, StepError};
use protocol::{Class, ExecutionName, Fault, RunnerName, State};
use serde::Serialize;
use time::OffsetDateTime;

use super::history::{StepFailure, message, planned};

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

/// Reads a history, newest event first, as Step Functions returns it. The result begins with the
/// oldest.
pub fn read(execution: &ExecutionName, events: &[HistoryEvent]) -> Vec<Setback> {
    let mut reading = Reading {
        execution,
        state: String::new(),
        began: None,
        runner: None,
        found: Vec::new(),
    };
    for event in events.iter().rev() {
        reading.take(event);
    }
    reading.found
}

struct Reading<'a> {
    execution: &'a ExecutionName,
    state: String,
    /// When the state's task was tried last.
    began: Option<OffsetDateTime>,
    runner: Option<RunnerName>,
    found: Vec<Setback>,
}

impl Reading<'_> {
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
            if let Some((runner, _)) = entered.input().and_then(planned) {
                self.runner = Some(runner);
            }
            return;
        }
        let (error, cause) = match event.r#type() {
            HistoryEventType::TaskScheduled => {
                self.began = Some(at);
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
        Fail(&'a str, Value),
    }

    /// What a history with these steps tells, each a second after the one before.
    fn told(steps: &[Step<'_>]) -> Vec<Setback> {
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
}
