//! A planned runner.

use crate::{LabelSet, ParameterPath, RunnerName};
use serde::{Deserialize, Serialize};

/// A runner as `launch` plans it, for `token` and `cleanup`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRunner {
    pub name: RunnerName,
    /// Path of its registration.
    pub parameter: ParameterPath,
    /// Exactly its job's labels: with more labels it would get more of other jobs.
    pub labels: LabelSet,
    /// The runner group that its task definition names; the deployment's own where it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}
