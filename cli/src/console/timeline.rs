//! An execution's history as a timeline: the states it entered, with times, tries and errors. Pure.

use aws::executions::history::{HistoryEvent, HistoryEventType};
use decisions::ExecutionOutput;
use protocol::{Order, RunnerName, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::why::StepFailure;

/// Milliseconds since 1970.
pub type Millis = i64;

/// What the events that were read tell.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    pub began: Option<Millis>,
    pub ended: Option<Millis>,
    pub visits: Vec<Visit>,
    /// The execution's input, if its first event was read.
    pub order: Option<Order>,
    /// If it succeeded.
    pub output: Option<ExecutionOutput>,
    /// If it did not.
    pub failure: Option<StepFailure>,
    /// CPU units of the task definition that `match` chose; 1,024 are one vCPU.
    pub cpu: Option<u32>,
    /// Whether older events were not read.
    pub is_cut: bool,
}

/// One visit of a state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Visit {
    pub state: String,
    /// The attempt that it belongs to, from 1.
    pub attempt: u32,
    pub from: Millis,
    pub to: Option<Millis>,
    /// How often its task was tried.
    pub tries: u32,
    /// Its last error, unless a later try succeeded.
    pub failure: Option<StepFailure>,
    /// The task that it started or adopted.
    pub task: Option<TaskTimes>,
}

/// A task, as `runTask.sync` answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskTimes {
    pub arn: String,
    /// When its containers were running.
    pub up: Option<Millis>,
    pub stopped: Option<Millis>,
    /// CPU units; 1,024 are one vCPU.
    pub cpu: Option<u32>,
    /// In MiB.
    pub memory: Option<u32>,
    pub capacity: Option<String>,
}

impl Visit {
    fn is(&self, state: State) -> bool {
        self.state == state.as_str()
    }

    /// Whether it is the one in which the runner works.
    pub fn has_runner(&self) -> bool {
        self.is(State::Runner) || self.is(State::WarmRunner)
    }
}

impl Timeline {
    /// Reads events, newest first, as Step Functions returns them. `is_cut` says that there are older
    /// ones.
    pub fn read(events: &[HistoryEvent], is_cut: bool) -> Self {
        let mut timeline = Self {
            is_cut,
            ..Self::default()
        };
        for event in events.iter().rev() {
            timeline.take(event);
        }
        timeline
    }

    /// The newest task.
    pub fn task(&self) -> Option<&TaskTimes> {
        let mut visits = self.visits.iter().rev();
        visits.find_map(|visit| visit.task.as_ref())
    }

    /// The number of its newest attempt.
    pub fn attempt(&self) -> u32 {
        self.visits.last().map_or(1, |visit| visit.attempt)
    }

