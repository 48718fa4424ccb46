//! What became of one attempt, read from its task's end or its error.

use protocol::{Class, Fault};
use serde::{Deserialize, Deserializer, Serialize};

use crate::classify;
use crate::exit::AgentExit;
use crate::task::EndedTask;

/// How the next attempt, if there is one, takes an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeClass {
    /// The runner ran a job, this one or another. Bounded by time: that GitHub gave a runner another
    /// job is nobody's fault.
    Ran,
    /// The runner was there and nobody gave it a job. Bounded by time.
    Unpicked,
    /// There was no room for it, or the room was taken back. Bounded by time.
    Capacity,
    /// Something outside this system was in the way: a rate limit, an outage, a network. Bounded by
    /// time.
    External,
    /// Something broke that may work next time. Bounded by count.
    Fault,
    /// It will break again until somebody changes something.
    Permanent,
}

macro_rules! outcomes {
    ($($(#[doc = $doc:literal])+ $variant:ident => $kind:ident,)+) => {
        /// What became of one attempt.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Outcome {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Outcome {
            /// Every outcome there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name in logs, metrics and a failed execution's error.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// How the next attempt takes it.
            pub const fn class(self) -> OutcomeClass {
                match self { $(Self::$variant => OutcomeClass::$kind,)+ }
            }
        }
    };
}

outcomes! {
    /// A job ran to its end on the runner.
    RanJob => Ran,
    /// The task was taken away while a job was running on the runner.
    LostInJob => Ran,
    /// The runner's worker process died while it ran a job.
    WorkerDied => Ran,
    /// The task's memory was exhausted while a job was running.
    ExhaustedInJob => Ran,
    /// The job had left the queue before anything was launched.
    NotNeeded => Ran,

    /// No job came within the agent's limit.
    NeverPickedUp => Unpicked,
    /// The listener ended by itself without a job: GitHub let the runner go, or we did.
    EndedWithoutJob => Unpicked,
    /// The task was stopped by us while it had no job.
    StoppedByUs => Unpicked,

    /// ECS had no capacity.
    NoCapacity => Capacity,
    /// Fargate Spot took the capacity back before a job began.
    SpotInterruption => Capacity,

    /// The listener never reached GitHub.
    NoConnection => External,
    /// AWS refused the call for its rate.
    Throttled => External,
    /// The registry was not reached, was busy, or broke off.
    ImagePullFailed => External,

    /// GitHub refused the registration.
    RegistrationRefused => Fault,
    /// The agent could not read its registration.
    RegistrationUnavailable => Fault,
    /// Another listener held the runner's session.
    SessionConflict => Fault,
    /// The listener failed.
    ListenerFailed => Fault,
    /// The image was not found. It may not have been pushed yet.
    ImageMissing => Fault,
    /// The task did not start.
    TaskNeverStarted => Fault,
    /// The task's memory did not suffice.
    OutOfMemory => Fault,
    /// The runner's task outlived its limit.
    TimedOut => Fault,
    /// A step failed for a reason that passes.
    StepFailed => Fault,
    /// The task ended in a way this system does not know.
    Unknown => Fault,

    /// GitHub refuses this runner version.
    RunnerTooOld => Permanent,
    /// The registry refuses the image, or it is for another platform.
    ImageRefused => Permanent,
    /// The task's environment or image is not this system's.
    Misconfigured => Permanent,
    /// ECS refuses the task: a permission, a subnet, a parameter is wrong.
    TaskRefused => Permanent,
    /// A step failed for a reason that stays; the error carries that fault's name.
    StepRefused => Permanent,
}

impl Outcome {
    /// Whether GitHub had given the attempt's runner a job.
    pub fn had_job(self) -> bool {
        self.class() == OutcomeClass::Ran && self != Self::NotNeeded
    }
}

/// An error as a state's Catch sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StepError {
    /// The error's name.
    pub error: String,
    /// Its cause: plain text, a Lambda's error as JSON, or a task as JSON. A time-out has none.
    #[serde(default, deserialize_with = "text_or_none")]
    pub cause: String,
}

/// AWS leaves out what is not there, or says `null`: neither may hide the error itself.
fn text_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

/// An outcome with what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// What became of the attempt.
    pub outcome: Outcome,
    /// The fault that a step threw, where it was one of ours.
    pub fault: Option<Fault>,
    /// A sentence for the operator.
    pub detail: String,
    /// The task, where there was one.
    pub task: Option<EndedTask>,
    /// How long to wait at least, where a rate limit said so.
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

    /// How the next attempt takes it. A step that met an outage or a rate limit failed for reasons
    /// outside this system, whatever the outcome's name.
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
        // What the agent said goes before why ECS stopped the task: a runner whose job ended during
        // an interruption ran its job.
        let outcome = match (known, task.stop_code.as_deref()) {
            (Some(AgentExit::RanJob), _) => Outcome::RanJob,
            (Some(AgentExit::StoppedInJob), _) => Outcome::LostInJob,
            (Some(AgentExit::WorkerDied), _) => Outcome::WorkerDied,
            (Some(AgentExit::MemoryExhausted), _) => Outcome::ExhaustedInJob,
            // The error's name comes first; a person who stops a task may write anything.
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
            (Some(AgentExit::Stopped), _) | (_, Some("UserInitiated")) => Outcome::StoppedByUs,
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
            "States.TaskFailed" => match serde_json::from_str::<EndedTask>(&error.cause) {
                Ok(task) if !task.containers.is_empty() || task.stop_code.is_some() => {
                    Self::from_task(&task)
                }
                _ => Self::new(classify::stopped(&error.cause), text, None),
            },
            "States.Timeout" => Self::new(Outcome::TimedOut, text, None),
            // A role that may not do what the machine asks for is mended by nobody but a person.
            "States.Permissions" => Self::new(Outcome::StepRefused, text, None),
            "Lambda.TooManyRequestsException" => Self::new(Outcome::Throttled, text, None),
            name if name.starts_with("ECS.") || name == "AmazonECS.Unknown" => {
                Self::new(classify::refused(name, &error.cause), text, None)
            }
            _ => Self::new(Outcome::StepFailed, text, None),
        }
    }
}

/// Why a task that no agent ended was stopped. A sidecar's image counts as much as the runner's.
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

/// A Lambda's error is JSON with the message inside; anything else is shown as it is.
fn readable(cause: &str) -> String {
    serde_json::from_str::<serde_json::Value>(cause)
        .ok()
        .and_then(|json| Some(json.get("errorMessage")?.as_str()?.to_owned()))
        .unwrap_or_else(|| cause.to_owned())
}

#[cfg(test)]
mod tests;
