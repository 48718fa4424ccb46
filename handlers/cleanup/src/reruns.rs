//! Notes jobs that Spot or the platform took away, for `sweep` to run them again.

use std::time::Duration;

use decisions::{Ended, JobStatus, Loss, RERUNS, TakenJob, loss, lost_job};
use pool::{Error, RerunNote, Reruns};
use protocol::{Job, RunnerName};
use time::OffsetDateTime;

use crate::Deps;
use crate::event::AttemptOver;

/// How often a call of the table is tried. Each may be repeated.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// Notes the job that the attempt's runner lost, if the runner opted in.
pub async fn note_lost_job(
    deps: &Deps,
    over: &AttemptOver,
    ended: &Ended,
    own: Option<&JobStatus>,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let matched = over.matched.as_ref();
    let opted_in = matched.is_some_and(|found| found.definition.rerun_after_interruption);
    let (Some(reruns), Some(runner), true) = (&deps.fleet.reruns, &over.runner, opted_in) else {
        return Ok(());
    };
    // Most attempts end otherwise, whatever job they ran.
    let Some(lost) = loss(ended) else {
        return Ok(());
    };
    let runner = &runner.name;
    let is_own = |own: &&JobStatus| own.runner() == Some(&*runner.to_string());
    if let Some(own) = own.filter(is_own) {
        return note(
            reruns,
            &over.order.job,
            runner,
            (Some(lost), Some(own)),
            now,
        )
        .await;
    }
    // It may have had another job, and what tells which one may be late.
    tried(async || reruns.note_loss(runner, lost, now).await).await?;
    let taken = tried(async || reruns.taken(runner).await).await?;
    match taken {
        Some(taken) => note(reruns, &taken, runner, (Some(lost), None), now).await,
        None => Ok(()),
    }
}

/// Notes that a runner took a job that is not its own.
pub async fn note_taken(
    deps: &Deps,
    runner: &RunnerName,
    job: &Job,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let Some(reruns) = &deps.fleet.reruns else {
        return Ok(());
    };
    tried(async || reruns.note_taken(runner, job, now).await).await?;
    let lost = tried(async || reruns.loss(runner).await).await?;
    note(reruns, job, runner, (lost, None), now).await
}

/// Notes the job, if it is to be run again.
async fn note(
    reruns: &Reruns,
    job: &Job,
    runner: &RunnerName,
    (lost, status): (Option<Loss>, Option<&JobStatus>),
    now: OffsetDateTime,
) -> Result<(), Error> {
    let taken = TakenJob {
        id: job.id,
        run_attempt: job.run_attempt,
        status,
        runner: &runner.to_string(),
    };
    let Some(lost) = lost_job(lost, Some(taken)) else {
        if lost == Some(Loss::InJob) && job.run_attempt > RERUNS {
            tracing::warn!(job_id = %job.id, run_attempt = job.run_attempt, %runner, "the job was interrupted and is not re-run: two re-runs of a run are the most. Re-run it by hand");
        }
        return Ok(());
    };
    let note = RerunNote {
        repository: job.repository.clone(),
        run: job.run_id,
        job: lost,
        installation: job.installation_id,
        noted_at: now,
    };
    tried(async || reruns.note(&note).await).await?;
    tracing::info!(job_id = %job.id, run_attempt = job.run_attempt, %runner, "the job was interrupted; it is re-run when its run has ended");
    Ok(())
}

/// Tries a call of the table.
async fn tried<T>(call: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    let mut tries = 1;
    loop {
        match call().await {
            Err(error) if tries < TRIES => {
                tracing::warn!(%error, "trying again to note an interrupted job");
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}
