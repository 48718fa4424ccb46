//! Tasks whose execution is closed.

use fleet::{Retired, retire};
use github::{RunnerScope, Scope};
use job::{Repository, RunnerName};

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
        } else if let Some(repository) = &task.repository
            && let Some(scope) = asked(deps, world, repository)
            && !is_registered(deps, repository, &scope, &task.runner).await?
        {
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

/// The scope that the task's runner would be in, if GitHub has told all runners there.
fn asked(deps: &Deps, world: &World, repository: &Repository) -> Option<Scope> {
    let organization = Scope::Organization(repository.owner().to_owned());
    let by_repository = Scope::Repository(repository.clone());
    let organizations = deps.config.scope == RunnerScope::Organization;
    [organizations.then_some(organization), Some(by_repository)]
        .into_iter()
        .flatten()
        .find(|scope| world.scopes.contains(&scope.to_string()))
}

/// Asks GitHub for this very runner. That it is missing from the list does not tell: a list is read
/// page by page, and when a runner on an earlier page goes, one on a later page moves up unseen.
async fn is_registered(
    deps: &Deps,
    repository: &Repository,
    scope: &Scope,
    runner: &RunnerName,
) -> Result<bool, fleet::Error> {
    let installation = deps.github.serving(repository, None).await?;
    let found = installation.find_runner(scope, &runner.to_string()).await?;
    Ok(found.is_some())
}
