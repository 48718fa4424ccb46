//! Check runs, which an App shows on a commit.

use http::StatusCode;
use protocol::{JobId, Repository};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Access;
use crate::page::PAGE_SIZE;
use crate::permission::CHECKS;
use crate::standing::Standing;
use crate::transport::Call;
use crate::{Error, Installation};

/// A job's commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobCommit {
    pub sha: String,
    /// Whether the job is still queued.
    pub queued: bool,
}

/// A completed check run with the conclusion `neutral`, which blocks no merge.
#[derive(Clone, Copy, Debug)]
pub struct CheckRun<'a> {
    pub name: &'a str,
    /// This system's id for it. GitHub stores it but does not enforce uniqueness.
    pub external_id: &'a str,
    pub title: &'a str,
    /// Markdown, at most 65,535 characters.
    pub summary: &'a str,
    /// Target of its *Details* link.
    pub details_url: &'a str,
}

impl CheckRun<'_> {
    fn body(&self) -> Value {
        json!({
            "name": self.name,
            "external_id": self.external_id,
            "details_url": self.details_url,
            "status": "completed",
            "conclusion": "neutral",
            "output": { "title": self.title, "summary": self.summary },
        })
    }
}

impl Installation {
    /// Whether this installation may write check runs, as GitHub shows it to the App ([endpoint]). So a
    /// missing permission costs no rejected call.
    ///
    /// [endpoint]: https://docs.github.com/rest/apps/apps#get-an-installation-for-the-authenticated-app
    pub async fn may_write_checks(&self) -> Result<bool, Error> {
        match self.github.standing(self.id()).await? {
            Standing::Granted(permissions) => Ok(CHECKS.is_granted(&permissions)),
            Standing::Suspended => Ok(false),
            Standing::Gone => Err(self.gone()),
        }
    }

    /// The commit of a job ([endpoint]); `None` if GitHub does not show the job.
    ///
    /// [endpoint]: https://docs.github.com/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run
    pub async fn commit_of(
        &self,
        repository: &Repository,
        job: JobId,
    ) -> Result<Option<JobCommit>, Error> {
        #[derive(Deserialize)]
        struct Found {
            head_sha: String,
            status: String,
        }
        let call = Call::get(format!("/repos/{repository}/actions/jobs/{job}"))
            .needs(Access::jobs(repository));
        let answer = self.call(&call).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let found: Found = answer.json(&call)?;
        Ok(Some(JobCommit {
            queued: found.status == "queued",
            sha: found.head_sha,
        }))
    }

    /// The id of a commit's check run with this name and external id ([endpoint]). Uses
    /// `filter=all`, because GitHub lists only the latest of each name by default.
    ///
    /// [endpoint]: https://docs.github.com/rest/checks/runs#list-check-runs-for-a-git-reference
    pub async fn find_check_run(
        &self,
        repository: &Repository,
        sha: &str,
        name: &str,
        external_id: &str,
    ) -> Result<Option<u64>, Error> {
        #[derive(Deserialize)]
        struct List {
            check_runs: Vec<Listed>,
        }
        #[derive(Deserialize)]
        struct Listed {
            id: u64,
            external_id: Option<String>,
        }
        let path = format!(
            "/repos/{repository}/commits/{}/check-runs",
            crate::encode::encode(sha)
        );
        let call = Call::get(path)
            .with("check_name", name)
            .with("filter", "all")
            .with("per_page", &PAGE_SIZE.to_string())
            .needs(Access::checks(repository));
        let list: List = self.call(&call).await?.json(&call)?;
        let same = |run: &Listed| run.external_id.as_deref() == Some(external_id);
        Ok(list.check_runs.into_iter().find(same).map(|run| run.id))
    }

    /// Creates a check run on a commit ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/checks/runs#create-a-check-run
    pub async fn create_check_run(
        &self,
        repository: &Repository,
        sha: &str,
        run: &CheckRun<'_>,
    ) -> Result<(), Error> {
        let mut body = run.body();
        body["head_sha"] = json!(sha);
        let call = Call::post(format!("/repos/{repository}/check-runs"))
            .body(body)
            .needs(Access::checks(repository));
        self.call(&call).await?.success(&call)
    }

    /// Replaces the content of a check run ([endpoint]).
    ///
    /// [endpoint]: https://docs.github.com/rest/checks/runs#update-a-check-run
    pub async fn update_check_run(
        &self,
        repository: &Repository,
        id: u64,
        run: &CheckRun<'_>,
    ) -> Result<(), Error> {
        let call = Call::patch(format!("/repos/{repository}/check-runs/{id}"))
            .body(run.body())
            .needs(Access::checks(repository));
        self.call(&call).await?.success(&call)
    }
}
