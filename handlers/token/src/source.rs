//! Whether the job's code may still come from where it does.
//!
//! `verify` has only the webhook to go by, which may be old, and which does not tell where a run's code
//! comes from. So what it cannot know is asked of GitHub here, where GitHub is asked anyway.

use admission::Refusal;
use github::Installation;
use protocol::Job;

use crate::{Deps, Error};

/// Asks GitHub what `doubted` orders may have missed: a repository that is public or internal by now.
pub async fn admit_visibility(
    deps: &Deps,
    installation: &Installation,
    job: &Job,
    doubted: bool,
) -> Result<(), Error> {
    let sources = deps.config.sources;
    if !doubted || (sources.public && sources.internal) {
        return Ok(());
    }
    let shown = installation.repository(&job.repository).await?;
    let admitted = sources.admit_visibility(&job.repository, shown.private, shown.internal);
    admitted.map_err(|refusal| refused(job, refusal))
}

/// Asks GitHub where the code of the job's run comes from, where forks are not served.
pub async fn admit_run(deps: &Deps, installation: &Installation, job: &Job) -> Result<(), Error> {
    let sources = deps.config.sources;
    if sources.forks {
        return Ok(());
    }
    let run = installation.run_source(job).await?;
    let head = run.head.as_ref().map(|head| head.full_name.as_str());
    let admitted = sources.admit_run(&job.repository, head, &run.event);
    admitted.map_err(|refusal| refused(job, refusal))
}

fn refused(job: &Job, refusal: Refusal) -> Error {
    tracing::warn!(repository = %job.repository, reason = %refusal, "a job is not served any more");
    Error::NotAdmitted {
        job: job.id,
        refusal,
    }
}
