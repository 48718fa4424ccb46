//! What an execution is started with.

use std::fmt;

use labels::LabelSet;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::Repository;

/// GitHub's id of a workflow job: unique on one GitHub instance, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whose account a repository lies in. A user has no organization to register runners at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnerType {
    /// An organization.
    Organization,
    /// A person's account.
    User,
}

/// A workflow job, as much of it as the steps need. In JSON its fields are in camel case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The job's id.
    pub id: JobId,
    /// The workflow run it belongs to.
    pub run_id: u64,
    /// Which attempt of that run.
    pub run_attempt: u32,
    /// The job's name as the workflow gives it.
    pub name: String,
    /// The workflow's name; empty where GitHub sends none.
    #[serde(default)]
    pub workflow: String,
    /// Where the job runs.
    pub repository: Repository,
    /// Whose account that is.
    pub owner_type: OwnerType,
    /// Whether the repository is private or internal.
    pub private: bool,
    /// What the job asks of a runner (`runs-on`).
    pub labels: LabelSet,
    /// The App's installation, where the webhook named it. A webhook set on a repository or an
    /// organization names none; it is looked up then.
    pub installation_id: Option<u64>,
    /// When GitHub made the job.
    #[serde(with = "time::serde::rfc3339")]
    pub queued_at: OffsetDateTime,
}

/// An execution's input: a job, and how sure we are that it still wants a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// The job to be served.
    pub job: Job,
    /// Ask GitHub whether the job is still queued before anything is launched for it: set on a
    /// restart, and where the webhook came late.
    #[serde(default)]
    pub recheck: bool,
    /// Launch nothing before this instant.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub not_before: Option<OffsetDateTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_back_from_its_own_json() {
        let json = serde_json::json!({
            "job": {
                "id": 4242, "runId": 99, "runAttempt": 1, "name": "build", "workflow": "CI",
                "repository": "octo/hello", "ownerType": "Organization", "private": true,
                "labels": ["linux", "self-hosted", "x64"], "installationId": 77,
                "queuedAt": "2026-01-01T00:00:00Z"
            },
            "recheck": false,
            "notBefore": null
        });
        let order: Order = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&order).unwrap(), json);
    }
}
