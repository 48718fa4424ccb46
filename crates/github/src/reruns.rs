//! Re-runs of jobs, and what is needed to decide about one.

use decisions::JobStatus;
use http::StatusCode;
use protocol::{JobId, Repository};

use crate::access::Access;
use crate::permission::RERUNS;
use crate::standing::Standing;
use crate::transport::{Answer, Call};
use crate::{Error, Installation, Run};

/// The pages of jobs that are read of one run: a matrix has 256 jobs at most.
const PAGES: u32 = 10;

/// GitHub's answer to a re-run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// The run's next attempt has begun.
    Begun,
    /// Not now, because the run goes on or GitHub does not find it; why, in its words.
    Later(String),
    /// GitHub does not do it; why, in its words.
    Refused(String),
}

impl Installation {
    /// Whether this installation may re-run jobs, as GitHub shows it to the App ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/apps/apps#get-an-installation-for-the-authenticated-app
    pub async fn may_rerun(&self) -> Result<bool, Error> {
        match self.github.standing(self.id()).await? {
            Standing::Granted(permissions) => Ok(RERUNS.is_granted(&permissions)),
            Standing::Suspended => Ok(false),
            Standing::Gone => Err(self.gone()),
        }
    }

    /// A run ([endpoint]); `None` if GitHub does not show it.
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/workflow-runs#get-a-workflow-run
    pub async fn look_at_run(
        &self,
        repository: &Repository,
        run: u64,
    ) -> Result<Option<Run>, Error> {
        let call = Call::get(format!("/repos/{repository}/actions/runs/{run}"))
            .needs(Access::jobs(repository));
        self.shown(&call).await
    }

    /// All jobs of a run's latest attempt.
    pub async fn jobs_of_attempt(
        &self,
        repository: &Repository,
        run: u64,
    ) -> Result<Vec<(JobId, JobStatus)>, Error> {
        let mut jobs = Vec::new();
        for page in 1..=PAGES {
            let found = self.run_jobs(repository, run, page).await?;
            jobs.extend(found.items.into_iter().map(|job| (job.id, job.state)));
            if !found.more {
                break;
            }
        }
        Ok(jobs)
    }

    /// Re-runs a job and those that depend on it ([endpoint]). After an unknown answer it is not repeated:
    /// GitHub would refuse it, because the run goes on then.
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/workflow-runs#re-run-a-job-from-a-workflow-run
    pub async fn rerun_job(&self, repository: &Repository, job: JobId) -> Result<Rerun, Error> {
        let path = format!("/repos/{repository}/actions/jobs/{job}/rerun");
        self.rerun(Call::post(path).needs(Access::reruns(repository)))
            .await
    }

    /// Re-runs all failed jobs of a run and those that depend on them ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/workflow-runs#re-run-failed-jobs-from-a-workflow-run
    pub async fn rerun_failed(&self, repository: &Repository, run: u64) -> Result<Rerun, Error> {
        let path = format!("/repos/{repository}/actions/runs/{run}/rerun-failed-jobs");
        self.rerun(Call::post(path).needs(Access::reruns(repository)))
            .await
    }

    async fn rerun(&self, call: Call) -> Result<Rerun, Error> {
        let mut answer = self.call(&call).await?;
        if is_refused(&answer) && !is_running(&answer) {
            // In outages GitHub refuses what it would do a minute later.
            self.pause().await;
            answer = self.call(&call).await?;
        }
        if !is_refused(&answer) {
            answer.success(&call)?;
            return Ok(Rerun::Begun);
        }
        let status = answer.status;
        let why = format!("{call} got {}: {}", status.as_u16(), answer.message());
        Ok(if is_running(&answer) || status == StatusCode::NOT_FOUND {
            Rerun::Later(why)
        } else {
            Rerun::Refused(why)
        })
    }
}

fn is_refused(answer: &Answer) -> bool {
    matches!(
        answer.status,
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY
    )
}

/// GitHub's words about a run that goes on (seen by others, see `docs/assumptions.md`).
fn is_running(answer: &Answer) -> bool {
    answer.status == StatusCode::FORBIDDEN && answer.message().contains("already running")
}
