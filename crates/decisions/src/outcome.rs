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
mod tests {
    use super::*;
    use serde_json::json;

    fn task(stop_code: &str, reason: &str, exit: Option<i32>, container_reason: &str) -> Ended {
        let json = json!({
            "StopCode": stop_code, "StoppedReason": reason,
            "Containers": [{"Name": "runner", "ExitCode": exit, "Reason": container_reason}]
        });
        Ended::from_error(&StepError {
            error: "States.TaskFailed".into(),
            cause: json.to_string(),
        })
    }

    #[test]
    fn every_way_a_task_ends_has_its_outcome() {
        let cases = [
            (
                "EssentialContainerExited",
                "Essential container in task exited",
                Some(0),
                "",
                Outcome::RanJob,
            ),
            (
                "EssentialContainerExited",
                "Essential container in task exited",
                Some(20),
                "",
                Outcome::NeverPickedUp,
            ),
            (
                "EssentialContainerExited",
                "Essential container in task exited",
                Some(23),
                "",
                Outcome::RunnerTooOld,
            ),
            (
                "EssentialContainerExited",
                "Essential container in task exited",
                Some(137),
                "OutOfMemoryError: Container killed due to memory usage",
                Outcome::OutOfMemory,
            ),
            (
                "SpotInterruption",
                "Your Spot Task was interrupted.",
                Some(26),
                "",
                Outcome::SpotInterruption,
            ),
            (
                "SpotInterruption",
                "Your Spot Task was interrupted.",
                Some(27),
                "",
                Outcome::LostInJob,
            ),
            (
                "SpotInterruption",
                "Your Spot Task was interrupted.",
                Some(0),
                "",
                Outcome::RanJob,
            ),
            (
                "UserInitiated",
                "Task stopped by fargate-runners",
                Some(26),
                "",
                Outcome::StoppedByUs,
            ),
            (
                "UserInitiated",
                "Task stopped by user",
                None,
                "",
                Outcome::StoppedByUs,
            ),
            (
                "TaskFailedToStart",
                "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref x: not found",
                None,
                "",
                Outcome::ImageMissing,
            ),
            (
                "TaskFailedToStart",
                "CannotPullContainerError: ref pull has been retried 5 time(s): dial tcp: i/o timeout",
                None,
                "",
                Outcome::ImagePullFailed,
            ),
            (
                "TaskFailedToStart",
                "ResourceInitializationError: failed to configure ENI",
                None,
                "",
                Outcome::TaskNeverStarted,
            ),
            (
                "TaskFailedToStart",
                "Capacity is unavailable at this time. Please try again later or in a different availability zone",
                None,
                "",
                Outcome::NoCapacity,
            ),
            (
                "EssentialContainerExited",
                "Essential container in task exited",
                Some(139),
                "",
                Outcome::Unknown,
            ),
        ];
        for (stop_code, reason, exit, container_reason, outcome) in cases {
            assert_eq!(
                task(stop_code, reason, exit, container_reason).outcome,
                outcome,
                "{reason} {exit:?}"
            );
        }
    }

    #[test]
    fn every_way_run_task_is_refused_has_its_outcome() {
        let cases = [
            (
                "ECS.AmazonECSException",
                "Capacity is unavailable at this time.",
                Outcome::NoCapacity,
            ),
            (
                "AmazonECS.Unknown",
                r#"{"Failures":[{"Reason":"RESOURCE:MEMORY"}],"Tasks":[]}"#,
                Outcome::NoCapacity,
            ),
            (
                "ECS.ThrottlingException",
                "Rate exceeded",
                Outcome::Throttled,
            ),
            (
                "ECS.InvalidParameterException",
                "The subnet ID 'subnet-1' does not exist",
                Outcome::TaskRefused,
            ),
            (
                "ECS.AccessDeniedException",
                "not authorized to perform: iam:PassRole",
                Outcome::TaskRefused,
            ),
            (
                "ECS.ClientException",
                "TaskDefinition is inactive",
                Outcome::TaskRefused,
            ),
            (
                "ECS.ClientException",
                "You've reached the limit on the number of tasks you can run concurrently",
                Outcome::NoCapacity,
            ),
            ("States.Timeout", "", Outcome::TimedOut),
            (
                "States.TaskFailed",
                "plain text that is no task",
                Outcome::Unknown,
            ),
        ];
        for (error, cause, outcome) in cases {
            let ended = Ended::from_error(&StepError {
                error: error.into(),
                cause: cause.into(),
            });
            assert_eq!(ended.outcome, outcome, "{error} {cause}");
        }
    }

