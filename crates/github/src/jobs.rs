//! Workflow jobs and their runs.

use decisions::{JobStatus, Look, NotFound, OnNotFound, on_not_found};
use http::StatusCode;
use protocol::{Job, JobId, LabelSet, Repository};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::access::Access;
use crate::page::PAGE_SIZE;
use crate::permission::ACTIONS;
use crate::standing::Standing;
use crate::transport::{Call, unavailable};
use crate::{Error, Installation, Page, RepositoryInfo, Scope};

/// A workflow run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Run {
    pub id: u64,
    /// Number of its current attempt, from 1.
    #[serde(rename = "run_attempt", default = "first")]
    pub attempt: u32,
    /// GitHub's status.
    pub status: String,
    /// How it ended; none while it goes on.
    #[serde(default)]
    pub conclusion: Option<String>,
    /// Creation time.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Its repository, in GitHub's spelling.
    pub repository: RepositoryInfo,
}

/// Where a run's code comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RunSource {
    /// What began the run: `push`, `pull_request` and so on.
    #[serde(default)]
    pub event: String,
    /// The repository that its code is in; none where that was deleted.
    #[serde(rename = "head_repository")]
    pub head: Option<Head>,
}

/// The repository that a run's code is in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// Its full name.
    pub full_name: String,
}

/// A job from a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WireJob")]
pub struct ListedJob {
    pub id: JobId,
    pub run_id: u64,
    /// Attempt of that run.
    pub run_attempt: u32,
    pub name: String,
    /// Its workflow's name; empty if GitHub omits it.
    pub workflow: String,
    /// Labels that it requests.
    pub labels: LabelSet,
    /// Creation time; `None` on servers that omit it.
    pub created_at: Option<OffsetDateTime>,
    pub state: JobStatus,
}

impl Installation {
    /// A job's status ([endpoint]).
    ///
    /// A 404 alone is not trusted: it is compared with the repository, its runs and the job's own
    /// run, twice ([`on_not_found`]). An inconclusive result is [`Error::Unavailable`]; a
    /// repository that the App cannot see is [`Error::AppNotInstalled`]. If the repository was
    /// transferred to an account with another installation of the App, that installation is asked.
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run
    pub async fn job(&self, job: &Job) -> Result<JobStatus, Error> {
        match self.job_here(job).await? {
            Seen::State(state) => Ok(state),
            Seen::Elsewhere(id) => match self.github.installation(id).job_here(job).await? {
                Seen::State(state) => Ok(state),
                Seen::Elsewhere(_) => Err(unavailable(
                    &get_job(job),
                    format!(
                        "two installations of the App refer to each other for {}",
                        job.repository
                    ),
                )),
            },
        }
    }

    /// A job as one call shows it, or `None` where GitHub does not find it. For a report: a decision
    /// needs [`Self::job`], because a 404 alone proves nothing.
    pub async fn look_at_job(
        &self,
        repository: &Repository,
        job: JobId,
    ) -> Result<Option<ListedJob>, Error> {
        let call = Call::get(format!("/repos/{repository}/actions/jobs/{job}"))
            .needs(Access::jobs(repository));
        self.shown(&call).await
    }

    /// What one call shows; `None` where GitHub does not find it, which alone proves nothing.
    pub(crate) async fn shown<T: DeserializeOwned>(&self, call: &Call) -> Result<Option<T>, Error> {
        let answer = self.call(call).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.json(call).map(Some)
    }

