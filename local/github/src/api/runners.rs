//! Self-hosted runners: how they are registered, listed and deleted.
//! Shapes: <https://docs.github.com/rest/actions/self-hosted-runners>.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::stamp;
use crate::state::accounts::Scope;
use crate::state::installation::Access;
use crate::state::refusal::Refusal;
use crate::state::runner::{Registration, RunnerEntry};
use crate::state::session::Notice;
use crate::state::shared::Shared;
use crate::state::token::Needs;
use crate::state::world::World;
use crate::wire::answer::{Answer, created, nothing, ok, read};
use crate::wire::call::Call;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    let mut router = Router::new();
    for scope in ["/orgs/{org}", "/repos/{owner}/{repo}"] {
        let runners = format!("{scope}/actions/runners");
        router = router
            .route(&runners, get(list))
            .route(&format!("{runners}/generate-jitconfig"), post(generate))
            .route(
                &format!("{runners}/registration-token"),
                post(registration_token),
            )
            .route(
                &format!("{runners}/{{runner_id}}"),
                get(show).delete(delete),
            );
    }
    router
}

#[derive(Debug, Deserialize)]
struct JitRequest {
    name: String,
    runner_group_id: u64,
    labels: Vec<String>,
    work_folder: Option<String>,
}

async fn generate(call: Call, State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let request: JitRequest = read(&body)?;
    shared.change(|world| {
        let scope = call.scope(world, Needs::Runners(Access::Write))?;
        world.count_configuration(call.token.installation)?;
        let registration = Registration {
            name: request.name,
            group_id: request.runner_group_id,
            labels: request.labels,
            ephemeral: true,
        };
        let id = world.register(&scope, registration)?;
        let runner = world.runners.get(&id).ok_or_else(Refusal::not_found)?;
        let group = world
            .directory
            .group_name(&scope, runner.group_id)
            .unwrap_or_default();
        let work_folder = request.work_folder.as_deref().unwrap_or("_work");
        let files = world.registration_files(runner, &group, work_folder);
        Ok(created(
            &json!({ "runner": runner_json(runner, false), "encoded_jit_config": files.encoded() }),
        ))
    })
}

async fn registration_token(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.note(|world| {
        let scope = call.scope(world, Needs::Runners(Access::Write))?;
        let (token, expires_at) = world.issue_registration_token(scope);
        Ok(created(
            &json!({ "token": token, "expires_at": stamp(expires_at) }),
        ))
    })
}

async fn list(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.read(|world| {
        let scope = call.scope(world, Needs::Runners(Access::Read))?;
        let name = call.query("name");
        let all: Vec<&RunnerEntry> = world
            .runners
            .values()
            .filter(|runner| runner.scope == scope)
            .filter(|runner| name.as_ref().is_none_or(|name| *name == runner.name))
            .collect();
        Ok(call.list(world, "runners", &all, |runner| {
            runner_json(runner, world.settings.busy_unseen)
        }))
    })
}

async fn show(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.read(|world| {
        let scope = call.scope(world, Needs::Runners(Access::Read))?;
        let runner = runner_of(&call, world, &scope)?;
        Ok(ok(&runner_json(runner, world.settings.busy_unseen)))
    })
}

async fn delete(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.change(|world| {
        let scope = call.scope(world, Needs::Runners(Access::Write))?;
        let runner = runner_of(&call, world, &scope)?;
        if runner.is_busy() {
            return Err(Refusal::invalid(format!(
                "Bad request - Runner \"{}\" is still running a job\"",
                runner.name
            )));
        }
        let (id, leased) = (runner.id, runner.job);
        if let Some(entry) = leased.and_then(|job| world.jobs.get_mut(&job)) {
            entry.job.leased_to = None;
        }
        world.remove_runner(id, Notice::Deleted);
        Ok(nothing())
    })
}

/// The runner of a path.
fn runner_of<'a>(call: &Call, world: &'a World, scope: &Scope) -> Result<&'a RunnerEntry, Refusal> {
    world
        .runners
        .get(&call.number("runner_id")?)
        .filter(|runner| runner.scope == *scope)
        .ok_or_else(Refusal::not_found)
}

fn runner_json(runner: &RunnerEntry, busy_unseen: bool) -> Value {
    let labels: Vec<Value> = runner
        .labels
        .iter()
        .enumerate()
        .map(|(index, label)| {
            let kind = match label.as_str() {
                "self-hosted" => "read-only",
                _ => "custom",
            };
            json!({ "id": index + 1, "name": label.as_str(), "type": kind })
        })
        .collect();
    json!({
        "id": runner.id,
        "name": runner.name,
        "os": if runner.version.is_some() { "Linux" } else { "unknown" },
        "status": if runner.session.is_some() { "online" } else { "offline" },
        "busy": runner.is_busy() && !busy_unseen,
        "labels": labels,
        "runner_group_id": runner.group_id,
        "ephemeral": runner.ephemeral,
        "version": runner.version,
    })
}
