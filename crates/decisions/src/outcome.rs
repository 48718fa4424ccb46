//! The outcome of an attempt, from its task's end or its error.

use protocol::{Class, Fault};
use serde::{Deserialize, Deserializer};

use crate::classify;
use crate::exit::AgentExit;
use crate::outcomes::{Outcome, OutcomeClass};
use crate::task::{EndedTask, TASK_FAILED};

impl Outcome {
    /// Whether GitHub had assigned a job to the attempt's runner.
    pub fn had_job(self) -> bool {
        self.class() == OutcomeClass::Ran && self != Self::NotNeeded
    }
}

/// An error as a state's Catch receives it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StepError {
    pub error: String,
    /// Plain text, a Lambda function's error as JSON, or a task as JSON. Empty for a timeout.
    #[serde(default, deserialize_with = "text_or_none")]
    pub cause: String,
}

/// AWS omits missing values or returns `null`; neither may hide the error itself.
fn text_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

/// An outcome with its details.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub outcome: Outcome,
    /// The fault that a step threw, if it is one of this system's.
    pub fault: Option<Fault>,
    /// A sentence for the operator.
    pub detail: String,
    /// The task, if there was one.
    pub task: Option<EndedTask>,
    /// Minimum wait in seconds, if a rate limit set one.
    pub retry_after: Option<u64>,
}

impl Ended {
    fn new(outcome: Outcome, detail: impl Into<String>, task: Option<&EndedTask>) -> Self {
        Self {
            outcome,
            fault: None,
            detail: detail.into(),
            task: task.cloned(),
            retry_after: None,
        }
    }

    /// How it affects the next attempt. A step that met an outage or a rate limit has an external
    /// cause, whatever the outcome's name.
    pub fn class(&self) -> OutcomeClass {
        let passing = self
            .fault
            .is_some_and(|fault| fault.class() == Class::Transient);
        if passing {
            OutcomeClass::External
        } else {
            self.outcome.class()
        }
    }

    /// Reads a task's end.
    pub fn from_task(task: &EndedTask) -> Self {
        let reason = task.stopped_reason.as_deref().unwrap_or_default();
        let container = task.runner();
        let container_reason = container
            .and_then(|c| c.reason.as_deref())
            .unwrap_or_default();
        let exit = container.and_then(|c| c.exit_code);
        let known = exit.and_then(AgentExit::from_code);
        // The agent's exit code precedes ECS's stop reason: a runner whose job ended during an
        // interruption ran its job.
        let outcome = match (known, task.stop_code.as_deref()) {
            (Some(AgentExit::RanJob), _) => Outcome::RanJob,
            (Some(AgentExit::StoppedInJob), _) => Outcome::LostInJob,
            (Some(AgentExit::WorkerDied), _) => Outcome::WorkerDied,
            (Some(AgentExit::MemoryExhausted), _) => Outcome::ExhaustedInJob,
            // The error's name first: anyone who stops a task can write any text.
            _ if [container_reason, reason]
                .iter()
                .any(|text| text.starts_with("OutOfMemory")) =>
            {
                Outcome::OutOfMemory
            }
            (_, Some("SpotInterruption" | "TerminationNotice")) => Outcome::SpotInterruption,
            (Some(AgentExit::Idle), _) => Outcome::NeverPickedUp,
            (Some(AgentExit::EndedWithoutJob), _) => Outcome::EndedWithoutJob,
            (Some(AgentExit::NoConnection), _) => Outcome::NoConnection,
            (Some(AgentExit::Refused), _) => Outcome::RegistrationRefused,
            (Some(AgentExit::VersionTooOld), _) => Outcome::RunnerTooOld,
            (Some(AgentExit::SessionConflict), _) => Outcome::SessionConflict,
            (Some(AgentExit::ListenerFailed), _) => Outcome::ListenerFailed,
            (Some(AgentExit::RegistrationUnavailable), _) => Outcome::RegistrationUnavailable,
            (Some(AgentExit::Misconfigured), _) => Outcome::Misconfigured,
            (Some(AgentExit::Stopped | AgentExit::Released), _) | (_, Some("UserInitiated")) => {
                Outcome::StoppedByUs
            }
            (None, code) => never_ran(task, code),
        };
        let mut detail = outcome.name().to_owned();
        for part in [reason, container_reason] {
            if !part.is_empty() {
                detail.push_str("; ");
                detail.push_str(part);
            }
        }
        if let Some(exit) = exit {
            use std::fmt::Write as _;
            let _ = write!(detail, "; exit code {exit}");
        }
        Self::new(outcome, detail, Some(task))
    }

    /// Reads a state's error.
    pub fn from_error(error: &StepError) -> Self {
        let text = format!("{}: {}", error.error, readable(&error.cause));
        if let Some(fault) = Fault::from_name(&error.error) {
            let outcome = match (fault, fault.class()) {
                (Fault::JobNotQueued, _) => Outcome::NotNeeded,
                (_, Class::Permanent) => Outcome::StepRefused,
                (Fault::Throttled, _) => Outcome::Throttled,
                _ => Outcome::StepFailed,
            };
            let retry_after = if fault == Fault::GitHubRateLimited {
                readable(&error.cause).trim().parse().ok()
            } else {
                None
            };
            return Self {
                fault: Some(fault),
                retry_after,
                ..Self::new(outcome, text, None)
            };
        }
        match error.error.as_str() {
            "States.TaskFailed" | TASK_FAILED => {
                match serde_json::from_str::<EndedTask>(&error.cause) {
                    Ok(task) if !task.containers.is_empty() || task.stop_code.is_some() => {
                        Self::from_task(&task)
                    }
                    _ => Self::new(classify::stopped(&error.cause), text, None),
                }
            }
            "States.Timeout" => Self::new(Outcome::TimedOut, text, None),
            // A missing permission of the state machine's role is permanent.
            "States.Permissions" => Self::new(Outcome::StepRefused, text, None),
            "Lambda.TooManyRequestsException" => Self::new(Outcome::Throttled, text, None),
            name if name.starts_with("ECS.") || name == "AmazonECS.Unknown" => {
                Self::new(classify::refused(name, &error.cause), text, None)
            }
            // The wait for a warm task failed. Whatever the reason, the job is not at fault, and the
            // next attempt needs no table.
            name if starts_without_case(name, "DynamoDb.") => Self {
                fault: Some(Fault::AwsUnavailable),
                ..Self::new(Outcome::StepFailed, text, None)
            },
            _ => Self::new(Outcome::StepFailed, text, None),
        }
    }
}

/// The engines spell a service's name differently.
fn starts_without_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Why a task without an agent's exit code was stopped. A sidecar's image counts like the runner's.
fn never_ran(task: &EndedTask, stop_code: Option<&str>) -> Outcome {
    let reasons: Vec<&str> = task
        .stopped_reason
        .iter()
        .chain(
            task.containers
                .iter()
                .filter_map(|container| container.reason.as_ref()),
        )
        .map(String::as_str)
        .collect();
    match classify::stopped(&reasons.join("\n")) {
        Outcome::Unknown if stop_code == Some("TaskFailedToStart") => Outcome::TaskNeverStarted,
        outcome => outcome,
    }
}

/// Extracts the message of a Lambda function's JSON error; returns any other text unchanged.
fn readable(cause: &str) -> String {
    serde_json::from_str::<serde_json::Value>(cause)
        .ok()
        .and_then(|json| Some(json.get("errorMessage")?.as_str()?.to_owned()))
        .unwrap_or_else(|| cause.to_owned())
}

#[cfg(test)]
mod tests;
