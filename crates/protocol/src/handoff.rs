//! What `verify` hands on to `cleanup`.

use serde::{Deserialize, Serialize};

use crate::{Job, RunnerName};

/// An event that `cleanup` sees to. In JSON its `kind` is the variant's name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Handoff {
    /// A job ended that no runner had taken: its executions have nothing to wait for.
    Cancelled {
        /// The job.
        job: Job,
    },
    /// A job was queued while an execution of it is at work, which may have asked GitHub already and
    /// be about to end.
    Requeued {
        /// The job.
        job: Job,
    },
    /// A runner of ours runs this job, which is not its own: its own job may have nobody.
    Displaced {
        /// The job that the runner took.
        job: Job,
        /// The runner.
        runner: RunnerName,
    },
}

impl Handoff {
    /// Its kind, as the JSON names it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Cancelled { .. } => "cancelled",
            Self::Requeued { .. } => "requeued",
            Self::Displaced { .. } => "displaced",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_reads_back_from_its_own_json() {
        let job = json!({
            "id": 4242, "runId": 99, "runAttempt": 1, "name": "build", "workflow": "CI",
            "repository": "octo/hello", "ownerType": "User", "private": false,
            "labels": ["linux"], "installationId": null, "queuedAt": "2026-01-01T00:00:00Z"
        });
        for json in [
            json!({ "kind": "cancelled", "job": job }),
            json!({ "kind": "requeued", "job": job }),
            json!({ "kind": "displaced", "job": job, "runner": "fr-hello-7" }),
        ] {
            let handoff: Handoff = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(json["kind"], handoff.kind());
            assert_eq!(serde_json::to_value(&handoff).unwrap(), json);
        }
    }
}
