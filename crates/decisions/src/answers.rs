//! What steps answer the state machine with, where that holds an attempt or an outcome. Each is
//! written by one handler, carried by the state machine, and read by another.

use protocol::{PlannedRunner, RunnerName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attempt::Attempt;
use crate::give_up::GiveUp;
use crate::outcomes::Outcome;

/// What `launch` answers. In JSON its fields are in camel case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// The RunTask request.
    pub run_task: Value,
    /// The runner that the task will be.
    pub runner: PlannedRunner,
    /// The attempt, for `cleanup` to go on from.
    pub attempt: Attempt,
}

/// The message of `cleanup`'s `StillQueued`: the job still waits, and another attempt follows. In JSON
/// its fields are in camel case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextAttempt {
    /// What became of the last attempt, for the console.
    pub outcome: Outcome,
    /// The same in a sentence.
    pub detail: String,
    /// How long the state machine waits.
    pub wait_seconds: u64,
    /// How the next attempt goes.
    pub attempt: Attempt,
}

/// The message of `cleanup`'s `GaveUp`: the execution ends without its job served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// Why; the execution's error.
    pub error: GiveUp,
    /// What happened and what to change; the execution's cause.
    pub cause: String,
}

/// What `cleanup` answers where the execution ends well, which is the execution's output: where a
/// person looks next. In JSON its fields are in camel case. One of an older version may say less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionOutput {
    /// What became of the last attempt.
    pub outcome: Outcome,
    /// The same in a sentence.
    #[serde(default)]
    pub detail: String,
    /// Where the job stood at GitHub, in words; null where GitHub was not asked.
    pub job: Option<String>,
    /// The runner that took the job.
    pub served_by: Option<String>,
    /// The last attempt's runner.
    pub runner: Option<RunnerName>,
    /// The ARN of its task.
    pub task: Option<String>,
    /// Where that logs.
    pub log: Option<LogStream>,
}

/// A log stream in CloudWatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStream {
    /// Its group; null where the deployment names none.
    pub group: Option<String>,
    /// Its name.
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
