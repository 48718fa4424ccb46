//! Jobs of the longest waiting executions.
//!
//! Detects what a lost webhook would have reported: a job was cancelled, or its runner took another
//! one. Also finds who waits for a warm task that ended, where the table cannot tell it: it lost the
//! wait, or a deployment removed the last pool. Each sweep examines a fixed number of executions whose jobs wait, oldest first, and some of
//! the others in turn: jobs that wait for a day must not hide the rest.

use std::time::Duration;

use decisions::{Attend, GiveUp, OnCancel, attend, on_cancel};
use fleet::{Execution, RunningTask, Started, Status};
use github::Access;
use protocol::{ExecutionName, Fault};
use runtime::telemetry::Metric;

use crate::Deps;
use crate::snapshot::Snapshot;

/// Maximum number of the oldest waiting jobs per sweep. A job that has left the queue does not
/// count, because its execution is settled.
const WAITING: usize = 20;
/// Maximum number of executions examined for these, including settled ones.
const LOOKED_AT: usize = 50;
/// How many of the others are examined in turn.
const BY_TURNS: usize = 10;
/// Interval of the sweeps in seconds; only determines whose turn it is.
const ROUND: i64 = 300;
/// A busy runner with a task of this age was busy in several earlier sweeps: it may have idled for
/// a third of the time.
const SETTLED: Duration = Duration::from_mins(30);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Checks started for displaced jobs.
    pub checks: usize,
    /// Waiting executions stopped: their job left the queue, or another execution serves it.
    pub ended: usize,
    /// Jobs that have been queued for too long.
    pub waiting_too_long: usize,
}

/// Examines the oldest executions that may be waiting.
pub async fn check_oldest(deps: &Deps, snapshot: &Snapshot) -> Result<Done, fleet::Error> {
    let mut candidates: Vec<_> = snapshot
        .executions
        .iter()
        .filter(|(name, _)| !settled(snapshot, name))
        .collect();
    candidates.sort_by_key(|(_, at)| **at);
    let mut done = Done::default();
    let mut failed = None;
    let mut waiting = 0;
    let mut rest = candidates.as_slice();
    while let Some(((name, _), later)) = rest.split_first()
        && waiting < WAITING
        && candidates.len() - rest.len() < LOOKED_AT
    {
        rest = later;
        match look_at(deps, snapshot, name, &mut done).await {
            Ok(waits) => waiting += usize::from(waits),
            // A failure must not block the others.
            Err(error) => {
                waiting += 1;
                failed.get_or_insert(error);
            }
        }
    }
    let round = usize::try_from(snapshot.now.unix_timestamp() / ROUND).unwrap_or(0);
    for (name, _) in by_turns(rest, round) {
        if let Err(error) = look_at(deps, snapshot, name, &mut done).await {
            failed.get_or_insert(error);
        }
    }
    let too_long = u32::try_from(done.waiting_too_long).unwrap_or(u32::MAX);
    deps.metrics()
        .emit(Metric::JobsWaitingTooLong, f64::from(too_long));
    failed.map_or(Ok(done), Err)
}

/// The next few items of this round, in a circle.
fn by_turns<T>(all: &[T], round: usize) -> impl Iterator<Item = &T> {
    let start = (round * BY_TURNS).checked_rem(all.len()).unwrap_or(0);
    let (before, after) = all.split_at(start);
    after.iter().chain(before).take(BY_TURNS)
}

/// Examines one execution's job. Returns whether the job waits.
async fn look_at(
    deps: &Deps,
    snapshot: &Snapshot,
    name: &ExecutionName,
    done: &mut Done,
) -> Result<bool, fleet::Error> {
    let Some(execution) = deps.fleet.execution(name).await? else {
        return Ok(false);
    };
    if execution.status != Status::Running {
        return Ok(false);
    }
    let job = &execution.order.job;
    let access = Access::jobs(&job.repository);
    let serving = deps
        .github
        .still_serving(&job.repository, job.installation_id, &access);
    // The App was removed: the execution's own next step fails with that reason.
    let Some(installation) = serving.await? else {
        return Ok(false);
    };
    let state = installation.job(job).await?;
    if state.is_queued() && snapshot.since(job.queued_at) >= deps.config.waiting {
        done.waiting_too_long += 1;
    }
    let has_task = tasks_of(snapshot, name).next().is_some();
    match attend(&state, busy(snapshot, name), has_task) {
        Attend::Leave => {}
        Attend::Check => done.checks += usize::from(check_displaced(deps, &execution).await?),
        Attend::EndWait => done.ended += usize::from(end_wait(deps, snapshot, name).await?),
        Attend::HandOver => done.ended += usize::from(hand_over(deps, snapshot, &execution).await?),
    }
    Ok(state.is_queued())
}

