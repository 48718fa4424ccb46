//! `POST /_runner/registrations`: what `config.sh` does at GitHub.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use serde::Deserialize;
use serde_json::json;

use crate::state::refusal::Refusal;
use crate::state::runner::Registration;
use crate::state::session::Notice;
use crate::state::shared::Shared;
use crate::state::world::World;
use crate::wire::answer::{Answer, created, read};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/_runner/registrations", post(configure))
}

#[derive(Debug, Deserialize)]
struct Request {
    token: String,
    url: String,
    name: String,
    labels: Vec<String>,
    group: Option<String>,
    work_folder: String,
    ephemeral: bool,
    replace: bool,
}

async fn configure(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let request: Request = read(&body)?;
    shared.change(|world| register(world, request))
}

fn register(world: &mut World, request: Request) -> Answer {
    let scope = world
        .registration_tokens
        .get(&request.token)
        .filter(|(scope, expires_at)| {
            let place = request.url.trim_end_matches('/').to_lowercase();
            *expires_at > world.now()
                && place.ends_with(&format!("/{}", scope.as_str().to_lowercase()))
        })
        .map(|(scope, _)| scope.clone())
        .ok_or_else(Refusal::not_found)?;
    let group = request.group.as_deref().unwrap_or("Default");
    let group_id = world.group_id(&scope, group).ok_or_else(|| {
        Refusal::invalid(format!(
            "Could not find any self-hosted runner group named \"{group}\"."
        ))
    })?;
    if let Some(known) = world.runner_named(&scope, &request.name) {
        if !request.replace || known.job.is_some() {
            return Err(Refusal::conflict(format!(
                "A runner exists with the same name {}.",
                request.name
            )));
        }
        let id = known.id;
        world.remove_runner(id, Notice::Deleted);
    }
    let registration = Registration {
        name: request.name,
        group_id,
        labels: request.labels,
        ephemeral: request.ephemeral,
    };
    let id = world.register(&scope, registration)?;
    let runner = world.runners.get(&id).ok_or_else(Refusal::not_found)?;
    let files = world.registration_files(runner, group, &request.work_folder);
    Ok(created(&json!(files.contents())))
}
