//! Ends an attempt: cleans up after it and decides what follows.

use std::time::Duration;

use decisions::{
    Attempt, Ended, EndedTask, ExecutionOutput, GiveUp, GivenUp, JobStatus, NextAttempt, NoteSeen,
    OnNote, Situation, Verdict, judge, on_note,
};
use fleet::{Status, retire};
use github::{Access, Installation};
use protocol::{Class, Job};
use time::OffsetDateTime;

use crate::event::AttemptOver;
use crate::report::{self, AttemptReport};
use crate::{Deps, Error, check_run, displaced, reruns, warm};

/// How often giving a slot back is tried. It may be repeated: only the attempt's own lease is given
/// back.
const GIVE_BACK_TRIES: u32 = 2;
/// How long a job may wait for its next attempt because another job that its runner lost cannot be noted.
const NOTED_WITHIN: time::Duration = time::Duration::minutes(5);

/// Deletes the attempt's leftovers, asks GitHub whether the job left the queue, and decides what
/// follows.
pub async fn end(
    deps: &Deps,
    over: &AttemptOver,
    now: OffsetDateTime,
) -> Result<ExecutionOutput, Error> {
    let job = &over.order.job;
    let attempt = over.attempt.clone().unwrap_or_default();
    let ended = what_ended(deps, over).await?;
    tracing::info!(job_id = %job.id, run_id = job.run_id, repository = %job.repository, execution = %over.execution,
        outcome = ended.outcome.name(), detail = ended.detail, attempt = attempt.number, "attempt ended");

    give_slot_back(deps, over, &attempt, now).await;
    if ended.leaves_a_registration()
        && let Some(runner) = &over.runner
    {
        deps.fleet.delete_registration(&runner.parameter).await?;
    }
    let state = if !ended.asks_github() {
        None
    } else if let Some(over) = noted(deps, over, &ended).await {
        Some(over)
    } else {
        let named = over
            .registration
            .as_ref()
            .map(|registered| registered.installation_id)
            .or(job.installation_id);
        let installation = deps
            .github
            .serving(&job.repository, named, &Access::jobs(&job.repository))
            .await?;
        deregister(deps, over, &ended, &installation).await?;
        Some(installation.job(job).await?)
    };

    let verdict = verdict(deps, over, &attempt, &ended, state.as_ref(), now).await?;
    note_lost_job(deps, over, &ended, state.as_ref(), &verdict, now).await?;
    let attempt_report = AttemptReport {
        over,
        attempt: &attempt,
        ended: &ended,
        job: state.as_ref(),
        verdict: &verdict,
    };
    attempt_report.emit(&deps.metrics());
    match verdict {
        Verdict::End => {
            if let Some(state) = &state {
                displaced::by_state(deps, over, state, now).await;
                check_run::tell_served(deps, over, state).await;
            }
            Ok(report::output(deps, over, &ended, state.as_ref()))
        }
        Verdict::Relaunch { after, attempt } => Err(Error::StillQueued(Box::new(NextAttempt {
            outcome: ended.outcome,
            detail: match attempt.advice() {
                Some(advice) => format!("{}. {advice}", ended.detail),
                None => ended.detail,
            },
            wait_seconds: after.as_secs().max(1),
            attempt,
        }))),
        Verdict::GiveUp { reason, cause } => Err(Error::GaveUp(Box::new(GivenUp {
            error: reason,
            cause,
        }))),
    }
}

/// Gives the slot back that caps left the attempt: its task has ended. A failure must not hold up the
/// job's end, because `sweep` repairs it.
async fn give_slot_back(deps: &Deps, over: &AttemptOver, attempt: &Attempt, now: OffsetDateTime) {
    let Some(matched) = over.matched.as_ref().filter(|_| over.runner.is_some()) else {
        return;
    };
    let of = (&over.order.job, matched);
    for _ in 0..GIVE_BACK_TRIES {
        match deps
            .fleet
            .give_slot_back(&over.execution, attempt.number, of, now)
            .await
        {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "cannot give the slot back"),
        }
    }
}

/// Notes the job that the attempt's runner lost. Without the note the job stays failed. So the state
/// machine tries again during an outage of the table, for a while only if the execution's own job waits.
async fn note_lost_job(
    deps: &Deps,
    over: &AttemptOver,
    ended: &Ended,
    state: Option<&JobStatus>,
    verdict: &Verdict,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let Err(error) = reruns::note_lost_job(deps, over, ended, state, now).await else {
        return Ok(());
    };
    let stopped_at = ended.task.as_ref().and_then(EndedTask::stopped_at);
    let recent = stopped_at.is_some_and(|at| now - at < NOTED_WITHIN);
    let may_wait = *verdict == Verdict::End || recent;
    if may_wait && error.aws().fault().class() == Class::Transient {
        return Err(fleet::Error::from(error).into());
    }
    tracing::warn!(%error, "cannot note an interrupted job, so it is not re-run; re-run it by hand");
    Ok(())
}