/// Whether the execution's runner has a job, its own or another.
fn busy(snapshot: &Snapshot, name: &ExecutionName) -> bool {
    snapshot
        .runners
        .iter()
        .any(|seen| seen.name.execution() == name && seen.runner.busy)
}

fn tasks_of<'a>(
    snapshot: &'a Snapshot,
    name: &'a ExecutionName,
) -> impl Iterator<Item = &'a RunningTask> {
    snapshot
        .tasks
        .iter()
        .filter(move |task| task.runner.execution() == name)
}

/// Whether the execution's runner has been busy for long. The execution's own age does not tell: it
/// may have waited for capacity until now.
fn settled(snapshot: &Snapshot, name: &ExecutionName) -> bool {
    let old = |task: &RunningTask| {
        task.started_at
            .is_some_and(|at| snapshot.since(at) >= SETTLED)
    };
    busy(snapshot, name) && tasks_of(snapshot, name).any(old)
}

/// Starts a check of a queued job whose runner is busy, that is, runs another job.
async fn check_displaced(deps: &Deps, execution: &Execution) -> Result<bool, fleet::Error> {
    let (name, started) = deps
        .fleet
        .start_check(&execution.name, &execution.order, None)
        .await?;
    tracing::info!(execution = %execution.name, check = %name, ?started, "started a check of a displaced job");
    Ok(started == Started::New)
}

/// Stops an execution that waits although its job left the queue: for its next attempt, or for a warm
/// task whose end nobody can tell it any more.
async fn end_wait(
    deps: &Deps,
    snapshot: &Snapshot,
    name: &ExecutionName,
) -> Result<bool, fleet::Error> {
    let position = deps.fleet.position(name).await?;
    let cause = if on_cancel(position.state) == OnCancel::Stop {
        "the job left GitHub's queue while this execution waited for its next attempt"
    } else if deps
        .fleet
        .is_stranded(name, &position, snapshot.now)
        .await?
    {
        "the job left GitHub's queue, and the end of its warm task could not be told: the table lost \
         the wait, or has gone with the last pool"
    } else {
        return Ok(false);
    };
    deps.fleet
        .executions
        .stop(name, GiveUp::JobCancelled.name(), cause)
        .await?;
    Ok(true)
}

/// Has another execution serve a queued job whose own waits for a warm task that has ended, and that
/// nobody can tell. It is stopped only once the other one is there.
async fn hand_over(
    deps: &Deps,
    snapshot: &Snapshot,
    execution: &Execution,
) -> Result<bool, fleet::Error> {
    let name = &execution.name;
    let position = deps.fleet.position(name).await?;
    if !deps
        .fleet
        .is_stranded(name, &position, snapshot.now)
        .await?
    {
        return Ok(false);
    }
    let all = deps.fleet.executions_of(name).await?;
    let last = all.last().unwrap_or(execution);
    if last.name == *name || last.status != Status::Running {
        let order = &execution.order;
        let (check, started) = deps.fleet.start_check(&last.name, order, None).await?;
        tracing::warn!(execution = %name, %check, ?started, "started another execution for a job whose own cannot be told that its warm task ended");
    }
    let cause = "its warm task has ended, which could not be told: the table lost the wait, or has gone \
                 with the last pool. A later execution serves the job";
    deps.fleet
        .executions
        .stop(name, Fault::AwsUnavailable.name(), cause)
        .await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn() {
        let all: Vec<usize> = (0..25).collect();
        let mut seen: Vec<usize> = (0..3)
            .flat_map(|round| by_turns(&all, round))
            .copied()
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, all);
        assert_eq!(by_turns::<u8>(&[], 7).count(), 0);
        assert_eq!(by_turns(&[1, 2], 7).count(), 2);
    }
}
