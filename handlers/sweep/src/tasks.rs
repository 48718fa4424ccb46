//! Tasks whose execution is closed.

use fleet::Retired;
use fleet::retire;
use github::RunnerScope;

use crate::Deps;
use crate::world::{START_LIMIT, World};

/// Ends tasks that no execution waits for any more: only where GitHub has let the runner go, and
/// only where it was asked. A busy runner finishes its job, whoever's it is.
pub async fn end_orphans(deps: &Deps, world: &World) -> Result<usize, fleet::Error> {
    let mut ended = 0;
    let orphans = world
        .tasks
        .iter()
        .filter(|task| !world.runs(task.runner.execution()));
    for task in orphans.filter(|task| world.since(task.created_at) >= START_LIMIT) {
        if let Some(seen) = world.runners.iter().find(|seen| seen.name == task.runner) {
            let id = (seen.runner.id, &seen.name);
            let retired = retire(
                &deps.fleet,
                &seen.installation,
                &seen.scope,
                id,
                "its execution is closed",
            )
            .await?;
            ended += if let Retired::Stopped(tasks) = retired {
                tasks
            } else {
                0
            };
        } else if asked(deps, world, task.repository.as_ref()) {
            deps.fleet
                .stop_task(
                    &task.arn,
                    "GitHub has let its runner go, and its execution is closed",
                )
                .await?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// Whether GitHub has told all runners of the scope that the task's runner would be in.
fn asked(deps: &Deps, world: &World, repository: Option<&job::Repository>) -> bool {
    repository.is_some_and(|repository| {
        world.scopes.contains(&repository.to_string())
            || (deps.config.scope == RunnerScope::Organization
                && world.scopes.contains(repository.owner()))
    })
}
