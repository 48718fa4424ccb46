//! Repositories. Shapes: <https://docs.github.com/rest/repos/repos#get-a-repository>,
//! <https://docs.github.com/rest/apps/installations>.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::json;

use crate::state::accounts::Repository;
use crate::state::refusal::Refusal;
use crate::state::shapes::repository::{full_repository_json, repository_json};
use crate::state::shared::Shared;
use crate::state::token::Needs;
use crate::wire::answer::{Answer, ok};
use crate::wire::call::Call;
use crate::wire::paging::page;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/repos/{owner}/{repo}", get(show))
        .route("/installation/repositories", get(list))
}

/// Every installation may look at what it reaches.
async fn show(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.read(|world| {
        let scope = call.scope(world, Needs::Nothing)?;
        let repository = world.directory.repository(scope.as_str());
        let repository = repository.ok_or_else(Refusal::not_found)?;
        Ok(ok(&full_repository_json(world, repository)))
    })
}

async fn list(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    let token = &call.token;
    Ok(shared.read(|world| {
        let installation = world.directory.installation(token.installation);
        let login = installation
            .map(|installation| installation.login.clone())
            .unwrap_or_default();
        let includes = |name: &str| installation.is_some_and(|one| one.includes(name));
        let reached = |repository: &&Repository| {
            let name = repository.full_name().to_lowercase();
            let all = token.repositories.as_ref();
            repository.owner.eq_ignore_ascii_case(&login)
                && includes(&name)
                && all.is_none_or(|reached| reached.contains(&name))
        };
        let all: Vec<_> = world.directory.repositories().filter(reached).collect();
        let selection = if token.repositories.is_some() { "selected" } else { "all" };
        page(
            &world.base,
            &call.uri,
            &all,
            |repository| repository_json(world, repository),
            |shown| json!({ "total_count": all.len(), "repository_selection": selection, "repositories": shown }),
        )
    }))
}
