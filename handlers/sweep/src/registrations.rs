//! Stale registrations.

use crate::Deps;
use crate::snapshot::{START_LIMIT, Snapshot};

/// Deletes old registrations of closed executions: an execution was aborted during `token`, or its
/// cleanup was lost.
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
