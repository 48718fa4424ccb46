//! Checks the repository's visibility and the origin of a run's code.
//!
//! `verify` knows only the webhook, which may be old and does not name the repository of a run's code.
//! `token` calls GitHub anyway, so it checks both here.

use admission::Refusal;
use github::Installation;
use protocol::Job;

use crate::{Deps, Error};

/// Rejects a job whose repository became public or internal. Only doubted orders are checked: they are
/// old enough for a change.
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

/// Rejects a run of a fork's code, unless forks are allowed. One call per job.
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
