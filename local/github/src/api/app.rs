//! The App itself, as its JWT and as everybody sees it, and its webhook.
//! Shapes: <https://docs.github.com/rest/apps/apps>, <https://docs.github.com/rest/apps/webhooks>.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::state::accounts::OwnerType;
use crate::state::app::CREATED;
use crate::state::refusal::Refusal;
use crate::state::shapes::account::account_json;
use crate::state::shared::Shared;
use crate::state::world::World;
use crate::wire::answer::{Answer, ok, read};
use crate::wire::auth::AppCaller;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/app", get(app))
        .route("/app/hook/config", get(hook).patch(change_hook))
        .route("/apps/{app_slug}", get(by_slug))
        .route("/users/{username}", get(user))
}

async fn app(_: AppCaller, State(shared): State<Arc<Shared>>) -> Answer {
    Ok(shared.read(|world| ok(&app_json(world))))
}

/// GitHub shows an App to those who are not signed in only if anybody may install it.
async fn by_slug(State(shared): State<Arc<Shared>>, Path(slug): Path<String>) -> Answer {
    shared.read(|world| {
        if world.app.public && world.app.slug == slug {
            Ok(ok(&app_json(world)))
        } else {
            Err(Refusal::not_found())
        }
    })
}

pub(crate) fn app_json(world: &World) -> Value {
    let count = world.directory.installations().count();
    let owner = match world.directory.account(&world.app.owner) {
        Some(account) => account_json(&world.base, &account.login, account.id, account.kind),
        None => account_json(&world.base, &world.app.owner, 1, OwnerType::User),
    };
    json!({
        "id": world.app.id,
        "slug": world.app.slug,
        "node_id": format!("A_{}", world.app.id),
        "client_id": world.app.client_id,
        "owner": owner,
        "name": world.app.slug,
        "description": "",
        "external_url": world.app.external_url,
        "html_url": format!("{}/apps/{}", world.base, world.app.slug),
        "created_at": CREATED,
        "updated_at": CREATED,
        "permissions": world.app.permissions,
        "events": world.app.events,
        "installations_count": count,
    })
}

async fn hook(_: AppCaller, State(shared): State<Arc<Shared>>) -> Answer {
    Ok(shared.read(|world| ok(&hook_json(world))))
}

fn hook_json(world: &World) -> Value {
    let hook = &world.app.hook;
    let target = world.webhook.as_ref().map(|target| match &target.host {
        Some(host) => format!("https://{host}/"),
        None => target.url.clone(),
    });
    json!({
        "content_type": hook.content_type,
        "insecure_ssl": hook.insecure_ssl,
        "secret": "********",
        "url": hook.url.clone().or(target).unwrap_or_default(),
    })
}

#[derive(Debug, Deserialize)]
struct HookChange {
    url: Option<String>,
    secret: Option<String>,
    content_type: Option<String>,
    insecure_ssl: Option<Value>,
}

/// What is not named stays as it is.
async fn change_hook(_: AppCaller, State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let change: HookChange = read(&body)?;
    Ok(shared.note(|world| {
        if let Some(secret) = change.secret {
            world.webhook_secret = secret;
        }
        if let Some(url) = change.url {
            world.send_hooks_to(&url);
            world.app.hook.url = Some(url);
        }
        let hook = &mut world.app.hook;
        if let Some(content_type) = change.content_type {
            hook.content_type = content_type;
        }
        if let Some(insecure) = change.insecure_ssl {
            hook.insecure_ssl = insecure
                .as_str()
                .map_or(insecure.to_string(), str::to_owned);
        }
        ok(&hook_json(world))
    }))
}

async fn user(State(shared): State<Arc<Shared>>, Path(login): Path<String>) -> Answer {
    shared.read(|world| {
        let account = world
            .directory
            .account(&login)
            .ok_or_else(Refusal::not_found)?;
        Ok(ok(&account_json(
            &world.base,
            &account.login,
            account.id,
            account.kind,
        )))
    })
}