    #[test]
    fn a_step_fault_keeps_its_name_and_its_text() {
        let cause = r#"{"errorType":"AppNotInstalled","errorMessage":"install it at X"}"#;
        let ended = Ended::from_error(&StepError {
            error: "AppNotInstalled".into(),
            cause: cause.into(),
        });
        assert_eq!(
            (ended.outcome, ended.fault),
            (Outcome::StepRefused, Some(Fault::AppNotInstalled))
        );
        assert_eq!(ended.detail, "AppNotInstalled: install it at X");
    }

    #[test]
    fn a_rate_limit_says_how_long() {
        let cause = r#"{"errorType":"GitHubRateLimited","errorMessage":"61"}"#;
        let ended = Ended::from_error(&StepError {
            error: "GitHubRateLimited".into(),
            cause: cause.into(),
        });
        assert_eq!(
            (ended.outcome, ended.retry_after),
            (Outcome::StepFailed, Some(61))
        );
    }

    /// Values that AWS answered, taken from histories recorded by `LocalStack` on 2024-02-23 and 2024-02-25
    /// (`tests/aws/services/stepfunctions/v2/services/test_ecs_task_service.snapshot.json`).
    mod recorded {
        use super::*;

        fn task(stop_code: &str, reason: &str, container: &serde_json::Value) -> serde_json::Value {
            json!({
                "Attachments": [{"Details": [{"Name": "subnetId", "Value": "subnet-1"}], "Id": "1", "Status": "DELETED", "Type": "eni"}],
                "Attributes": [{"Name": "ecs.cpu-architecture", "Value": "x86_64"}],
                "AvailabilityZone": "eu-central-1b", "ClusterArn": "arn", "Connectivity": "CONNECTED",
                "Containers": [container], "Cpu": "256", "DesiredStatus": "STOPPED", "EnableExecuteCommand": false,
                "EphemeralStorage": {"SizeInGiB": 20}, "Group": "family:x", "InferenceAccelerators": [],
                "LastStatus": "STOPPED", "LaunchType": "FARGATE", "Memory": "512",
                "Overrides": {"ContainerOverrides": [{"Command": [], "Environment": [], "EnvironmentFiles": [], "Name": "runner", "ResourceRequirements": []}], "InferenceAcceleratorOverrides": []},
                "PlatformVersion": "1.4.0", "StartedBy": "AWS Step Functions", "StopCode": stop_code,
                "StoppedReason": reason, "Tags": [], "TaskArn": "arn", "TaskDefinitionArn": "arn", "Version": 4
            })
        }

        #[test]
        fn a_task_that_ran_is_read_as_step_functions_gives_it() {
            let container = json!({"ContainerArn": "arn", "Cpu": "0", "ExitCode": 0, "GpuIds": [], "Image": "busybox", "LastStatus": "STOPPED", "ManagedAgents": [], "Name": "runner", "NetworkBindings": []});
            let task = task(
                "EssentialContainerExited",
                "Essential container in task exited",
                &container,
            );
            let task: EndedTask = serde_json::from_value(task).unwrap();
            assert_eq!(Ended::from_task(&task).outcome, Outcome::RanJob);
        }

        #[test]
        fn an_image_that_is_not_there_is_missing_and_may_be_pushed_yet() {
            let reason = "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref docker.io/library/no_such_image:latest: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed";
            let container = json!({"ContainerArn": "arn", "Cpu": "0", "GpuIds": [], "Image": "no_such_image", "LastStatus": "STOPPED", "ManagedAgents": [], "Name": "runner", "NetworkBindings": []});
            let ended = Ended::from_error(&StepError {
                error: "States.TaskFailed".into(),
                cause: task("TaskFailedToStart", reason, &container).to_string(),
            });
            assert_eq!(
                (ended.outcome, ended.outcome.class()),
                (Outcome::ImageMissing, OutcomeClass::Fault)
            );
            assert!(ended.task.is_some());
        }

        /// Every task and error of the recorded histories, where they are beside the project.
        #[test]
        fn whole_histories_are_read_as_they_are() {
            let files =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recorded");
            let Ok(files) = std::fs::read_dir(files) else {
                return;
            };
            let mut tasks = 0;
            for file in files
                .flatten()
                .filter(|file| file.path().extension().is_some_and(|ext| ext == "json"))
            {
                let text = std::fs::read_to_string(file.path()).unwrap();
                walk(&serde_json::from_str(&text).unwrap(), &mut tasks);
            }
            assert!(tasks >= 2, "no recorded task was found");
        }