    fn take(&mut self, event: &HistoryEvent) {
        let at = event.timestamp().to_millis().unwrap_or_default();
        if let Some(entered) = event.state_entered_event_details() {
            self.enter(entered.name(), entered.input(), at);
            return;
        }
        match event.r#type() {
            HistoryEventType::ExecutionStarted => {
                self.began = Some(at);
                let input = event
                    .execution_started_event_details()
                    .and_then(|started| started.input());
                self.order = input.and_then(|input| serde_json::from_str(input).ok());
            }
            HistoryEventType::ExecutionSucceeded => {
                let output = event
                    .execution_succeeded_event_details()
                    .and_then(|succeeded| succeeded.output());
                self.output = output.and_then(|output| serde_json::from_str(output).ok());
                self.end(at);
            }
            HistoryEventType::ExecutionFailed => {
                let told = event.execution_failed_event_details();
                self.failure = told.map(|told| failed(told.error(), told.cause()));
                self.end(at);
            }
            HistoryEventType::ExecutionAborted => {
                let told = event.execution_aborted_event_details();
                self.failure = told.map(|told| failed(told.error(), told.cause()));
                self.end(at);
            }
            HistoryEventType::ExecutionTimedOut => {
                let told = event.execution_timed_out_event_details();
                self.failure = told.map(|told| failed(told.error(), told.cause()));
                self.end(at);
            }
            kind => {
                let Some(visit) = self.visits.last_mut() else {
                    return;
                };
                if visit.is(State::Match) && *kind == HistoryEventType::TaskSucceeded {
                    let output = event
                        .task_succeeded_event_details()
                        .and_then(|told| told.output());
                    self.cpu = output.and_then(chosen_cpu);
                }
                visit.take(event, at);
            }
        }
    }

    fn end(&mut self, at: Millis) {
        self.ended = Some(at);
        if let Some(visit) = self.visits.last_mut() {
            visit.to.get_or_insert(at);
        }
    }

    /// A state is entered. The runner that its input plans tells the attempt; `Launch`, which plans it,
    /// comes before.
    fn enter(&mut self, state: &str, input: Option<&str>, at: Millis) {
        let attempt = self.attempt();
        let mut visit = Visit {
            state: state.to_owned(),
            attempt,
            from: at,
            ..Visit::default()
        };
        let planned = input.and_then(planned);
        if let Some((runner, adopted)) = planned {
            visit.attempt = runner.attempt();
            if let Some(launch) = self.visits.last_mut()
                && launch.is(State::Launch)
            {
                launch.attempt = runner.attempt();
            }
            visit.task = adopted
                .filter(|_| visit.is(State::WarmRunner))
                .map(|arn| TaskTimes {
                    arn,
                    ..TaskTimes::default()
                });
        } else if visit.is(State::Launch)
            && self.visits.iter().any(|before| {
                before.attempt == attempt && (before.is(State::Token) || before.has_runner())
            })
        {
            visit.attempt += 1;
        }
        self.visits.push(visit);
    }
}

impl Visit {
    fn take(&mut self, event: &HistoryEvent, at: Millis) {
        match event.r#type() {
            HistoryEventType::TaskScheduled => self.tries += 1,
            HistoryEventType::TaskSubmitted => {
                let output = event
                    .task_submitted_event_details()
                    .filter(|told| told.resource_type() == "ecs")
                    .and_then(|told| told.output());
                if let Some(task) = output.and_then(submitted) {
                    self.know(task);
                }
            }
            HistoryEventType::TaskSucceeded => {
                self.failure = None;
                let output = event
                    .task_succeeded_event_details()
                    .and_then(|told| told.output());
                if let Some(task) = output.filter(|_| self.has_runner()).and_then(task) {
                    self.know(task);
                }
            }
            HistoryEventType::TaskFailed => {
                let told = event.task_failed_event_details();
                let (error, cause) = told.map(|told| (told.error(), told.cause())).unzip();
                self.fail(error.flatten(), cause.flatten());
            }
            HistoryEventType::TaskSubmitFailed => {
                let told = event.task_submit_failed_event_details();
                let (error, cause) = told.map(|told| (told.error(), told.cause())).unzip();
                self.fail(error.flatten(), cause.flatten());
            }
            HistoryEventType::TaskTimedOut => {
                let told = event.task_timed_out_event_details();
                let (error, cause) = told.map(|told| (told.error(), told.cause())).unzip();
                self.fail(error.flatten(), cause.flatten());
            }
            _ if event.state_exited_event_details().is_some() => self.to = Some(at),
            _ => {}
        }
    }

    fn fail(&mut self, error: Option<&str>, cause: Option<&str>) {
        if let Some(task) = cause.filter(|_| self.has_runner()).and_then(task) {
            self.know(task);
        }
        self.failure = Some(failed(error, cause));
    }

    /// Takes what is told of its task; later answers know more.
    fn know(&mut self, told: TaskTimes) {
        let known = self.task.get_or_insert_default();
        *known = TaskTimes {
            up: told.up.or(known.up),
            stopped: told.stopped.or(known.stopped),
            cpu: told.cpu.or(known.cpu),
            memory: told.memory.or(known.memory),
            capacity: told.capacity.or(known.capacity.take()),
            arn: told.arn,
        };
    }
}

/// Longest message that is kept of a step; verdicts of `cleanup` are JSON and far shorter.
const MESSAGE: usize = 4_000;

