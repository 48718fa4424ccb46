//! Registrations that nobody will take.

use crate::Deps;
use crate::world::{START_LIMIT, World};

/// Deletes registrations that are old and whose execution is closed: an execution was aborted while
/// `token` was at work, or its cleaning was lost.
pub async fn delete_stale(deps: &Deps, world: &World) -> Result<usize, fleet::Error> {
    let mut deleted = 0;
    for (path, at) in &world.registrations {
        let runner = path.runner();
        let needed = world.runs(runner.execution()) || world.task_of(runner).is_some();
        if !needed && world.since(*at) >= START_LIMIT {
            deps.fleet.delete_registration(path).await?;
            deleted += 1;
        }
    }
    Ok(deleted)
}
