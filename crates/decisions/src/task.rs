//! A stopped ECS task.
//!
//! Step Functions uses field names in Pascal case, EventBridge in camel case; both are parsed.

use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;

/// The fields of a stopped task that determine its outcome ([shape]).
///
/// [shape]: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedTask {
    #[serde(alias = "TaskArn", default)]
    pub task_arn: Option<String>,
    #[serde(alias = "StopCode", default)]
    pub stop_code: Option<String>,
    #[serde(alias = "StoppedReason", default)]
    pub stopped_reason: Option<String>,
    #[serde(alias = "Containers", default)]
    pub containers: Vec<EndedContainer>,
    /// CPU units, as text.
    #[serde(alias = "Cpu", default)]
    pub cpu: Option<String>,
    /// Memory in MiB, as text.
    #[serde(alias = "Memory", default)]
    pub memory: Option<String>,
    #[serde(alias = "CapacityProviderName", default)]
    pub capacity_provider_name: Option<String>,
    /// Start of the image pull, where billing starts. Epoch milliseconds from Step Functions, RFC
    /// 3339 from EventBridge.
    #[serde(alias = "PullStartedAt", default)]
    pub pull_started_at: Option<serde_json::Value>,
    /// Stop time, in the same two formats.
    #[serde(alias = "StoppedAt", default)]
    pub stopped_at: Option<serde_json::Value>,
    /// RunTask's overrides: the agent's environment names the runner.
    #[serde(alias = "Overrides", default)]
    pub overrides: Overrides,
}

/// A container of a stopped task.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedContainer {
    #[serde(alias = "Name", default)]
    pub name: String,
    /// Absent if it never ran.
    #[serde(alias = "ExitCode", default)]
    pub exit_code: Option<i32>,
    /// ECS's additional text.
    #[serde(alias = "Reason", default)]
    pub reason: Option<String>,
}

/// RunTask's overrides.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overrides {
    /// CPU units, as text, if they are not the definition's.
    #[serde(alias = "Cpu", default)]
    pub cpu: Option<String>,
    /// Memory in MiB, as text, likewise.
    #[serde(alias = "Memory", default)]
    pub memory: Option<String>,
    #[serde(alias = "ContainerOverrides", default)]
    pub container_overrides: Vec<ContainerOverride>,
}

