//! What an execution's history tells about where it is. Pure.

use aws::executions::history::{HistoryEvent, HistoryEventType};
use decisions::{NextAttempt, Overrides, SlotAwaited};
use protocol::{Adopted, RunnerName, State};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Where an execution is, from the newest events of its history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Course {
    /// The state that it entered last, as the history spells it: a newer version may have others.
    pub state: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub entered_at: Option<OffsetDateTime>,
    /// The newest planned runner.
    pub runner: Option<RunnerName>,
    /// The ARN of that runner's task.
    pub task: Option<String>,
    /// What it waits for, if it waits for a slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotAwaited>,
    /// The last failed step, in the words of its handler, of ECS or of Step Functions.
    pub failure: Option<StepFailure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepFailure {
    pub error: String,
    pub message: String,
}

/// Why an execution pauses, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// `launch` found the order to be too early.
    Deferred { seconds: u64 },
    /// An attempt ended and the job is still queued.
    Retry(Box<NextAttempt>),
    /// GitHub's rate limit.
    RateLimit { seconds: u64 },
    /// As many runners as may run at once do.
    Slot(Box<SlotAwaited>),
}

impl Pause {
    pub fn seconds(&self) -> u64 {
        match self {
            Self::Deferred { seconds } | Self::RateLimit { seconds } => *seconds,
            Self::Retry(next) => next.wait_seconds,
            Self::Slot(slot) => slot.wait_seconds,
        }
    }
}

impl Course {
    /// The state, if this version knows it.
    pub fn known_state(&self) -> Option<State> {
        self.state.as_deref()?.parse().ok()
    }

    /// Why it pauses, if it is in one of the waiting states and its input or the last failure tells.
    pub fn pause(&self) -> Option<Pause> {
        if self.known_state() == Some(State::WaitForSlot) {
            return self.slot.clone().map(|slot| Pause::Slot(Box::new(slot)));
        }
        let failure = self.failure.as_ref()?;
        let seconds = || failure.message.trim().parse().ok();
        match (self.known_state()?, failure.error.as_str()) {
            (State::Wait, "StillQueued") => serde_json::from_str(&failure.message)
                .ok()
                .map(|next| Pause::Retry(Box::new(next))),
            (State::Wait, "Deferred") => Some(Pause::Deferred {
                seconds: seconds()?,
            }),
            (State::WaitForGitHub, "GitHubRateLimited") => Some(Pause::RateLimit {
                seconds: seconds()?,
            }),
            _ => None,
        }
    }
}

/// Reads events, newest first. Pages are handed over until [`Reader::is_done`].
#[derive(Debug, Default)]
pub struct Reader {
    course: Course,
    done: bool,
}

impl Reader {
    /// Takes the next older events.
    pub fn take(&mut self, events: &[HistoryEvent]) {
        for event in events {
            if self.done {
                return;
            }
            self.take_one(event);
        }
    }

    /// Whether older events tell nothing more: the newest runner's plan was seen.
    pub const fn is_done(&self) -> bool {
        self.done
    }

    pub fn course(self) -> Course {
        self.course
    }

    fn take_one(&mut self, event: &HistoryEvent) {
        let course = &mut self.course;
        if let Some(entered) = event.state_entered_event_details() {
            if course.state.is_none() {
                course.state = Some(entered.name().to_owned());
                course.entered_at =
                    OffsetDateTime::from_unix_timestamp(event.timestamp().secs()).ok();
            }
            if entered.name() == State::WaitForSlot.as_str() && course.slot.is_none() {
                course.slot = entered.input().and_then(awaited);
            }
            if let Some((runner, adopted)) = entered.input().and_then(planned) {
                course.runner = Some(runner);
                course.task = course.task.take().or(adopted);
                self.done = true;
            }
            return;
        }
        match event.r#type() {
            HistoryEventType::TaskFailed => {
                let details = event.task_failed_event_details();
                let (error, cause) = details
                    .map(|details| (details.error(), details.cause()))
                    .unwrap_or_default();
                self.failed(error, cause);
            }
            HistoryEventType::TaskSubmitFailed => {
                let details = event.task_submit_failed_event_details();
                let (error, cause) = details
                    .map(|details| (details.error(), details.cause()))
                    .unwrap_or_default();
                self.failed(error, cause);
            }
            HistoryEventType::TaskSubmitted if course.task.is_none() => {
                let details = event
                    .task_submitted_event_details()
                    .filter(|details| details.resource_type() == "ecs");
                course.task = details.and_then(|details| submitted(details.output()?));
            }
            _ => {}
        }
    }

    fn failed(&mut self, error: Option<&str>, cause: Option<&str>) {
        let cause = cause.unwrap_or_default();
        self.course.failure.get_or_insert_with(|| StepFailure {
            error: error.unwrap_or_default().to_owned(),
            message: message(cause),
        });
    }
}

