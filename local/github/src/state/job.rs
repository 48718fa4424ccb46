//! Workflow jobs: what a test asks for, and what GitHub knows of one.

use std::collections::BTreeMap;

use protocol::LabelSet;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::oneshot;

use crate::state::accounts::OwnerType;

/// What a job is doing ([source](https://docs.github.com/webhooks/webhook-events-and-payloads#workflow_job)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Waits for a runner.
    #[default]
    Queued,
    /// Waits for an approval; no runner is wanted yet.
    Waiting,
    /// A runner has taken it.
    InProgress,
    /// It has a conclusion.
    Completed,
}

impl JobStatus {
    /// The word in answers and webhooks.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
        }
    }
}

/// Which webhook tells about a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The App's: its payload names the installation.
    #[default]
    App,
    /// One that was set on the repository.
    Repository,
    /// One that was set on the organization.
    Organization,
    /// The App's and the repository's: each event arrives twice, under different ids.
    AppAndRepository,
    /// The App's and the organization's, in the same way.
    AppAndOrganization,
}

/// A job to be queued. Only `repository` and `labels` have to be given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewJob {
    /// `owner/name`; an unknown one is created, with the App installed.
    pub repository: String,
    /// What the job's `runs-on` asks for; nothing where it names a group alone.
    pub labels: Vec<String>,
    /// The runner group that `runs-on` names: only its runners take the job. No answer and no
    /// webhook tells of it.
    pub group: Option<String>,
    /// The shell script that the job is; nothing, and so a success, if empty.
    pub run: String,
    /// The job's name; `build` if empty.
    pub name: String,
    /// The workflow's name; `CI` if empty.
    pub workflow: String,
    /// Whether the repository is private; it is if not given and not known otherwise.
    pub private: Option<bool>,
    /// Who owns the repository, if it is created.
    pub owner_type: OwnerType,
    /// Which webhook tells about it.
    pub via: Via,
    /// `queued`, or `waiting` for an approval.
    pub status: JobStatus,
    /// Further variables of the script's environment.
    pub env: BTreeMap<String, String>,
    /// When it was queued, if not now.
    #[serde(with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
    /// The one runner that may take it: this is how a theft is arranged.
    pub runner: Option<String>,
    /// Whether GitHub forgets to send the webhook.
    pub unannounced: bool,
    /// The run it belongs to, for a second job of it; a new one if not given.
    pub run_id: Option<u64>,
    /// Where the code of its run comes from, if not from its repository.
    pub fork: Option<Fork>,
}

/// A fork that a pull request brings code from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fork {
    /// This repository (`owner/name`).
    At(String),
    /// One that was deleted since.
    Deleted,
}

/// A workflow job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: u64,
    /// The number of its run.
    pub run_id: u64,
    /// 1, and one more for each time the run was started again.
    pub run_attempt: u64,
    /// Its name.
    pub name: String,
    /// Its workflow's name.
    pub workflow: String,
    /// `owner/name`.
    pub repository: String,
    /// As they were given.
    pub labels: Vec<String>,
    /// The script.
    pub run: String,
    /// Further variables of its environment.
    pub env: BTreeMap<String, String>,
    /// Which webhook tells about it.
    pub via: Via,
    /// Where the code of its run comes from, if not from its repository. No webhook tells of it.
    pub fork: Option<Fork>,
    /// What it is doing.
    pub status: JobStatus,
    /// `success`, `failure` or `cancelled`, once it is completed.
    pub conclusion: Option<String>,
    /// The runner that took it.
    pub runner_id: Option<u64>,
    /// That runner's name.
    pub runner: Option<String>,
    /// That runner's group.
    pub runner_group_id: Option<u64>,
    /// That group's name.
    pub runner_group: Option<String>,
    /// The runner that GitHub has chosen for it, until that one takes it.
    pub leased_to: Option<u64>,
    /// What its script has written.
    pub output: String,
    /// What its steps and hooks have added to its summary, in Markdown.
    #[serde(default)]
    pub summary: String,
    /// How many runners began it. More than one is a fault of GitHub's.
    pub started: u32,
    /// When it was queued.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When a runner took it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub completed_at: Option<OffsetDateTime>,
}

impl Job {
    /// Whether one of GitHub's own runners does it, as any job does that asks for `ubuntu-latest`.
    pub(crate) fn is_hosted(&self) -> bool {
        let own = |label: &String| {
            let label = label.to_lowercase();
            ["ubuntu-", "windows-", "macos-"]
                .iter()
                .any(|system| label.starts_with(system))
        };
        self.labels.len() == 1 && self.labels.iter().all(own)
    }

    pub(crate) fn label_set(&self) -> LabelSet {
        LabelSet::new(&self.labels)
    }
}

/// A job and what only GitHub knows of it.
#[derive(Debug)]
pub(crate) struct JobEntry {
    pub(crate) job: Job,
    /// Its cancellation waits for the runner.
    pub(crate) cancelled: bool,
    /// The only runner that may take it.
    pub(crate) pinned: Option<String>,
    /// The only group whose runners may take it.
    pub(crate) group: Option<String>,
    /// The last webhook about it, which the next one waits for.
    pub(crate) last_delivery: Option<oneshot::Receiver<()>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_job_is_read_from_two_fields() {
        let job: NewJob =
            serde_json::from_str(r#"{"repository":"octo/hello","labels":["a"]}"#).unwrap();
        assert_eq!(job.status, JobStatus::Queued);
        assert_eq!(job.via, Via::App);
        let text = serde_json::to_string(&job).unwrap();
        assert!(serde_json::from_str::<NewJob>(&text).is_ok());
        assert!(serde_json::from_str::<NewJob>(r#"{"label":["a"]}"#).is_err());
    }
}
