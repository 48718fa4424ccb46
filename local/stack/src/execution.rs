//! An execution's history, state by state.

use protocol::State;
use serde_json::Value;

#[derive(Clone, Debug, Default)]
pub struct Execution {
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT` or `ABORTED`.
    pub status: String,
    /// Seconds since 1970.
    pub began: f64,
    pub ended: Option<f64>,
    /// The entered states, in order.
    pub visits: Vec<Visit>,
    pub output: Option<Value>,
    /// The error's name, if it failed.
    pub error: Option<String>,
    /// The error's cause.
    pub cause: Option<String>,
    /// Every event, as Step Functions returns it.
    pub events: Vec<Value>,
}

/// One visit of a state.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    pub state: String,
    /// The attempt that it belongs to, from 1.
    pub attempt: u32,
    /// Seconds since 1970.
    pub entered: f64,
    pub left: Option<f64>,
    /// Number of tries of its task.
    pub tries: u32,
    /// The task's last result.
    pub result: Option<Value>,
    /// The last error: name and cause.
    pub failure: Option<(String, String)>,
}

impl Execution {
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.status != "RUNNING"
    }

    /// Number of entered states, which AWS bills (retries not included).
    pub fn states_entered(&self) -> usize {
        self.visits.len()
    }

    /// ARN of the warm task that it adopted, as it entered the wait for it.
    pub fn adopted(&self) -> Option<String> {
        self.events.iter().find_map(|event| {
            let details = &event["stateEnteredEventDetails"];
            let input: Value = serde_json::from_str(details["input"].as_str()?).ok()?;
            let arn = input["warm"]["taskArn"].as_str()?;
            (details["name"] == State::WarmRunner.as_str()).then(|| arn.to_owned())
        })
    }

    /// Parses a history.
    pub(crate) fn read(status: &str, events: Vec<Value>) -> Self {
        let mut execution = Self {
            status: status.to_owned(),
            ..Self::default()
        };
        let mut attempt = 1;
        for event in &events {
            let at = event["timestamp"].as_f64().unwrap_or_default();
            let kind = event["type"].as_str().unwrap_or_default();
            if kind == "ExecutionStarted" {
                execution.began = at;
            } else if kind.starts_with("Execution") {
                execution.end(event, at);
            } else if kind.ends_with("StateEntered") {
                let state = event["stateEnteredEventDetails"]["name"]
                    .as_str()
                    .unwrap_or_default();
                let launch = State::Launch.as_str();
                if state == launch && execution.visits.iter().any(|visit| visit.state == launch) {
                    attempt += 1;
                }
                execution.visits.push(Visit {
                    state: state.to_owned(),
                    attempt,
                    entered: at,
                    ..Visit::default()
                });
            } else if let Some(visit) = execution.visits.last_mut() {
                visit.note(kind, event, at);
            }
        }
        execution.events = events;
        execution
    }

    fn end(&mut self, event: &Value, at: f64) {
        self.ended = Some(at);
        // Each way to end has its own details with the same fields.
        let details = event
            .as_object()
            .and_then(|fields| {
                fields
                    .iter()
                    .find(|(name, _)| name.ends_with("EventDetails"))
            })
            .map_or(&Value::Null, |(_, details)| details);
        self.output = details["output"]
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok());
        self.error = details["error"].as_str().map(str::to_owned);
        self.cause = details["cause"].as_str().map(str::to_owned);
        if let Some(visit) = self.visits.last_mut() {
            visit.left.get_or_insert(at);
        }
    }
}

impl Visit {
    fn note(&mut self, kind: &str, event: &Value, at: f64) {
        match kind {
            "TaskScheduled" | "LambdaFunctionScheduled" => self.tries += 1,
            "TaskSucceeded" => {
                let output = event["taskSucceededEventDetails"]["output"].as_str();
                self.result = output.and_then(|text| serde_json::from_str(text).ok());
                self.failure = None;
            }
            "TaskFailed" | "TaskSubmitFailed" | "TaskTimedOut" => {
                let details = match kind {
                    "TaskFailed" => "taskFailedEventDetails",
                    "TaskSubmitFailed" => "taskSubmitFailedEventDetails",
                    _ => "taskTimedOutEventDetails",
                };
                let text =
                    |name: &str| event[details][name].as_str().unwrap_or_default().to_owned();
                self.failure = Some((text("error"), text("cause")));
            }
            _ if kind.ends_with("StateExited") => self.left = Some(at),
            _ => {}
        }
    }

    /// A short description of the result.
    pub fn outcome(&self) -> String {
        if let Some((error, cause)) = &self.failure {
            return failure(error, cause);
        }
        let Some(result) = &self.result else {
            return String::new();
        };
        let payload = &result["Payload"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match self.state.parse() {
            Ok(State::Match) => text(&payload["family"]) + &resized(&payload["size"]),
            Ok(State::Launch) => text(&payload["runner"]["name"]),
            Ok(State::Token) => payload["runnerId"].as_u64().map_or_else(
                || "registration token".to_owned(),
                |id| format!("registered as {id}"),
            ),
            Ok(State::Runner | State::WarmRunner) => exit_of(result),
            Ok(State::Cleanup) => format!(
                "{}, job {}",
                text(&payload["outcome"]),
                text(&payload["job"])
            ),
            _ => String::new(),
        }
    }

    /// The ARN of the state's task, if it started one.
    pub fn task(&self) -> Option<String> {
        let failed: Option<Value> = self
            .failure
            .as_ref()
            .and_then(|(_, cause)| serde_json::from_str(cause).ok());
        let task = self.result.as_ref().or(failed.as_ref())?;
        task["TaskArn"].as_str().map(str::to_owned)
    }
}

/// What a job's task has of another size than its definition.
fn resized(size: &Value) -> String {
    let part = |name: &str, scale: f64, unit: &str| {
        let amount = size[name].as_f64();
        amount.map_or_else(String::new, |amount| format!(", {}{unit}", amount / scale))
    };
    part("cpu", 1_024.0, " vCPU")
        + &part("memory", 1_024.0, " GiB")
        + &part("disk", 1.0, " GiB of disk")
}

fn failure(error: &str, cause: &str) -> String {
    let parsed: Value = serde_json::from_str(cause).unwrap_or(Value::Null);
    let message = parsed["errorMessage"].as_str().map_or_else(
        || {
            if parsed.is_object() {
                exit_of(&parsed)
            } else {
                cause.to_owned()
            }
        },
        str::to_owned,
    );
    format!("{error}: {message}")
}

fn exit_of(task: &Value) -> String {
    let exit = task["Containers"][0]["ExitCode"].as_i64();
    let reason = task["StoppedReason"].as_str().unwrap_or_default();
    exit.map_or_else(|| reason.to_owned(), |code| format!("exit {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_history_reads_as_visits_with_their_attempts() {
        let events = json!([
            { "type": "ExecutionStarted", "timestamp": 10.0 },
            { "type": "TaskStateEntered", "timestamp": 10.1, "stateEnteredEventDetails": { "name": "Launch" } },
            { "type": "TaskScheduled", "timestamp": 10.1 },
            { "type": "TaskFailed", "timestamp": 10.2,
              "taskFailedEventDetails": { "error": "StillQueued", "cause": "{\"errorMessage\":\"later\"}" } },
            { "type": "TaskStateExited", "timestamp": 10.3 },
            { "type": "TaskStateEntered", "timestamp": 10.4, "stateEnteredEventDetails": { "name": "Launch" } },
            { "type": "ExecutionFailed", "timestamp": 11.0,
              "executionFailedEventDetails": { "error": "GaveUp", "cause": "no" } },
        ]);
        let execution = Execution::read("FAILED", events.as_array().unwrap().clone());
        assert_eq!(execution.states_entered(), 2);
        assert_eq!(execution.visits[0].outcome(), "StillQueued: later");
        assert_eq!(execution.visits[1].attempt, 2);
        assert_eq!(execution.error.as_deref(), Some("GaveUp"));
        assert_eq!(execution.ended, Some(11.0));
    }
}
