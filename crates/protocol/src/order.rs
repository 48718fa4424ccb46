//! An execution's input.

use std::fmt;

use crate::{LabelSet, Repository};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// GitHub's id of a workflow job: unique in one GitHub instance, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The type of a repository's account. A user account has no organization to register runners at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnerType {
    Organization,
    /// A user account.
    User,
}

/// The parts of a workflow job that the steps need. JSON fields are in camel case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub id: JobId,
    pub run_id: u64,
    /// The run's attempt.
    pub run_attempt: u32,
    pub name: String,
    /// Empty if GitHub sends none.
    #[serde(default)]
    pub workflow: String,
    pub repository: Repository,
    /// Type of the repository's account.
    pub owner_type: OwnerType,
    /// Whether the repository is private or internal.
    pub private: bool,
    /// The requested labels (`runs-on`).
    pub labels: LabelSet,
    /// The App's installation, if the webhook names it. A webhook of a repository or organization
    /// names none; then it is looked up.
    pub installation_id: Option<u64>,
    /// Start of this stay in GitHub's queue, as far as known ([`queued_since`]). Orders from before
    /// the field `created_at` have the job's creation time here.
    #[serde(with = "time::serde::rfc3339")]
    pub queued_at: OffsetDateTime,
    /// When GitHub created the job; missing in older orders.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_at: Option<OffsetDateTime>,
}

/// How late an event can be and still belong to the stay that started with the job's creation.
/// GitHub's webhooks were 20 to 30 minutes late on 2026-08-06.
const LATE: Duration = Duration::hours(1);

/// Start of a job's stay in the queue, for a job that is seen queued at `seen`.
///
/// GitHub reports when it created and started the job, but not when it was queued: a job that waits
/// for an approval or its concurrency group is created long before. So the later of both times
/// counts if it is recent, because the event may be late. Otherwise the job was held back, and its
/// stay started when it was seen. A time in the future means that the clocks differ.
pub fn queued_since(
    created_at: Option<OffsetDateTime>,
    started_at: Option<OffsetDateTime>,
    seen: OffsetDateTime,
) -> OffsetDateTime {
    created_at
        .max(started_at)
        .map(|told| told.min(seen))
        .filter(|told| seen - *told <= LATE)
        .unwrap_or(seen)
}

/// An execution's input: a job, and whether to check first that it is still queued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    pub job: Job,
    /// Ask GitHub whether the job is still queued before anything is launched: set for a restart
    /// and for a late webhook.
    #[serde(default)]
    pub recheck: bool,
    /// Launch nothing before this time.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub not_before: Option<OffsetDateTime>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-01 12:00 UTC);

    #[test]
    fn a_stay_in_the_queue_begins_with_the_job_unless_the_job_was_held_back() {
        let ago = |minutes| Some(NOW - Duration::minutes(minutes));
        for (created, started, minutes, why) in [
            (ago(0), ago(0), 0, "a prompt event"),
            (ago(30), ago(30), 30, "an event half an hour late"),
            (ago(24 * 60), ago(24 * 60), 0, "an approval a day later"),
            (
                ago(24 * 60),
                ago(2),
                2,
                "an approval that GitHub gives a time for",
            ),
            (ago(3), None, 3, "no start"),
            (None, ago(4), 4, "no creation"),
            (None, None, 0, "no time at all"),
            (ago(-5), ago(-5), 0, "a clock that differs"),
        ] {
            let since = queued_since(created, started, NOW);
            assert_eq!(NOW - since, Duration::minutes(minutes), "{why}");
        }
    }

    #[test]
    fn an_order_of_a_running_execution_is_still_read() {
        let json = serde_json::json!({
            "job": {
                "id": 4242, "runId": 99, "runAttempt": 1, "name": "build",
                "repository": "octo/hello", "ownerType": "Organization", "private": true,
                "labels": ["self-hosted"], "installationId": null,
                "queuedAt": "2026-01-01T00:00:00Z"
            }
        });
        let order: Order = serde_json::from_value(json).unwrap();
        assert_eq!(order.job.created_at, None);
        assert!(!order.recheck);
    }

    #[test]
    fn an_order_reads_back_from_its_own_json() {
        let json = serde_json::json!({
            "job": {
                "id": 4242, "runId": 99, "runAttempt": 1, "name": "build", "workflow": "CI",
                "repository": "octo/hello", "ownerType": "Organization", "private": true,
                "labels": ["linux", "self-hosted", "x64"], "installationId": 77,
                "queuedAt": "2026-01-01T00:00:00Z", "createdAt": "2025-12-31T00:00:00Z"
            },
            "recheck": false,
            "notBefore": null
        });
        let order: Order = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&order).unwrap(), json);
    }
}