        fn walk(node: &serde_json::Value, tasks: &mut u32) {
            match node {
                serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, tasks)),
                serde_json::Value::Object(fields) => {
                    if fields.contains_key("StopCode") {
                        let task: EndedTask = serde_json::from_value(node.clone()).unwrap();
                        let ended = Ended::from_error(&StepError {
                            error: "States.TaskFailed".into(),
                            cause: node.to_string(),
                        });
                        assert_eq!(ended.task, Some(task));
                        *tasks += 1;
                    }
                    if let Some(error) = fields.get("error").and_then(serde_json::Value::as_str) {
                        let cause = match fields.get("cause") {
                            Some(serde_json::Value::String(text)) => text.clone(),
                            Some(other) if !other.is_null() => other.to_string(),
                            _ => String::new(),
                        };
                        let ended = Ended::from_error(&StepError {
                            error: error.into(),
                            cause,
                        });
                        assert!(!ended.detail.is_empty());
                    }
                    fields.values().for_each(|value| walk(value, tasks));
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_time_out_without_a_cause_is_read() {
        // TaskTimedOut of a Lambda, recorded by `LocalStack` on 2024-11-28, has no cause.
        for error in [
            json!({"Error": "States.Timeout"}),
            json!({"Error": "States.Timeout", "Cause": null}),
            json!({"Error": "States.Timeout", "Cause": ""}),
        ] {
            let error: StepError = serde_json::from_value(error).unwrap();
            assert_eq!(Ended::from_error(&error).outcome, Outcome::TimedOut);
        }
    }

    #[test]
    fn a_lambdas_errors_are_read_as_step_functions_gives_them() {
        // Recorded by `LocalStack` on 2024-11-28 and 2025-11-25 (`test_task_service_lambda.snapshot.json`).
        for (error, cause, detail) in [
            (
                "Exception",
                r#"{"errorMessage":"Some exception was raised.","errorType":"Exception","requestId":"1","stackTrace":["  File"]}"#,
                "Exception: Some exception was raised.",
            ),
            (
                "CustomException",
                r#"{"errorMessage":"","errorType":"CustomException","requestId":"1","stackTrace":[]}"#,
                "CustomException: ",
            ),
            (
                "Lambda.ResourceNotFoundException",
                "Function not found: arn:aws:lambda:us-east-1:111111111111:function:x:$LATEST (Service: AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException; Request ID: 1; Proxy: null)",
                "Lambda.ResourceNotFoundException: Function not found: arn:aws:lambda:us-east-1:111111111111:function:x:$LATEST (Service: AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException; Request ID: 1; Proxy: null)",
            ),
        ] {
            let error = StepError {
                error: error.into(),
                cause: cause.into(),
            };
            let ended = Ended::from_error(&error);
            assert_eq!(ended.outcome, Outcome::StepFailed);
            assert_eq!(ended.detail, detail);
        }
    }

    #[test]
    fn an_event_of_a_stopped_task_is_read_as_eventbridge_sends_it() {
        // A task of 2024-11-13, in the README of a public handler of such events (found by its text),
        // shortened; and a Spot interruption's snippet in AWS's developer guide, which has no containers:
        // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html
        let stopped = json!({
            "attachments": [{"id": "1", "type": "eni", "status": "DELETED", "details": []}],
            "containers": [{"containerArn": "arn", "exitCode": 26, "lastStatus": "STOPPED", "name": "runner", "cpu": "0", "managedAgents": []}],
            "cpu": "512", "memory": "1024", "desiredStatus": "STOPPED", "lastStatus": "STOPPED", "launchType": "FARGATE",
            "overrides": {"containerOverrides": [{"name": "runner"}]},
            "pullStartedAt": "2024-11-13T20:56:01.615Z", "stoppedAt": "2024-11-13T21:23:11.984Z",
            "stoppedReason": "Task stopped by user", "stopCode": "UserInitiated", "taskArn": "arn", "version": 9
        });
        let task: EndedTask = serde_json::from_value(stopped).unwrap();
        assert_eq!(Ended::from_task(&task).outcome, Outcome::StoppedByUs);
        assert!(
            task.billed_seconds()
                .is_some_and(|seconds| (seconds - 1_630.369).abs() < 0.01)
        );
        let notice = json!({
            "clusterArn": "arn", "createdAt": "2016-12-06T16:41:05.702Z", "desiredStatus": "STOPPED",
            "lastStatus": "RUNNING", "stoppedReason": "Your Spot Task was interrupted.", "taskArn": "arn"
        });
        for code in ["SpotInterruption", "TerminationNotice", ""] {
            let mut notice = notice.clone();
            // Without a code at all: https://github.com/aws/containers-roadmap/issues/1565
            if !code.is_empty() {
                notice["stopCode"] = json!(code);
            }
            let task: EndedTask = serde_json::from_value(notice).unwrap();
            assert_eq!(
                Ended::from_task(&task).outcome,
                Outcome::SpotInterruption,
                "{code}"
            );
        }
    }
}