fn failed(error: Option<&str>, cause: Option<&str>) -> StepFailure {
    let cause = cause.unwrap_or_default();
    let told: Value = serde_json::from_str(cause).unwrap_or_default();
    // A function's error, an ECS task that failed, or plain text.
    let message = told["errorMessage"]
        .as_str()
        .or_else(|| told["StoppedReason"].as_str())
        .unwrap_or(cause);
    StepFailure {
        error: error.unwrap_or_default().to_owned(),
        message: message.chars().take(MESSAGE).collect(),
    }
}

/// The runner in the input of the states after `Launch`, and the warm task that it adopted.
fn planned(input: &str) -> Option<(RunnerName, Option<String>)> {
    let input: Value = serde_json::from_str(input).ok()?;
    let overrides = &input["runTask"]["Overrides"];
    let overrides = decisions::Overrides::deserialize(overrides).ok()?;
    let runner = overrides.agent_variable("AGENT_RUNNER")?.parse().ok()?;
    let adopted = input["warm"]["taskArn"].as_str().map(str::to_owned);
    Some((runner, adopted))
}

/// The size in the result of `match`.
fn chosen_cpu(output: &str) -> Option<u32> {
    let output: Value = serde_json::from_str(output).ok()?;
    output["Payload"]["cpu"].as_u64()?.try_into().ok()
}

/// The task in RunTask's answer.
fn submitted(output: &str) -> Option<TaskTimes> {
    let answer: Value = serde_json::from_str(output).ok()?;
    read(answer["Tasks"].get(0)?)
}

/// A task that has ended.
fn task(text: &str) -> Option<TaskTimes> {
    read(&serde_json::from_str(text).ok()?)
}