/// A function's error message, or the cause as it is.
pub(super) fn message(cause: &str) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct OfLambda {
        error_message: String,
    }
    serde_json::from_str(cause).map_or_else(
        |_| cause.to_owned(),
        |OfLambda { error_message }| error_message,
    )
}

/// The runner in the input of `Token`, `Start`, `Runner` and `WarmRunner`, and the warm task that it
/// adopted.
pub(super) fn planned(input: &str) -> Option<(RunnerName, Option<String>)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Planned {
        run_task: RunTask,
        warm: Option<Adopted>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct RunTask {
        overrides: Overrides,
    }
    let planned: Planned = serde_json::from_str(input).ok()?;
    let overrides = planned.run_task.overrides;
    let runner = overrides.agent_variable("AGENT_RUNNER")?.parse().ok()?;
    Some((runner, planned.warm.map(|warm| warm.task_arn)))
}

/// What an execution waits for, in the input of `WaitForSlot`.
fn awaited(input: &str) -> Option<SlotAwaited> {
    #[derive(Deserialize)]
    struct Waiting {
        slot: SlotAwaited,
    }
    let waiting: Waiting = serde_json::from_str(input).ok()?;
    Some(waiting.slot)
}

/// The task in RunTask's result.
pub(super) fn submitted(output: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(default)]
        tasks: Vec<Task>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Task {
        task_arn: String,
    }
    let answer: Answer = serde_json::from_str(output).ok()?;
    answer.tasks.into_iter().next().map(|task| task.task_arn)
}

#[cfg(test)]
mod tests {
    use decisions::{Attempt, Outcome};
    use serde_json::json;

    use super::*;

    fn course(state: &str, error: &str, message: &str) -> Course {
        Course {
            state: Some(state.to_owned()),
            failure: Some(StepFailure {
                error: error.to_owned(),
                message: message.to_owned(),
            }),
            ..Course::default()
        }
    }

    #[test]
    fn a_pause_is_read_from_the_verdict_before_it() {
        let next = NextAttempt {
            outcome: Outcome::NoCapacity,
            detail: "no room".to_owned(),
            wait_seconds: 90,
            attempt: Attempt::first(),
        };
        let json = serde_json::to_string(&next).unwrap();
        for (course, pause) in [
            (
                course("Wait", "StillQueued", &json),
                Some(Pause::Retry(Box::new(next))),
            ),
            (
                course("Wait", "Deferred", "75"),
                Some(Pause::Deferred { seconds: 75 }),
            ),
            (
                course("WaitForGitHub", "GitHubRateLimited", "600"),
                Some(Pause::RateLimit { seconds: 600 }),
            ),
            (course("Runner", "StillQueued", &json), None),
            (course("Wait", "Deferred", "soon"), None),
            (course("Dreaming", "Deferred", "75"), None),
        ] {
            assert_eq!(course.pause(), pause, "{course:?}");
        }
    }

    #[test]
    fn a_wait_for_a_slot_tells_what_for() {
        let slot = SlotAwaited {
            detail: "waits for a slot of octo/hello: at most 2 at once, place 3 of 9 in line"
                .to_owned(),
            place: Some(3),
            wait_seconds: 12,
        };
        let input = json!({ "runTask": {}, "slot": slot }).to_string();
        assert_eq!(awaited(&input), Some(slot.clone()));
        let course = Course {
            state: Some("WaitForSlot".to_owned()),
            slot: Some(slot.clone()),
            ..Course::default()
        };
        assert_eq!(course.pause(), Some(Pause::Slot(Box::new(slot))));
        assert_eq!(awaited("{}"), None);
    }

    #[test]
    fn an_adopted_task_is_named_by_the_plan() {
        let mut input = json!({ "runTask": { "Overrides": { "ContainerOverrides": [{
            "Name": protocol::CONTAINER,
            "Environment": [{ "Name": "AGENT_RUNNER", "Value": "fr-hello-7" }],
        }] } } });
        let runner: RunnerName = "fr-hello-7".parse().unwrap();
        assert_eq!(planned(&input.to_string()), Some((runner.clone(), None)));
        input["warm"] = json!({ "taskArn": "arn:warm" });
        let adopted = Some("arn:warm".to_owned());
        assert_eq!(planned(&input.to_string()), Some((runner, adopted)));
        assert_eq!(planned("{}"), None);
    }

    #[test]
    fn a_functions_error_is_its_message() {
        let cause = json!({ "errorType": "Deferred", "errorMessage": "75" }).to_string();
        assert_eq!(message(&cause), "75");
        assert_eq!(message("plain text"), "plain text");
    }
}