impl Overrides {
    /// An environment variable of the agent from RunTask.
    pub fn agent_variable(&self, name: &str) -> Option<&str> {
        self.container_overrides
            .iter()
            .filter(|container| container.name == protocol::CONTAINER)
            .flat_map(|container| &container.environment)
            .find(|variable| variable.name == name)
            .map(|variable| variable.value.as_str())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerOverride {
    #[serde(alias = "Name", default)]
    pub name: String,
    #[serde(alias = "Environment", default)]
    pub environment: Vec<Variable>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    #[serde(alias = "Name", default)]
    pub name: String,
    #[serde(alias = "Value", default)]
    pub value: String,
}

impl EndedTask {
    /// The container that ran the agent.
    pub fn runner(&self) -> Option<&EndedContainer> {
        self.containers
            .iter()
            .find(|container| container.name == protocol::CONTAINER)
    }

    /// CPU units and MiB that the task had. ECS does not document whether its own fields show what was
    /// overridden, so the overrides go first.
    pub fn size(&self) -> Option<(f64, f64)> {
        let number = |first: &Option<String>, other: &Option<String>| {
            first.as_ref().or(other.as_ref())?.parse().ok()
        };
        Some((
            number(&self.overrides.cpu, &self.cpu)?,
            number(&self.overrides.memory, &self.memory)?,
        ))
    }

    /// Billed seconds: from the start of the image pull to the stop.
    pub fn billed_seconds(&self) -> Option<f64> {
        let from = seconds(self.pull_started_at.as_ref()?)?;
        let to = seconds(self.stopped_at.as_ref()?)?;
        (to >= from).then_some(to - from)
    }

    /// When it stopped.
    pub fn stopped_at(&self) -> Option<OffsetDateTime> {
        let since_1970 = Duration::try_from_secs_f64(seconds(self.stopped_at.as_ref()?)?).ok()?;
        OffsetDateTime::UNIX_EPOCH.checked_add(since_1970.try_into().ok()?)
    }
}

/// The error with which an execution is told that its adopted task failed, as `runTask.sync` throws
/// `States.TaskFailed`: names that begin with `States.` belong to Step Functions.
pub const TASK_FAILED: &str = "TaskFailed";

impl EndedTask {
    /// Whether `runTask.sync` would have failed: the agent's container exited with another code than
    /// zero, or never ran.
    pub fn has_failed(&self) -> bool {
        self.runner().and_then(|container| container.exit_code) != Some(0)
    }
}

fn seconds(value: &serde_json::Value) -> Option<f64> {
    use time::format_description::well_known::Rfc3339;
    match value {
        // Milliseconds since 1970 have 13 digits in this century, seconds 10.
        serde_json::Value::Number(number) => {
            number.as_f64().map(|n| if n > 1e11 { n / 1e3 } else { n })
        }
        serde_json::Value::String(text) => {
            let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
            #[allow(clippy::cast_precision_loss)] // Milliseconds of this millennium fit exactly.
            Some((at.unix_timestamp_nanos() / 1_000_000) as f64 / 1e3)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_task_has_failed_unless_its_agent_exited_with_zero() {
        for (containers, failed) in [
            (json!([{ "name": "runner", "exitCode": 0 }]), false),
            (json!([{ "name": "runner", "exitCode": 20 }]), true),
            (json!([{ "name": "runner" }]), true),
            (json!([{ "name": "sidecar", "exitCode": 0 }]), true),
        ] {
            let task = json!({ "stopCode": "EssentialContainerExited", "containers": containers });
            let task: EndedTask = serde_json::from_value(task).unwrap();
            assert_eq!(task.has_failed(), failed, "{containers}");
        }
    }

    #[test]
    fn the_size_is_what_was_overridden() {
        let task = |overrides: serde_json::Value| -> EndedTask {
            let task = json!({ "Cpu": "2048", "Memory": "4096", "Overrides": overrides });
            serde_json::from_value(task).unwrap()
        };
        assert_eq!(task(json!({})).size(), Some((2_048.0, 4_096.0)));
        let larger = task(json!({ "Cpu": "8192", "Memory": "16384" }));
        assert_eq!(larger.size(), Some((8_192.0, 16_384.0)));
        assert_eq!(EndedTask::default().size(), None);
    }

    #[test]
    fn both_spellings_are_read() {
        let pascal = json!({
            "StopCode": "EssentialContainerExited", "PullStartedAt": 1_767_225_600_000_u64, "StoppedAt": 1_767_225_660_500_u64,
            "Containers": [{"Name": "runner", "ExitCode": 20}],
            "Overrides": {"ContainerOverrides": [{"Name": "runner", "Environment": [{"Name": "AGENT_RUNNER", "Value": "fr-x-1"}]}]}
        });
        let camel = json!({
            "stopCode": "EssentialContainerExited", "pullStartedAt": "2026-01-01T00:00:00Z", "stoppedAt": "2026-01-01T00:01:00.5Z",
            "containers": [{"name": "runner", "exitCode": 20}],
            "overrides": {"containerOverrides": [{"name": "runner", "environment": [{"name": "AGENT_RUNNER", "value": "fr-x-1"}]}]}
        });
        for task in [pascal, camel] {
            let task: EndedTask = serde_json::from_value(task).unwrap();
            assert_eq!(task.runner().unwrap().exit_code, Some(20));
            assert_eq!(
                task.overrides.agent_variable("AGENT_RUNNER"),
                Some("fr-x-1")
            );
            assert_eq!(task.billed_seconds(), Some(60.5));
            let stopped_at = time::macros::datetime!(2026-01-01 00:01:00.5 UTC);
            assert_eq!(task.stopped_at(), Some(stopped_at));
        }
    }
}
