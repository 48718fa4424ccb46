//! Jobs that Spot or the platform took away, on runners that opted in.
//!
//! `cleanup` notes them. GitHub re-runs a job only once its run has ended, so the notes are looked at until
//! then, together for each run.

use std::collections::BTreeMap;

use decisions::{LostJob, OnLostJobs, RunOfLost, on_lost_jobs};
use fleet::Error;
use github::{Access, Installation, Rerun};
use pool::reruns::KEPT;
use pool::{RerunNote, Reruns};
use protocol::Repository;
use time::OffsetDateTime;

use crate::Deps;

/// Maximum number of runs per sweep.
const RUNS: usize = 20;
/// Interval of the sweeps in seconds; only determines whose turn it is.
const ROUND: i64 = 300;

/// Re-runs what may be re-run now. Returns how many re-runs began. Without a runner that opted in, nothing
/// here makes a call.
pub async fn post_all(deps: &Deps, now: OffsetDateTime) -> Result<usize, Error> {
    let Some(reruns) = &deps.fleet.reruns else {
        return Ok(0);
    };
    let mut runs: BTreeMap<(String, u64), Vec<RerunNote>> = BTreeMap::new();
    for note in reruns.all().await? {
        let repository = note.repository.to_string().to_ascii_lowercase();
        runs.entry((repository, note.run)).or_default().push(note);
    }
    let mut runs: Vec<_> = runs.into_values().collect();
    // Runs that go on for days must not hide the others.
    let round = usize::try_from(now.unix_timestamp() / ROUND).unwrap_or(0);
    let start = round.wrapping_mul(RUNS).checked_rem(runs.len());
    runs.rotate_left(start.unwrap_or(0));
    let mut begun = 0;
    let mut failed = None;
    for notes in runs.iter().take(RUNS) {
        match post(deps, reruns, notes, now).await {
            Ok(rerun) => begun += usize::from(rerun),
            // A failure must not block the others.
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(begun), Err)
}

/// Looks at the notes of one run. Returns whether a re-run began.
async fn post(
    deps: &Deps,
    reruns: &Reruns,
    notes: &[RerunNote],
    now: OffsetDateTime,
) -> Result<bool, Error> {
    let Some(first) = notes.first() else {
        return Ok(false);
    };
    let (repository, run) = (&first.repository, first.run);
    if notes.iter().all(|note| note.noted_at + KEPT <= now) {
        forget(
            reruns,
            notes,
            "its run has not ended within a week, or GitHub does not show it",
        )
        .await?;
        return Ok(false);
    }
    let access = Access::jobs(repository);
    let serving = deps
        .github
        .still_serving(repository, first.installation, &access);
    let Some(installation) = serving.await? else {
        forget(reruns, notes, "the App is not installed there any more").await?;
        return Ok(false);
    };
    match decide(&installation, notes).await? {
        OnLostJobs::Wait => Ok(false),
        OnLostJobs::Forget => {
            tracing::info!(%repository, run_id = run, "interrupted jobs are not re-run: somebody re-ran or cancelled their run, or they ended otherwise");
            for note in notes {
                reruns.forget(note).await?;
            }
            Ok(false)
        }
        decided => {
            if !installation.may_rerun().await? {
                let why = "the App lacks `Actions: read and write`: grant it in the App's settings and accept the change for the installation";
                forget(reruns, notes, why).await?;
                return Ok(false);
            }
            let answer = if let OnLostJobs::Rerun(job) = decided {
                installation.rerun_job(repository, job).await?
            } else {
                installation.rerun_failed(repository, run).await?
            };
            settle(reruns, repository, notes, (decided, answer)).await
        }
    }
}

async fn decide(
    installation: &Installation,
    notes: &[RerunNote],
) -> Result<OnLostJobs, github::Error> {
    let lost: Vec<LostJob> = notes.iter().map(|note| note.job.clone()).collect();
    let Some(RerunNote {
        repository, run, ..
    }) = notes.first()
    else {
        return Ok(OnLostJobs::Forget);
    };
    let Some(seen) = installation.look_at_run(repository, *run).await? else {
        if !installation.run_is_gone(repository, *run).await? {
            return Ok(OnLostJobs::Wait);
        }
        tracing::warn!(%repository, run_id = run, "GitHub shows the repository and not the run of interrupted jobs: somebody deleted it");
        return Ok(OnLostJobs::Forget);
    };
    let mut of_run = RunOfLost {
        attempt: seen.attempt,
        over: false,
        cancelled: seen.conclusion.as_deref() == Some("cancelled"),
        jobs: &[],
    };
    if seen.status != "completed" {
        return Ok(on_lost_jobs(&lost, of_run));
    }
    let jobs = installation.jobs_of_attempt(repository, *run).await?;
    of_run.over = true;
    of_run.jobs = &jobs;
    Ok(on_lost_jobs(&lost, of_run))
}

/// Acts on GitHub's answer to a re-run.
async fn settle(
    reruns: &Reruns,
    repository: &Repository,
    notes: &[RerunNote],
    (decided, answer): (OnLostJobs, Rerun),
) -> Result<bool, Error> {
    match answer {
        // Somebody was faster, or GitHub needs a moment: the next look tells.
        Rerun::Later(why) => {
            tracing::warn!(%repository, run_id = ?notes.first().map(|note| note.run), why, "cannot re-run an interrupted job yet; the next sweep tries again");
            Ok(false)
        }
        Rerun::Begun => {
            for note in notes {
                let job = &note.job;
                let rerun = match decided {
                    OnLostJobs::Rerun(id) => id == job.id,
                    _ => true,
                };
                if rerun {
                    tracing::info!(%repository, job_id = %job.id, run_id = note.run, run_attempt = job.run_attempt, "re-ran a job that was interrupted");
                } else {
                    tracing::warn!(%repository, job_id = %job.id, run_id = note.run, "an interrupted job is not re-run: GitHub re-runs one job of a run at a time, and other jobs of this run failed by themselves");
                }
                reruns.forget(note).await?;
            }
            Ok(true)
        }
        Rerun::Refused(why) => {
            forget(reruns, notes, &why).await?;
            Ok(false)
        }
    }
}

async fn forget(reruns: &Reruns, notes: &[RerunNote], why: &str) -> Result<(), Error> {
    for note in notes {
        tracing::warn!(repository = %note.repository, job_id = %note.job.id, run_id = note.run, why, "an interrupted job is not re-run");
        reruns.forget(note).await?;
    }
    Ok(())
}
