//! Where the App is installed. Shapes: <https://docs.github.com/rest/apps/apps>.

use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Path, State};
use axum::routing::get;
use serde_json::{Value, json};

use crate::state::accounts::OwnerType;
use crate::state::app::CREATED;
use crate::state::installation::Installation;
use crate::state::refusal::Refusal;
use crate::state::shapes::account::account_json;
use crate::state::shared::Shared;
use crate::state::world::World;
use crate::wire::answer::{Answer, ok};
use crate::wire::auth::AppCaller;
use crate::wire::paging::page;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/app/installations", get(list))
        .route("/app/installations/{installation_id}", get(by_id))
        .route("/repos/{owner}/{repo}/installation", get(of_repository))
        .route("/orgs/{org}/installation", get(of_organization))
        .route("/users/{username}/installation", get(of_user))
}

async fn list(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    OriginalUri(uri): OriginalUri,
) -> Answer {
    Ok(shared.read(|world| {
        let all: Vec<_> = world.directory.installations().collect();
        page(
            &world.base,
            &uri,
            &all,
            |installation| installation_json(world, installation),
            Value::from,
        )
    }))
}

async fn by_id(_: AppCaller, State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    shared.read(|world| {
        let id = id.parse().map_err(|_| Refusal::not_found())?;
        show(world, world.directory.installation(id))
    })
}

async fn of_repository(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    Path((owner, name)): Path<(String, String)>,
) -> Answer {
    shared.read(|world| {
        let repository = world.directory.repository(&format!("{owner}/{name}"));
        let seen = repository.filter(|repository| !world.is_hidden(&repository.full_name()));
        let installation = seen.and_then(|repository| {
            let found = world.directory.installation_of(&repository.owner)?;
            found.includes(&repository.full_name()).then_some(found)
        });
        show(world, installation)
    })
}

async fn of_organization(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    Path(login): Path<String>,
) -> Answer {
    shared.read(|world| show_of_account(world, &login, OwnerType::Organization))
}

async fn of_user(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    Path(login): Path<String>,
) -> Answer {
    shared.read(|world| show_of_account(world, &login, OwnerType::User))
}

fn show_of_account(world: &World, login: &str, kind: OwnerType) -> Answer {
    let found = world.directory.installation_of(login);
    show(
        world,
        found.filter(|installation| installation.kind == kind),
    )
}

fn show(world: &World, installation: Option<&Installation>) -> Answer {
    let installation = installation.ok_or_else(Refusal::not_found)?;
    Ok(ok(&installation_json(world, installation)))
}

fn installation_json(world: &World, installation: &Installation) -> Value {
    let id = installation.id;
    let account = account_json(
        &world.base,
        &installation.login,
        installation.account_id,
        installation.kind,
    );
    json!({
        "id": id,
        "account": account,
        "repository_selection": if installation.excluded.is_empty() { "all" } else { "selected" },
        "access_tokens_url": format!("{}/app/installations/{id}/access_tokens", world.base),
        "repositories_url": format!("{}/installation/repositories", world.base),
        "html_url": format!("{}/settings/installations/{id}", world.base),
        "app_id": world.app.id,
        "client_id": world.app.client_id,
        "app_slug": world.app.slug,
        "target_id": installation.account_id,
        "target_type": installation.kind,
        "permissions": installation.permissions,
        "events": world.app.events,
        "created_at": CREATED,
        "updated_at": CREATED,
        "single_file_name": null,
        "has_multiple_single_files": false,
        "single_file_paths": [],
        "suspended_by": null,
        "suspended_at": if installation.suspended { Some(CREATED) } else { None },
    })
}
