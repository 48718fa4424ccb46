//! Executions that failed, and whose event nobody heard.
//!
//! What makes an execution fail, an outage of GitHub say, makes the handler of its event fail as well,
//! and that is called three times only. So the executions that failed lately are looked at again.

use std::time::Duration;

use fleet::{Status, restart_if_queued};
use time::OffsetDateTime;

use crate::Deps;

/// A job that waits for longer has left GitHub's queue.
const LOOKED_BACK: Duration = Duration::from_hours(24);
/// How many executions that failed, and how many that timed out, are looked at in one sweep.
const LOOKED_AT: usize = 50;

/// Begins again what failed for a reason that passes and has no follower, while its job is queued.
pub async fn restart_all(deps: &Deps, now: OffsetDateTime) -> Result<usize, fleet::Error> {
    let mut begun = 0;
    let mut failed = None;
    let since = now - LOOKED_BACK;
    let mut closed = Vec::new();
    for status in [Status::Failed, Status::TimedOut] {
        closed.extend(deps.fleet.ended_since(status, since, LOOKED_AT).await?);
    }
    if closed.is_empty() {
        return Ok(0);
    }
    // Whether GitHub gives jobs to our runners: what failed because it did not is restarted then.
    let picked_up = deps.fleet.last_picked_up(since, |_| true).await?;
    for name in closed {
        let Some(execution) = deps.fleet.execution(&name).await? else {
            continue;
        };
        match restart_if_queued(&deps.fleet, &deps.github, &execution, picked_up).await {
            Ok(next) => begun += usize::from(next.is_some()),
            // One that cannot be asked for must not keep the others from being begun.
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(begun), Err)
}
