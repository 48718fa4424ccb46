//! Runner groups. Shapes: <https://docs.github.com/rest/actions/self-hosted-runner-groups>.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use crate::state::accounts::{DEFAULT_GROUP, RunnerGroup};
use crate::state::installation::Access;
use crate::state::refusal::Refusal;
use crate::state::shapes::repository::repository_json;
use crate::state::shared::Shared;
use crate::state::token::Needs;
use crate::wire::answer::Answer;
use crate::wire::call::Call;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/orgs/{org}/actions/runner-groups", get(list))
        .route(
            "/orgs/{org}/actions/runner-groups/{runner_group_id}/repositories",
            get(repositories),
        )
}

async fn list(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.read(|world| {
        let scope = call.scope(world, Needs::Runners(Access::Read))?;
        let account = world
            .directory
            .account(scope.login())
            .ok_or_else(Refusal::not_found)?;
        let visible_to = call
            .query("visible_to_repository")
            .map(|name| format!("{}/{name}", account.login));
        let all: Vec<_> = account
            .groups
            .iter()
            .filter(|(id, _)| {
                visible_to.as_ref().is_none_or(|name| {
                    let repository = world.directory.repository(name);
                    repository.is_some_and(|one| world.directory.serves(&scope, **id, one))
                })
            })
            .collect();
        Ok(call.list(world, "runner_groups", &all, |(id, group)| {
            group_json(group, **id, &world.base, &account.login)
        }))
    })
}

/// The repositories that a group with `selected` ones lists.
async fn repositories(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.read(|world| {
        let scope = call.scope(world, Needs::Runners(Access::Read))?;
        let id = call.number("runner_group_id")?;
        let account = world.directory.account(scope.login());
        let group = account
            .and_then(|account| account.groups.get(&id))
            .ok_or_else(Refusal::not_found)?;
        let listed: Vec<_> = group
            .repositories
            .iter()
            .flatten()
            .filter_map(|name| world.directory.repository(name))
            .collect();
        Ok(call.list(world, "repositories", &listed, |repository| {
            repository_json(world, repository)
        }))
    })
}

/// The group as the REST API shows it.
fn group_json(group: &RunnerGroup, id: u64, base: &str, login: &str) -> Value {
    let url = format!("{base}/orgs/{login}/actions/runner-groups/{id}");
    let mut shown = json!({
        "id": id,
        "name": group.name,
        "visibility": if group.repositories.is_some() { "selected" } else { "all" },
        "default": id == DEFAULT_GROUP,
        "runners_url": format!("{url}/runners"),
        "inherited": false,
        "allows_public_repositories": group.allows_public,
        "restricted_to_workflows": false,
        "selected_workflows": [],
        "workflow_restrictions_read_only": false,
    });
    if group.repositories.is_some() {
        shown["selected_repositories_url"] = Value::from(format!("{url}/repositories"));
    }
    shown
}
