//! Result of `match`.

use crate::{LabelSet, Warm};
use serde::{Deserialize, Serialize};

/// Name of the container that runs the agent.
pub const CONTAINER: &str = "runner";

/// A task definition. JSON fields are in camel case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// Tasks use its newest active revision, because a deployment deactivates older ones.
    pub family: String,
    /// Capacity providers in order of preference; empty means the deployment's.
    #[serde(default)]
    pub capacity: Vec<String>,
    /// CPU units of the task (1,024 are one vCPU), if set. In a [`Matched`], what the job's task has.
    pub cpu: Option<u32>,
    /// Memory of the task in MiB, if set; likewise.
    pub memory: Option<u32>,
    /// `X86_64` or `ARM64`, if set.
    pub architecture: Option<String>,
    /// `awsvpc`, `bridge`, …: whether RunTask needs a network configuration. Missing in results of
    /// earlier versions, which means `awsvpc`.
    #[serde(default)]
    pub network_mode: Option<String>,
    /// The runner group that its runners are registered in, at an organization; the deployment's own
    /// where it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_group: Option<String>,
    /// Its pool of warm tasks, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Warm>,
    /// Its newest active revision, if it has a pool: a warm task of an older one does not serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Whether a shell may be opened in its tasks (ECS Exec).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shell: bool,
    /// Whether a job that Spot or the platform took away while it ran is run again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rerun_after_interruption: bool,
}

/// The task definition for a job, as one JSON object with the definition's fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matched {
    #[serde(flatten)]
    pub definition: Definition,
    pub offered: LabelSet,
    /// What the task has instead of the definition's own size, because the job asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<SizeOverride>,
}

/// What RunTask overrides of a task definition's size; what is not set stays as the definition says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SizeOverride {
    /// CPU units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    /// Disk in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<u32>,
    /// Memory of the runner's container in MiB, where the definition limits it: the limit would be
    /// smaller than the task, or larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_memory: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_an_earlier_version_found_is_still_read() {
        let json = json!({
            "family": "fargate-runners-ubuntu", "offered": ["linux"], "cpu": 1024, "memory": null,
            "architecture": "X86_64"
        });
        let matched: Matched = serde_json::from_value(json).unwrap();
        assert_eq!(matched.definition.cpu, Some(1024));
        assert_eq!(matched.definition.network_mode, None);
        assert!(matched.definition.capacity.is_empty());
        assert!(!matched.definition.shell);
        assert!(!matched.definition.rerun_after_interruption);
    }

    #[test]
    fn it_reads_back_from_its_own_json() {
        let json = json!({
            "family": "fargate-runners-ubuntu", "offered": ["linux", "self-hosted"],
            "capacity": ["FARGATE_SPOT", "FARGATE"], "cpu": 1024, "memory": 2048,
            "architecture": "ARM64", "networkMode": "awsvpc",
            "warm": { "slots": 3, "spot": true, "maxPerRepository": 2 }, "revision": 7, "shell": true,
            "rerunAfterInterruption": true,
            "size": { "cpu": 1024, "memory": 2048, "disk": 100, "containerMemory": 1024 }
        });
        let matched: Matched = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&matched).unwrap(), json);
    }
}
