//! Messages from `verify` to `cleanup`.

use serde::{Deserialize, Serialize};

use crate::{Job, RunnerName};

/// An event for `cleanup`. In JSON, `kind` is the variant's name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Handoff {
    /// A job ended before a runner took it: its executions have nothing to wait for.
    Cancelled { job: Job },
    /// A job was queued while its execution runs. The execution may have asked GitHub already and
    /// be about to end.
    Requeued { job: Job },
    /// A runner of this deployment runs this job, which is not its own: its own job may have no
    /// runner.
    Displaced {
        /// The job that the runner took.
        job: Job,
        runner: RunnerName,
    },
}

impl Handoff {
    /// The kind, as in JSON.
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
