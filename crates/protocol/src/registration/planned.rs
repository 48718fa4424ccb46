//! A runner that is about to be made.

use crate::{LabelSet, ParameterPath, RunnerName};
use serde::{Deserialize, Serialize};

/// What `launch` decided of a runner, and `token` and `cleanup` go by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRunner {
    /// Its name at GitHub.
    pub name: RunnerName,
    /// Where its registration is put.
    pub parameter: ParameterPath,
    /// Exactly its job's labels: a wider set would be given more of other jobs.
    pub labels: LabelSet,
    /// The runner group that its task definition names; the deployment's own where it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}
