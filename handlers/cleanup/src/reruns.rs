//! Notes jobs that Spot or the platform took away, for `sweep` to run them again.

use decisions::{Ended, JobStatus, LossSeen, LostJob, notes_lost_job};
use github::Access;
use pool::{RerunNote, Reruns};
use protocol::{Job, RunnerName};
use time::OffsetDateTime;

use crate::Deps;
use crate::event::AttemptOver;

/// How often noting a lost job is tried. It may be repeated.
const TRIES: u32 = 3;

/// Notes the job that the attempt's runner lost, if the runner opted in. A failure must not hold up the
/// execution: without the note the job stays failed.
pub async fn note_lost_job(
    deps: &Deps,
    over: &AttemptOver,
    ended: &Ended,
    own: Option<&JobStatus>,
    now: OffsetDateTime,
) {
    let matched = over.matched.as_ref();
    let opted_in = matched.is_some_and(|found| found.definition.rerun_after_interruption);
    let (Some(reruns), Some(runner), true) = (&deps.fleet.reruns, &over.runner, opted_in) else {
        return;
    };
    let name = runner.name.to_string();
    let lost = |job: &JobStatus, run_attempt: u32| {
        notes_lost_job(LossSeen {
            ended,
            job: Some(job),
            runner: &name,
            run_attempt,
        })
    };
    let some = JobStatus::InProgress {
        runner: Some(name.clone()),
        started_at: None,
    };
    // Most attempts end otherwise, whatever job they ran.
    if !lost(&some, 1) {
        return;
    }
    let job = &over.order.job;
    if let Some(own) = own.filter(|own| own.runner() == Some(&name)) {
        if lost(own, job.run_attempt) {
            note(reruns, job, &name, now).await;
        }
    } else if let Some((job, state)) = taken(deps, reruns, &runner.name).await
        && lost(&state, job.run_attempt)
    {
        note(reruns, &job, &name, now).await;
    }
}

/// Notes that a runner took a job that is not its own.
pub async fn note_taken(deps: &Deps, runner: &RunnerName, job: &Job, now: OffsetDateTime) {
    if let Some(reruns) = &deps.fleet.reruns
        && let Err(error) = reruns.note_taken(runner, job, now).await
    {
        tracing::warn!(%error, %runner, job_id = %job.id, "cannot note which job the runner took; if it is interrupted, the job is not re-run");
    }
}

/// The job that the runner took instead of its own, with its status.
async fn taken(deps: &Deps, reruns: &Reruns, runner: &RunnerName) -> Option<(Job, JobStatus)> {
    let found = reruns.taken(runner).await.unwrap_or_else(|error| {
        tracing::warn!(%error, %runner, "cannot read which job the interrupted runner took");
        None
    });
    let job = found?;
    let access = Access::jobs(&job.repository);
    let serving = deps
        .github
        .serving(&job.repository, job.installation_id, &access);
    let state = match serving.await {
        Ok(installation) => installation.job(&job).await,
        Err(error) => Err(error),
    };
    match state {
        Ok(state) => Some((job, state)),
        Err(error) => {
            tracing::warn!(%error, job_id = %job.id, "cannot ask GitHub about an interrupted job; re-run it by hand");
            None
        }
    }
}

async fn note(reruns: &Reruns, job: &Job, runner: &str, now: OffsetDateTime) {
    let note = RerunNote {
        repository: job.repository.clone(),
        run: job.run_id,
        job: LostJob {
            id: job.id,
            runner: runner.to_owned(),
            run_attempt: job.run_attempt,
        },
        installation: job.installation_id,
        noted_at: now,
    };
    for _ in 0..TRIES {
        match reruns.note(&note).await {
            Ok(()) => {
                tracing::info!(job_id = %job.id, run_attempt = job.run_attempt, "the job was interrupted; it is re-run when its run has ended");
                return;
            }
            Err(error) => tracing::warn!(%error, "cannot note the interrupted job"),
        }
    }
    tracing::warn!(job_id = %job.id, "the interrupted job is not re-run, because it could not be noted; re-run it by hand");
}
