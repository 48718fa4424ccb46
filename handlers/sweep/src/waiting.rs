//! The jobs of the oldest executions that wait.
//!
//! What a lost webhook would have told is asked for here: that a job was cancelled, or that its
//! runner was given another one. A fixed number of executions is looked at each time, the oldest
//! first.

use std::time::Duration;

use fleet::{Execution, Started, Status};
use github::JobState;
use job::ExecutionName;
use telemetry::Metric;

use crate::Deps;
use crate::world::World;

/// How many jobs are asked for in one sweep.
const LOOKED_AT: usize = 20;
/// A runner that is busy for so long was seen by several sweeps before.
const SETTLED: Duration = Duration::from_secs(1_800);

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Checks started for displaced jobs.
    pub checks: usize,
    /// Waits ended whose job no longer waits.
    pub ended: usize,
}

/// Looks at the oldest executions that may be waiting.
pub async fn check_oldest(deps: &Deps, world: &World) -> Result<Done, fleet::Error> {
    let mut candidates: Vec<_> = world
        .executions
        .iter()
        .filter(|(name, at)| {
            let settled = world.since(**at) >= SETTLED && busy(world, name);
            !settled
        })
        .collect();
    candidates.sort_by_key(|(_, at)| **at);
    let mut done = Done::default();
    let mut too_long = 0_u32;
    for (name, _) in candidates.into_iter().take(LOOKED_AT) {
        let Some(execution) = deps.fleet.execution(name).await? else {
            continue;
        };
        if execution.status != Status::Running {
            continue;
        }
        let job = &execution.order.job;
        let installation = deps
            .github
            .serving(&job.repository, job.installation_id)
            .await?;
        let state = installation.job(&job.repository, job.id).await?;
        if state == JobState::Queued {
            too_long += u32::from(world.since(job.queued_at) >= deps.config.waiting);
            done.checks += usize::from(check_displaced(deps, world, &execution).await?);
        } else if world
            .tasks
            .iter()
            .all(|task| task.runner.execution() != name)
        {
            done.ended += usize::from(end_wait(deps, name).await?);
        }
    }
    telemetry::emit(
        &deps.fleet.deployment.to_string(),
        Metric::JobsWaitingTooLong,
        f64::from(too_long),
        None,
    );
    Ok(done)
}

/// Whether the execution's runner runs a job, its own or another.
fn busy(world: &World, name: &ExecutionName) -> bool {
    world
        .runners
        .iter()
        .any(|seen| seen.name.execution() == name && seen.runner.busy)
}

/// The job is queued and its runner is busy: with another job, then. Somebody has to see to it.
async fn check_displaced(
    deps: &Deps,
    world: &World,
    execution: &Execution,
) -> Result<bool, fleet::Error> {
    if !busy(world, &execution.name) {
        return Ok(false);
    }
    let (name, started) = deps
        .fleet
        .start_check(&execution.name, &execution.order, None)
        .await?;
    tracing::info!(execution = %execution.name, check = %name, ?started, "a displaced job was found waiting");
    Ok(started == Started::New)
}

/// The job left the queue while its execution waits for the next attempt: nothing more is needed.
async fn end_wait(deps: &Deps, name: &ExecutionName) -> Result<bool, fleet::Error> {
    if deps.fleet.position(name).await?.state.as_deref() != Some("Wait") {
        return Ok(false);
    }
    let cause = "the job left GitHub's queue while this execution waited for its next attempt";
    deps.fleet
        .stop_execution(name, "JobCancelled", cause)
        .await?;
    Ok(true)
}
