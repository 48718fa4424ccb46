//! Workflow jobs and the runs they belong to.

use http::StatusCode;
use job::{JobId, Repository};
use labels::LabelSet;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::transport::Call;
use crate::{Error, Installation, Page, RepositoryInfo};

const NEEDS: &str = "the repository permission `Actions: read`";

/// Where a job stands at GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It wants a runner.
    Queued,
    /// It will want one later: an approval, a concurrency group or GitHub itself holds it back.
    Waiting,
    /// A runner has it.
    InProgress {
        /// The runner's name.
        runner: Option<String>,
        /// When it took the job.
        started_at: Option<OffsetDateTime>,
    },
    /// It is over.
    Completed {
        /// `success`, `failure`, `cancelled` and so on.
        conclusion: Option<String>,
        /// The runner that had it; none where it was cancelled before.
        runner: Option<String>,
        /// When a runner took it; where none did, GitHub gives the time it was made.
        started_at: Option<OffsetDateTime>,
        /// When it ended.
        completed_at: Option<OffsetDateTime>,
    },
    /// It is gone: its run was deleted, and GitHub answers for its repository. A 404 alone is never
    /// this state ([`outcome::on_not_found`]).
    Absent,
}

impl JobState {
    /// Whether the job wants a runner now.
    pub const fn is_queued(&self) -> bool {
        matches!(self, Self::Queued)
    }

    /// The name of the runner that has or had the job.
    pub fn runner(&self) -> Option<&str> {
        match self {
            Self::InProgress { runner, .. } | Self::Completed { runner, .. } => runner.as_deref(),
            Self::Queued | Self::Waiting | Self::Absent => None,
        }
    }

    /// When a runner took the job.
    pub const fn started_at(&self) -> Option<OffsetDateTime> {
        match self {
            Self::InProgress { started_at, .. } | Self::Completed { started_at, .. } => *started_at,
            Self::Queued | Self::Waiting | Self::Absent => None,
        }
    }
}

/// A run of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: u64,
    /// Which attempt of it is the current one, from 1.
    #[serde(rename = "run_attempt", default = "first")]
    pub attempt: u32,
    /// Where it stands, in GitHub's words.
    pub status: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The repository, spelled as GitHub spells it.
    pub repository: RepositoryInfo,
}

/// A job as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WireJob")]
pub struct ListedJob {
    /// Its id.
    pub id: JobId,
    /// The run it belongs to.
    pub run_id: u64,
    /// Which attempt of that run.
    pub run_attempt: u32,
    /// Its name.
    pub name: String,
    /// Its workflow's name; empty where GitHub gives none.
    pub workflow: String,
    /// What it asks of a runner.
    pub labels: LabelSet,
    /// When it was made; `None` on servers that do not say.
    pub created_at: Option<OffsetDateTime>,
    /// Where it stands.
    pub state: JobState,
}

impl Installation {
    /// Where a job stands ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run
    pub async fn job(&self, repository: &Repository, id: JobId) -> Result<JobState, Error> {
        let call = Call::get(format!("/repos/{repository}/actions/jobs/{id}")).needs(NEEDS);
        let answer = self.call(&call).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(JobState::Absent);
        }
        Ok(answer.json::<ListedJob>(&call)?.state)
    }

    /// A page, from 1, of a repository's runs of one status, newest first ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
    pub async fn runs(
        &self,
        repository: &Repository,
        status: &str,
        page: u32,
    ) -> Result<Page<Run>, Error> {
        #[derive(Deserialize)]
        struct List {
            workflow_runs: Vec<Run>,
        }
        let call = Call::get(format!("/repos/{repository}/actions/runs"))
            .with("status", status)
            .page(page)
            .needs(NEEDS);
        let list: List = self.call(&call).await?.json(&call)?;
        Ok(Page::new(list.workflow_runs))
    }

    /// A page, from 1, of the jobs of a run's latest attempt ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run
    pub async fn run_jobs(
        &self,
        repository: &Repository,
        run: u64,
        page: u32,
    ) -> Result<Page<ListedJob>, Error> {
        #[derive(Deserialize)]
        struct List {
            jobs: Vec<ListedJob>,
        }
        let call = Call::get(format!("/repos/{repository}/actions/runs/{run}/jobs"))
            .page(page)
            .needs(NEEDS);
        let list: List = self.call(&call).await?.json(&call)?;
        Ok(Page::new(list.jobs))
    }
}

const fn first() -> u32 {
    1
}

#[derive(Deserialize)]
struct WireJob {
    id: JobId,
    run_id: u64,
    #[serde(default = "first")]
    run_attempt: u32,
    #[serde(default)]
    name: String,
    workflow_name: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    status: String,
    conclusion: Option<String>,
    runner_name: Option<String>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    created_at: Option<OffsetDateTime>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    completed_at: Option<OffsetDateTime>,
}

/// A status that GitHub's documentation does not list.
#[derive(Debug, thiserror::Error)]
#[error("a job has the status {0:?}")]
struct UnknownStatus(String);

impl TryFrom<WireJob> for ListedJob {
    type Error = UnknownStatus;

    fn try_from(wire: WireJob) -> Result<Self, Self::Error> {
        // Until a runner takes the job, its name is null or empty.
        let runner = wire.runner_name.filter(|name| !name.is_empty());
        let state = match wire.status.as_str() {
            "queued" => JobState::Queued,
            "waiting" | "pending" | "requested" => JobState::Waiting,
            "in_progress" => JobState::InProgress {
                runner,
                started_at: wire.started_at,
            },
            "completed" => JobState::Completed {
                conclusion: wire.conclusion,
                runner,
                started_at: wire.started_at,
                completed_at: wire.completed_at,
            },
            _ => return Err(UnknownStatus(wire.status)),
        };
        Ok(Self {
            id: wire.id,
            run_id: wire.run_id,
            run_attempt: wire.run_attempt,
            name: wire.name,
            workflow: wire.workflow_name.unwrap_or_default(),
            labels: LabelSet::new(wire.labels),
            created_at: wire.created_at,
            state,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state(status: &str, runner: Option<&str>) -> Result<JobState, serde_json::Error> {
        serde_json::from_value::<ListedJob>(json!({
            "id": 1, "run_id": 2, "status": status, "conclusion": null, "runner_name": runner,
            "started_at": "2026-01-01T00:00:00Z", "completed_at": null
        }))
        .map(|job| job.state)
    }

    #[test]
    fn only_a_queued_job_wants_a_runner() {
        assert!(state("queued", None).unwrap().is_queued());
        for status in ["waiting", "pending", "requested"] {
            assert_eq!(state(status, None).unwrap(), JobState::Waiting);
        }
        assert!(state("dreaming", None).is_err());
    }

    #[test]
    fn an_empty_runner_name_is_none() {
        assert_eq!(state("completed", Some("")).unwrap().runner(), None);
        assert_eq!(
            state("in_progress", Some("fr-x-1")).unwrap().runner(),
            Some("fr-x-1")
        );
    }
}