    async fn job_here(&self, job: &Job) -> Result<Seen, Error> {
        match self.shown_job(job).await {
            Ok(Some(state)) => return Ok(Seen::State(state)),
            Ok(None) => {}
            Err(error @ Error::AppNotInstalled { .. }) => {
                let scope = Scope::Repository(job.repository.clone());
                let other = self.github.found(&scope).filter(|id| *id != self.id());
                return other.map(Seen::Elsewhere).ok_or(error);
            }
            Err(error) => return Err(error),
        }
        let (repository, run) = (&job.repository, job.run_id);
        let first = self.around(repository, run).await?;
        self.github.pause().await;
        if let Some(state) = self.shown_job(job).await? {
            return Ok(Seen::State(state));
        }
        let mut seen = first.and(&self.around(repository, run).await?);
        let mut elsewhere = None;
        if seen.repository == Look::Hidden {
            (seen.included, elsewhere) = self.is_included(&job.repository).await?;
        }
        tracing::warn!(job_id = %job.id, repository = %job.repository, ?seen, "GitHub does not find the job");
        match (on_not_found(seen), elsewhere) {
            (OnNotFound::Absent, _) => Ok(Seen::State(JobStatus::Absent)),
            (OnNotFound::NotInstalled, Some(id)) => Ok(Seen::Elsewhere(id)),
            (OnNotFound::NotInstalled, None) => {
                Err(self.github.not_installed_at(&job.repository).await)
            }
            (OnNotFound::Unavailable, _) => Err(self.unclear(job, seen).await),
        }
    }

    /// The job, if GitHub finds it.
    async fn shown_job(&self, job: &Job) -> Result<Option<JobStatus>, Error> {
        let call = get_job(job);
        let absent = [StatusCode::NOT_FOUND];
        let answer = self
            .settled_but(&call, Some(&job.repository), &absent)
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(answer.json::<ListedJob>(&call)?.state))
    }

    /// Whether a run is gone that GitHub does not show: it shows the repository and its other runs, twice.
    pub async fn run_is_gone(&self, repository: &Repository, run: u64) -> Result<bool, Error> {
        let first = self.around(repository, run).await?;
        self.github.pause().await;
        let seen = first.and(&self.around(repository, run).await?);
        Ok(on_not_found(seen) == OnNotFound::Absent)
    }

    /// What GitHub shows that is related to a job of the run.
    async fn around(&self, repository: &Repository, run: u64) -> Result<Around, Error> {
        let place = format!("/repos/{repository}");
        let access = Access::jobs(repository);
        let shown = Call::get(&place).needs(access.clone());
        let shown = self.look(&shown).await?;
        if shown != Look::Shown {
            return Ok(Around {
                repository: shown,
                runs: Look::Unclear,
                run: Look::Unclear,
            });
        }
        let runs = Call::get(format!("{place}/actions/runs"))
            .with("per_page", "1")
            .needs(access.clone());
        let run = Call::get(format!("{place}/actions/runs/{run}")).needs(access);
        Ok(Around {
            repository: shown,
            runs: self.look(&runs).await?,
            run: self.look(&run).await?,
        })
    }

    async fn look(&self, call: &Call) -> Result<Look, Error> {
        match self.call(call).await {
            Ok(answer) if answer.status.is_success() => Ok(Look::Shown),
            Ok(answer)
                if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) =>
            {
                Ok(Look::Hidden)
            }
            Ok(_) | Err(Error::Unavailable { .. }) => Ok(Look::Unclear),
            Err(error) => Err(error),
        }
    }

    /// Whether the App's installations include a repository that GitHub hides from this one, and
    /// which other installation includes it.
    async fn is_included(&self, repository: &Repository) -> Result<(Look, Option<u64>), Error> {
        match self.includes(repository).await {
            Ok(true) => return Ok((Look::Shown, None)),
            Ok(false) => {}
            Err(Error::Unavailable { .. }) => return Ok((Look::Unclear, None)),
            Err(error) => return Err(error),
        }
        let scope = Scope::Repository(repository.clone());
        match self.github.look_up(&scope).await {
            Ok(id) if id == self.id() => Ok((Look::Shown, None)),
            Ok(id) => Ok((Look::Hidden, Some(id))),
            Err(Error::AppNotInstalled { .. }) => Ok((Look::Hidden, None)),
            Err(Error::Unavailable { .. }) => Ok((Look::Unclear, None)),
            Err(error) => Err(error),
        }
    }

    /// The error that the job's status is unknown. If the App lacks permission to read runs, that
    /// is the reason.
    async fn unclear(&self, job: &Job, seen: NotFound) -> Error {
        let call = get_job(job);
        let unclear = unavailable(
            &call,
            "status 404, but its repository and runs do not show that the job is gone".to_owned(),
        );
        if seen.runs != Look::Hidden {
            return unclear;
        }
        match self.github.standing(self.id()).await {
            Ok(Standing::Granted(permissions)) if ACTIONS.is_granted(&permissions) => unclear,
            Ok(_) => {
                let runs = Call::get(format!("/repos/{}/actions/runs", job.repository));
                match self
                    .settled(
                        &runs.needs(Access::jobs(&job.repository)),
                        Some(&job.repository),
                    )
                    .await
                {
                    Ok(_) => unclear,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        }
    }

    /// Where the code of a job's run comes from ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/workflow-runs#get-a-workflow-run
    pub async fn run_source(&self, job: &Job) -> Result<RunSource, Error> {
        let Job {
            repository, run_id, ..
        } = job;
        let call = Call::get(format!("/repos/{repository}/actions/runs/{run_id}"))
            .needs(Access::jobs(repository));
        self.settled(&call, Some(repository)).await?.json(&call)
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
            .needs(Access::jobs(repository));
        let list: List = self.settled(&call, Some(repository)).await?.json(&call)?;
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
            jobs: Vec<Listed>,
        }
        /// An unparsable job, for example with a new status, must not hide the others.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Listed {
            Job(ListedJob),
            Unreadable(serde::de::IgnoredAny),
        }
        let call = Call::get(format!("/repos/{repository}/actions/runs/{run}/jobs"))
            .page(page)
            .needs(Access::jobs(repository));
        let list: List = self.settled(&call, Some(repository)).await?.json(&call)?;
        let more = list.jobs.len() >= PAGE_SIZE;
        let readable = list.jobs.into_iter().filter_map(|listed| match listed {
            Listed::Job(job) => Some(job),
            Listed::Unreadable(_) => {
                tracing::warn!(%repository, run, "skipping an unreadable job in GitHub's list");
                None
            }
        });
        Ok(Page {
            items: readable.collect(),
            more,
        })
    }
}

