//! Results of steps that contain an attempt or an outcome. One handler writes each, the state
//! machine carries it, and another handler reads it.

use protocol::{PlannedRunner, RunnerName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attempt::Attempt;
use crate::give_up::GiveUp;
use crate::outcomes::Outcome;

/// Result of `launch`. JSON fields are in camel case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    pub run_task: Value,
    pub runner: PlannedRunner,
    /// The attempt, from which `cleanup` continues.
    pub attempt: Attempt,
}

/// Message of `cleanup`'s `StillQueued`: another attempt follows. JSON fields are in camel case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextAttempt {
    /// Outcome of the last attempt, for the console.
    pub outcome: Outcome,
    /// The same as a sentence.
    pub detail: String,
    /// Seconds that the state machine waits.
    pub wait_seconds: u64,
    /// The next attempt.
    pub attempt: Attempt,
}

/// Message of `token`'s `NoFreeSlot`: a cap is reached. JSON fields are in camel case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotAwaited {
    /// What the job waits for, as a sentence without its subject: `waits for a slot of octo/hello …`.
    pub detail: String,
    /// Its place among those who wait for the same, from 1; missing if the table did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u32>,
    /// Seconds until it looks again.
    pub wait_seconds: u64,
}

/// Message of `cleanup`'s `GaveUp`: the execution fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// The execution's error.
    pub error: GiveUp,
    /// What happened and what to change; the execution's cause.
    pub cause: String,
}

/// Result of `cleanup` for a successful execution, which is the execution's output and helps an
/// operator. JSON fields are in camel case. Older versions may have fewer fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionOutput {
    /// Outcome of the last attempt.
    pub outcome: Outcome,
    /// The same as a sentence.
    #[serde(default)]
    pub detail: String,
    /// The job's status at GitHub as text; null if GitHub was not asked.
    pub job: Option<String>,
    /// The runner that took the job.
    pub served_by: Option<String>,
    /// The last attempt's runner.
    pub runner: Option<RunnerName>,
    /// ARN of its task.
    pub task: Option<String>,
    /// Its log stream.
    pub log: Option<LogStream>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStream {
    /// Null if the deployment sets none.
    pub group: Option<String>,
    pub stream: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use serde_json::json;

    fn reads_back<T: Serialize + DeserializeOwned>(json: &Value) {
        let value: T = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&value).unwrap(), *json);
    }

    #[test]
    fn each_reads_back_from_its_own_json() {
        let attempt = json!({
            "number": 2, "faults": 1, "refusals": 3, "unpicked": 4, "capacityStep": 5,
            "subnetStep": 6
        });
        let parameter = format!("/fargate-runners/runners/fr-hello-7-a2/{}", "0".repeat(32));
        reads_back::<Planned>(&json!({
            "runTask": { "Cluster": "fargate-runners" },
            "runner": { "name": "fr-hello-7-a2", "parameter": parameter, "labels": ["linux"] },
            "attempt": attempt
        }));
        reads_back::<NextAttempt>(&json!({
            "outcome": "NoCapacity", "detail": "no room", "waitSeconds": 90, "attempt": attempt
        }));
        reads_back::<GivenUp>(&json!({ "error": "BudgetSpent", "cause": "five faults" }));
        reads_back::<GivenUp>(&json!({ "error": "AppNotInstalled", "cause": "install it" }));
        reads_back::<ExecutionOutput>(&json!({
            "outcome": "RanJob", "detail": "RanJob; exit code 0", "job": "completed: success",
            "servedBy": "fr-hello-7-a2", "runner": "fr-hello-7-a2", "task": "arn",
            "log": { "group": "/ecs/runners", "stream": "runner/runner/0123" }
        }));
        reads_back::<ExecutionOutput>(&json!({
            "outcome": "NotNeeded", "detail": "JobNotQueued", "job": null, "servedBy": null,
            "runner": null, "task": null, "log": null
        }));
    }

    #[test]
    fn every_outcome_is_written_by_its_name() {
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
        }
    }

    #[test]
    fn an_output_that_says_less_is_still_read() {
        let output: ExecutionOutput =
            serde_json::from_value(json!({ "outcome": "RanJob" })).unwrap();
        assert_eq!((output.outcome, output.job), (Outcome::RanJob, None));
    }
}
