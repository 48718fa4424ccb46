//! What `match` found for a job.

use crate::LabelSet;
use serde::{Deserialize, Serialize};

/// The name of the container in a task definition that runs the agent.
pub const CONTAINER: &str = "runner";

/// The task definition that serves a job. In JSON its fields are in camel case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matched {
    /// Its family; the newest active revision serves, because a deployment makes older ones inactive.
    pub family: String,
    /// All labels it offers.
    pub offered: LabelSet,
    /// Capacity providers in order of preference; empty where the deployment's own apply.
    #[serde(default)]
    pub capacity: Vec<String>,
    /// CPU units of the task (1,024 are one vCPU), where the definition says so.
    pub cpu: Option<u32>,
    /// Memory of the task in MiB, where the definition says so.
    pub memory: Option<u32>,
    /// `X86_64` or `ARM64`, where the definition says so.
    pub architecture: Option<String>,
    /// `awsvpc`, `bridge`, …: whether RunTask is told a network; unknown in what an earlier version found,
    /// which is `awsvpc`.
    #[serde(default)]
    pub network_mode: Option<String>,
}
