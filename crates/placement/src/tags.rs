//! How a task shows whose it is: its tags and its group.

use protocol::sanitize::tag_value;
use protocol::{DeploymentId, Job, RunnerName, TAG_PREFIX};
use serde::Serialize;

/// A tag of a task. As JSON its fields are in Pascal case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    pub key: String,
    pub value: String,
}

/// The group of a deployment's tasks, by which an EventBridge rule finds them.
pub fn group(deployment: &DeploymentId) -> String {
    format!("{TAG_PREFIX}:{deployment}")
}

/// The group of the tasks that wait for a job; apart from the others, because their events mean
/// something else.
pub fn warm_group(deployment: &DeploymentId) -> String {
    format!("{}:warm", group(deployment))
}

/// The tags of a task that runs a job.
pub fn job_tags(job: &Job, runner: &RunnerName) -> Vec<Tag> {
    let tag = |key: &str, value: &str| Tag {
        key: format!("{TAG_PREFIX}:{key}"),
        value: tag_value(value),
    };
    vec![
        tag("repository", &job.repository.to_string()),
        tag("workflow", &job.workflow),
        tag("job", &job.name),
        tag("job-id", &job.id.to_string()),
        tag("run-id", &job.run_id.to_string()),
        tag("runner", &runner.to_string()),
    ]
}