/// Result of looking up a job.
enum Seen {
    State(JobStatus),
    /// Another installation serves its repository now.
    Elsewhere(u64),
}

/// What GitHub shows that is related to a job that it does not find.
struct Around {
    repository: Look,
    runs: Look,
    run: Look,
}

impl Around {
    /// What two looks show, one after the other.
    fn and(&self, again: &Self) -> NotFound {
        NotFound {
            repository: both(self.repository, again.repository),
            included: Look::Unclear,
            runs: both(self.runs, again.runs),
            run: both(self.run, again.run),
            repeated: true,
        }
    }
}

/// Combines two looks.
fn both(first: Look, second: Look) -> Look {
    if first == second {
        first
    } else {
        Look::Unclear
    }
}

fn get_job(job: &Job) -> Call {
    let Job { id, repository, .. } = job;
    Call::get(format!("/repos/{repository}/actions/jobs/{id}")).needs(Access::jobs(repository))
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

/// A status that GitHub does not document.
#[derive(Debug, thiserror::Error)]
#[error("unknown job status {0:?}")]
struct UnknownStatus(String);

impl TryFrom<WireJob> for ListedJob {
    type Error = UnknownStatus;

    fn try_from(wire: WireJob) -> Result<Self, Self::Error> {
        // Null or empty until a runner takes the job.
        let runner = wire.runner_name.filter(|name| !name.is_empty());
        let state = match wire.status.as_str() {
            "queued" => JobStatus::Queued,
            "waiting" | "pending" | "requested" => JobStatus::Waiting,
            "in_progress" => JobStatus::InProgress {
                runner,
                started_at: wire.started_at,
            },
            "completed" => JobStatus::Completed {
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

    fn state(status: &str, runner: Option<&str>) -> Result<JobStatus, serde_json::Error> {
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
            assert_eq!(state(status, None).unwrap(), JobStatus::Waiting);
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
