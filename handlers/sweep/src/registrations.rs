//! Registrations that nobody will take.

use crate::Deps;
use crate::snapshot::{START_LIMIT, Snapshot};

/// Deletes registrations that are old and whose execution is closed: an execution was aborted while
/// `token` was at work, or its cleaning was lost.
pub async fn delete_stale(deps: &Deps, snapshot: &Snapshot) -> Result<usize, fleet::Error> {
    let mut deleted = 0;
    for (path, at) in &snapshot.registrations {
        let runner = path.runner();
        let needed = snapshot.runs(runner.execution()) || snapshot.task_of(runner).is_some();
        if !needed && snapshot.since(*at) >= START_LIMIT {
            deps.fleet.delete_registration(path).await?;
            deleted += 1;
        }
    }
    Ok(deleted)
}
