//! Failed executions whose EventBridge event was lost.
//!
//! The cause of a failure, for example an outage of GitHub, makes the handler of its event fail
//! too, and Lambda calls that handler three times at most. So each sweep looks at recent failures
//! again.

use std::time::Duration;

use fleet::{Status, restart_if_queued};
use time::OffsetDateTime;

use crate::Deps;

/// A job that waited longer has left GitHub's queue.
const LOOKED_BACK: Duration = Duration::from_hours(24);
/// Maximum number of failed executions, and of timed out ones, per sweep.
const LOOKED_AT: usize = 50;

/// Restarts executions that failed for a transient reason, have no successor, and whose job is
/// still queued.
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
    // If GitHub assigns jobs to our runners again, restart what failed because it did not.
    let picked_up = deps.fleet.last_picked_up(since, |_| true).await?;
    for name in closed {
        let Some(execution) = deps.fleet.execution(&name).await? else {
            continue;
        };
        match restart_if_queued(&deps.fleet, &deps.github, &execution, picked_up).await {
            Ok(next) => begun += usize::from(next.is_some()),
            // A failed restart must not block the others.
            Err(error) => {
                failed.get_or_insert(error);
            }
        }
    }
    failed.map_or(Ok(begun), Err)
}
