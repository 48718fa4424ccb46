//! Restarts executions.

use decisions::{Restart, counts_as_failure, restart};
use github::{Access, GitHub};
use protocol::ExecutionName;
use time::OffsetDateTime;

use crate::{Error, Execution, Fleet};

/// Restarts a closed execution if it failed for a transient reason, has no successor and restarts
/// left, and GitHub says that its job is still queued. Idempotent. `picked_up` is when a runner of
/// this deployment last had a job, as far as known.
pub async fn restart_if_queued(
    fleet: &Fleet,
    github: &GitHub,
    closed: &Execution,
    picked_up: Option<OffsetDateTime>,
) -> Result<Option<ExecutionName>, Error> {
    let due = |failures| match restart(closed.status, closed.failure(), failures) {
        Restart::Leave => false,
        Restart::IfQueued => true,
        Restart::IfPickedUp => picked_up > closed.ended_at,
    };
    // Most need no call.
    if !due(1) {
        return Ok(None);
    }
    let job = &closed.order.job;
    let first = ExecutionName::first(&job.repository, job.id);
    let all = fleet.executions_of(&first).await?;
    let counts = |one: &&Execution| counts_as_failure(one.status, one.failure());
    let failures = all.iter().filter(counts).count();
    let failures = u32::try_from(failures).unwrap_or(u32::MAX);
    let followed = all.last().is_some_and(|last| last.name != closed.name);
    if followed || !due(failures) {
        return Ok(None);
    }
    let access = Access::jobs(&job.repository);
    let serving = github.still_serving(&job.repository, job.installation_id, &access);
    // Without the App, no runner could be registered.
    let Some(installation) = serving.await? else {
        return Ok(None);
    };
    if !installation.job(job).await?.is_queued() {
        return Ok(None);
    }
    let (next, started) = fleet.start_check(&closed.name, &closed.order, None).await?;
    tracing::info!(execution = %closed.name, next = %next, ?started, error = closed.error, "restarted a failed execution");
    Ok(Some(next))
}
