//! Installation tokens.
//! Shape: <https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app>.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::post;
use serde::Deserialize;
use serde_json::json;

use crate::clock::stamp;
use crate::state::installation::Access;
use crate::state::refusal::Refusal;
use crate::state::shared::Shared;
use crate::state::token::Token;
use crate::state::world::World;
use crate::wire::answer::{Answer, created, read};
use crate::wire::auth::AppCaller;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route(
        "/app/installations/{installation_id}/access_tokens",
        post(create),
    )
}

#[derive(Debug, Deserialize)]
struct TokenRequest {
    repositories: Option<Vec<String>>,
    repository_ids: Option<Vec<u64>>,
    permissions: Option<BTreeMap<String, Access>>,
}

async fn create(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let request: TokenRequest = read(&body)?;
    shared.note(|world| {
        let installation = id
            .parse()
            .ok()
            .and_then(|id| world.directory.installation(id))
            .cloned()
            .ok_or_else(Refusal::not_found)?;
        if installation.suspended {
            return Err(Refusal::suspended());
        }
        let permissions = World::granted(&installation, request.permissions)?;
        let repositories = world.reached(
            &installation,
            request.repositories.as_deref(),
            request.repository_ids.as_deref(),
        )?;
        let selection = if repositories.is_some() {
            "selected"
        } else {
            "all"
        };
        let expires_at = world.token_expiry();
        let token = world.tokens.issue(Token {
            installation: installation.id,
            expires_at,
            permissions: permissions.clone(),
            repositories,
        });
        Ok(created(&json!({
            "token": token,
            "expires_at": stamp(expires_at),
            "permissions": permissions,
            "repository_selection": selection,
        })))
    })
}