fn read(task: &Value) -> Option<TaskTimes> {
    // What was overridden goes first: ECS's own field may show the definition's.
    let overrides = &task["Overrides"];
    let number = |name: &str| {
        let told = overrides[name].as_str().or(task[name].as_str());
        told?.parse().ok()
    };
    // Epoch milliseconds; an engine that writes seconds is read too.
    let instant = |name: &str| {
        let at = task[name].as_f64()?;
        let milliseconds = if at > 1e11 { at } else { at * 1e3 };
        #[expect(clippy::cast_possible_truncation, reason = "a time of this era")]
        Some(milliseconds.round() as Millis)
    };
    Some(TaskTimes {
        arn: task["TaskArn"].as_str()?.to_owned(),
        up: instant("StartedAt"),
        stopped: instant("StoppedAt"),
        cpu: number("Cpu"),
        memory: number("Memory"),
        capacity: task["CapacityProviderName"].as_str().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use aws::executions::history;
    use aws::executions::history::builders::HistoryEventBuilder;
    use aws_sdk_ecs::primitives::DateTime;
    use decisions::Outcome;
    use serde_json::json;

    use super::*;

    /// Histories of the local stack, without times.
    const HISTORIES: &str = include_str!("../../../tests/fixtures/histories.json");

    /// An event of the fixture, a second after the one before.
    fn event(number: i64, json: &Value) -> HistoryEvent {
        let text = |of: &str, name: &str| json[of][name].as_str().map(str::to_owned);
        let kind = json["type"].as_str().unwrap();
        let event = HistoryEvent::builder()
            .id(number)
            .timestamp(DateTime::from_millis(number * 1_000))
            .r#type(HistoryEventType::from(kind));
        details(event, kind, &text).build().unwrap()
    }

    fn details(
        event: HistoryEventBuilder,
        kind: &str,
        text: &dyn Fn(&str, &str) -> Option<String>,
    ) -> HistoryEventBuilder {
        match kind {
            "ExecutionStarted" => event.execution_started_event_details(
                history::ExecutionStartedEventDetails::builder()
                    .set_input(text("executionStartedEventDetails", "input"))
                    .build(),
            ),
            "ExecutionSucceeded" => event.execution_succeeded_event_details(
                history::ExecutionSucceededEventDetails::builder()
                    .set_output(text("executionSucceededEventDetails", "output"))
                    .build(),
            ),
            "TaskSucceeded" => event.task_succeeded_event_details(
                history::TaskSucceededEventDetails::builder()
                    .resource_type("any")
                    .resource("any")
                    .set_output(text("taskSucceededEventDetails", "output"))
                    .build()
                    .unwrap(),
            ),
            "TaskFailed" => event.task_failed_event_details(
                history::TaskFailedEventDetails::builder()
                    .resource_type("any")
                    .resource("any")
                    .set_error(text("taskFailedEventDetails", "error"))
                    .set_cause(text("taskFailedEventDetails", "cause"))
                    .build()
                    .unwrap(),
            ),
            _ => event.state_entered_event_details(
                history::StateEnteredEventDetails::builder()
                    .name(text("stateEnteredEventDetails", "name").unwrap())
                    .set_input(text("stateEnteredEventDetails", "input"))
                    .build()
                    .unwrap(),
            ),
        }
    }

    fn read(name: &str) -> Timeline {
        let histories: Value = serde_json::from_str(HISTORIES).unwrap();
        read_all(histories[name].as_array().unwrap())
    }

    fn read_all(events: &[Value]) -> Timeline {
        let events = events.iter().zip(1..);
        let mut events: Vec<_> = events.map(|(json, number)| event(number, json)).collect();
        events.reverse();
        Timeline::read(&events, false)
    }

    fn visits(timeline: &Timeline) -> Vec<(&str, u32)> {
        let visits = timeline.visits.iter();
        visits
            .map(|visit| (visit.state.as_str(), visit.attempt))
            .collect()
    }

    #[test]
    fn a_job_that_ran_has_one_attempt_and_a_task() {
        let timeline = read("a job that ran");
        assert_eq!(
            visits(&timeline),
            [
                ("Match", 1),
                ("Launch", 1),
                ("Token", 1),
                ("Runner", 1),
                ("Cleanup", 1)
            ]
        );
        assert_eq!(timeline.output.as_ref().unwrap().outcome, Outcome::RanJob);
        assert!(timeline.order.is_some());
        assert_eq!(timeline.cpu, Some(2_048));
        let task = timeline.task().unwrap();
        // The fixture keeps the times of the task.
        assert!(task.up > Some(1_700_000_000_000), "{task:?}");
        assert!(task.stopped >= task.up && task.cpu.is_some(), "{task:?}");
        assert_eq!(timeline.ended, Some(12_000));
        assert_eq!(timeline.visits[4].to, Some(12_000));
    }

    #[test]
    fn a_second_attempt_begins_with_its_launch() {
        let timeline = read("a job whose runner took another, served after that");
        assert_eq!(
            visits(&timeline)[4..],
            [
                ("Cleanup", 1),
                ("Wait", 1),
                ("Launch", 2),
                ("Token", 2),
                ("Cleanup", 2)
            ]
        );
        let failure = timeline.visits[4].failure.as_ref().unwrap();
        assert_eq!(failure.error, "StillQueued");
        // Its message is the verdict.
        serde_json::from_str::<decisions::NextAttempt>(&failure.message).unwrap();
    }

    #[test]
    fn an_error_is_in_the_words_of_its_function() {
        let timeline = read("a job of a repository without the App");
        let failure = timeline.visits[2].failure.as_ref().unwrap();
        assert_eq!(failure.error, "AppNotInstalled");
        assert!(!failure.message.starts_with('{'), "{failure:?}");
    }

    #[test]
    fn an_adopted_task_and_the_attempt_are_read_from_the_plan() {
        let input = json!({
            "runTask": { "Overrides": { "ContainerOverrides": [{
                "Name": protocol::CONTAINER,
                "Environment": [{ "Name": "AGENT_RUNNER", "Value": "fr-hello-7-a3" }],
            }] } },
            "warm": { "taskArn": "arn:warm" },
        });
        let entered = |name: &str, input: &Value| {
            json!({ "type": "TaskStateEntered",
                    "stateEnteredEventDetails": { "name": name, "input": input.to_string() } })
        };
        let timeline = read_all(&[
            entered("Launch", &Value::Null),
            entered("Token", &input),
            entered("WarmRunner", &input),
        ]);
        assert_eq!(timeline.task().unwrap().arn, "arn:warm");
        // The runner's name tells the attempt, also where earlier events were not read.
        assert_eq!(
            visits(&timeline),
            [("Launch", 3), ("Token", 3), ("WarmRunner", 3)]
        );
    }
}