/// The job's status, if a note proves that it is over. Without a table, without a note or in doubt,
/// GitHub is asked.
async fn noted(deps: &Deps, over: &AttemptOver, ended: &Ended) -> Option<JobStatus> {
    let (pool, own) = (deps.fleet.pool.as_ref()?, over.runner.as_ref()?);
    // Most notes that prove nothing are not read.
    if on_note(ended, Some(NoteSeen { own_runner: true })) == OnNote::Ask {
        return None;
    }
    let job = &over.order.job;
    let note = match pool.job_note(&job.repository, job.id).await {
        Ok(note) => note?,
        Err(error) => {
            tracing::warn!(%error, "cannot read the job's note; asking GitHub instead");
            return None;
        }
    };
    let seen = NoteSeen {
        own_runner: note.runner == own.name,
    };
    match on_note(ended, Some(seen)) {
        OnNote::Over => Some(note.over()),
        OnNote::Ask => None,
    }
}

/// Reads how the attempt ended from its task or its error, whichever the state machine passed on.
async fn what_ended(deps: &Deps, over: &AttemptOver) -> Result<Ended, Error> {
    let registration = over.registration.as_ref();
    let adopted = registration.and_then(|registered| registered.warm.as_ref());
    if let (Some(adopted), Some(error)) = (adopted, &over.error) {
        return warm::wait_failed(deps, adopted, error).await;
    }
    Ok(match (&over.error, &over.task) {
        (Some(error), _) => Ended::from_error(error),
        (None, Some(task)) => Ended::from_task(task),
        (None, None) => Ended::from_error(&decisions::StepError {
            error: "States.Runtime".to_owned(),
            cause: "the state machine passed on neither a task nor an error".to_owned(),
        }),
    })
}

/// Deletes the runner at GitHub unless it ended by itself. Its task has ended, so there is nothing
/// to stop. A busy runner is kept: it may run a job.
async fn deregister(
    deps: &Deps,
    over: &AttemptOver,
    ended: &Ended,
    installation: &Installation,
) -> Result<(), Error> {
    let Some(runner) = &over.runner else {
        return Ok(());
    };
    if !ended.leaves_a_runner() {
        return Ok(());
    }
    let scope = deps.config.scope.at(&over.order.job);
    let id = match over
        .registration
        .as_ref()
        .and_then(|registered| registered.runner_id)
    {
        Some(id) => Some(id),
        None => installation
            .find_runner(&scope, &runner.name.to_string())
            .await?
            .map(|found| found.id),
    };
    if let Some(id) = id {
        retire(
            &deps.fleet,
            installation,
            &scope,
            (id, &runner.name),
            "its attempt has ended",
        )
        .await?;
    }
    Ok(())
}

async fn verdict(
    deps: &Deps,
    over: &AttemptOver,
    attempt: &Attempt,
    ended: &Ended,
    job: Option<&JobStatus>,
    now: OffsetDateTime,
) -> Result<Verdict, Error> {
    let situation = Situation {
        ended,
        attempt,
        job,
        queued_for: (now - over.order.job.queued_at)
            .try_into()
            .unwrap_or(Duration::ZERO),
        others_picked_up: None,
        successor: false,
        budget: deps.config.budget,
    };
    let verdict = judge(&situation, runtime::random::fraction());
    if verdict == Verdict::End {
        return Ok(verdict);
    }
    // The successor costs calls, so look for one only if the job would be retried or given up.
    let situation = Situation {
        successor: has_successor(deps, over).await?,
        ..situation
    };
    let verdict = judge(&situation, runtime::random::fraction());
    // Whether other jobs were picked up matters only for this reason.
    let never_picked_up = matches!(
        verdict,
        Verdict::GiveUp {
            reason: GiveUp::NeverPickedUp,
            ..
        }
    );
    if !never_picked_up {
        return Ok(verdict);
    }
    let others_picked_up = others_picked_up(deps, over).await;
    Ok(judge(
        &Situation {
            others_picked_up,
            ..situation
        },
        runtime::random::fraction(),
    ))
}

/// Whether other jobs of the runner's scope were picked up since this one was queued. Affects only
/// the wording of a cause, so `None` on failure.
async fn others_picked_up(deps: &Deps, over: &AttemptOver) -> Option<bool> {
    let job = &over.order.job;
    let scope = deps.config.scope.at(job);
    let same_scope = |other: &Job| other.id != job.id && deps.config.scope.at(other) == scope;
    match deps.fleet.last_picked_up(job.queued_at, same_scope).await {
        Ok(at) => Some(at.is_some()),
        Err(error) => {
            tracing::warn!(%error, "cannot check whether other jobs were picked up");
            None
        }
    }
}

/// Whether a later execution of the same job is running: a displaced job's check, or a restart.
async fn has_successor(deps: &Deps, over: &AttemptOver) -> Result<bool, Error> {
    let Ok(next) = over.execution.next() else {
        return Ok(false);
    };
    let later = deps.fleet.executions_of(&next).await?;
    Ok(later
        .iter()
        .any(|execution| execution.status == Status::Running))
}
