//! The way in for whoever plays GitHub's users, and for tests: `/_standin/…`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::{Settings, WebhookTarget};
use crate::faults::{DeliveryFault, Fault};
use crate::state::accounts::OwnerType;
use crate::state::installation::Access;
use crate::state::job::{Job, NewJob};
use crate::state::refusal::Rejected;
use crate::state::shared::Shared;
use crate::state::world::World;
use crate::wire::answer::{json as answer, nothing};

type Outcome = Result<Response, Rejected>;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_standin/health", get(health))
        .route("/_standin/jobs", get(jobs).post(create_job))
        .route("/_standin/jobs/{id}", get(job))
        .route("/_standin/jobs/{id}/{action}", post(change_job))
        .route("/_standin/runs/{id}", delete(delete_run))
        .route("/_standin/state", get(state))
        .route("/_standin/leftovers", get(leftovers))
        .route("/_standin/check-runs", get(check_runs))
        .route("/_standin/requests", get(requests).delete(clear_requests))
        .route("/_standin/webhook", put(webhook))
        .route("/_standin/settings", get(settings).patch(change_settings))
        .route("/_standin/faults", post(fault).delete(clear_faults))
        .route("/_standin/delivery-faults", post(delivery_fault))
        .route("/_standin/deliveries/{id}", get(delivery))
        .route("/_standin/deliveries/{id}/redeliver", post(redeliver))
        .route("/_standin/repositories", post(repository))
        .route(
            "/_standin/installations/{login}",
            put(installation).delete(uninstall),
        )
        .route("/_standin/runners/{id}/{action}", post(change_runner))
        .route("/_standin/tokens", delete(expire_tokens))
        .route("/_standin/ping", post(ping))
        .route("/_standin/reset", post(reset))
}

fn shown<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_value(value) {
        Ok(value) => answer(status, &value),
        Err(error) => Rejected::invalid(error.to_string()).into_response(),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Rejected> {
    serde_json::from_slice(body)
        .map_err(|error| Rejected::invalid(format!("not understood: {error}")))
}

async fn health() -> Response {
    answer(StatusCode::OK, &json!({ "status": "ok" }))
}

async fn jobs(State(shared): State<Arc<Shared>>) -> Response {
    shown(StatusCode::OK, &shared.read(World::snapshot).jobs)
}

async fn create_job(State(shared): State<Arc<Shared>>, body: Bytes) -> Outcome {
    let new: NewJob = read(&body)?;
    let job = shared.change(|world| world.create_job(new))?;
    Ok(shown(StatusCode::CREATED, &job))
}

async fn job(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Outcome {
    Ok(shown(StatusCode::OK, &shared.read(|world| world.job(id))?))
}

async fn change_job(
    State(shared): State<Arc<Shared>>,
    Path((id, action)): Path<(u64, String)>,
) -> Outcome {
    let change: fn(&mut World, u64) -> Result<Job, Rejected> = match action.as_str() {
        "cancel" => World::cancel_job,
        "hold" => World::hold_job,
        "approve" => World::approve_job,
        "rerun" => World::rerun_job,
        "lose" => World::lose_job,
        "release" => World::release_job,
        _ => {
            return Err(Rejected::absent(
                "a job can cancel, hold, approve, rerun, lose or release",
            ));
        }
    };
    Ok(shown(
        StatusCode::OK,
        &shared.change(|world| change(world, id))?,
    ))
}

async fn delete_run(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Outcome {
    shared.change(|world| world.delete_run(id))?;
    Ok(nothing())
}

async fn state(State(shared): State<Arc<Shared>>) -> Response {
    shown(StatusCode::OK, &shared.read(World::snapshot))
}

async fn check_runs(State(shared): State<Arc<Shared>>) -> Response {
    shared.read(|world| {
        let all: Vec<_> = world.check_runs.values().collect();
        shown(StatusCode::OK, &all)
    })
}

async fn leftovers(State(shared): State<Arc<Shared>>) -> Response {
    shown(StatusCode::OK, &shared.read(World::leftovers))
}

async fn requests(State(shared): State<Arc<Shared>>) -> Response {
    shared.read(|world| {
        let traffic = &world.traffic;
        answer(
            StatusCode::OK,
            &json!({ "counts": traffic.counts, "requests": traffic.records }),
        )
    })
}

async fn clear_requests(State(shared): State<Arc<Shared>>) -> Response {
    shared.note(|world| world.traffic.clear());
    nothing()
}

async fn webhook(State(shared): State<Arc<Shared>>, body: Bytes) -> Outcome {
    let target: Option<WebhookTarget> = read(&body)?;
    shared.note(|world| world.webhook = target);
    Ok(nothing())
}

async fn settings(State(shared): State<Arc<Shared>>) -> Response {
    shown(StatusCode::OK, &shared.read(|world| world.settings.clone()))
}

/// The settings named in the body are changed, the others stay.
async fn change_settings(State(shared): State<Arc<Shared>>, body: Bytes) -> Outcome {
    let changes: serde_json::Map<String, Value> = read(&body)?;
    let settings: Settings = shared.change(|world| {
        let mut all = json!(world.settings);
        for (name, value) in changes {
            all[name] = value;
        }
        let new: Settings = serde_json::from_value(all)
            .map_err(|error| Rejected::invalid(format!("not understood: {error}")))?;
        world.change_settings(|settings| *settings = new.clone());
        Ok::<_, Rejected>(new)
    })?;
    Ok(shown(StatusCode::OK, &settings))
}

async fn fault(State(shared): State<Arc<Shared>>, body: Bytes) -> Outcome {
    let fault: Fault = read(&body)?;
    shared.note(|world| world.faults.push(fault));
    Ok(nothing())
}

async fn delivery_fault(State(shared): State<Arc<Shared>>, body: Bytes) -> Outcome {
    let fault: DeliveryFault = read(&body)?;
    shared.note(|world| world.delivery_faults.push(fault));
    Ok(nothing())
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> Response {
    shared.note(World::clear_faults);
    nothing()
}

async fn delivery(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Outcome {
    shared.read(|world| {
        let exchange = world.deliveries.get(&id);
        exchange
            .map(|exchange| shown(StatusCode::OK, exchange))
            .ok_or_else(|| Rejected::absent(format!("there is no delivery {id}")))
    })
}

async fn redeliver(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> Outcome {
    if shared.change(|world| world.redeliver(id)) {
        Ok(nothing())
    } else {
        Err(Rejected::absent(format!("there is no delivery {id}")))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRepository {
    repository: String,
    #[serde(default)]
    owner_type: OwnerType,
    private: Option<bool>,
}

async fn repository(State(shared): State<Arc<Shared>>, body: Bytes) -> Outcome {
    let new: NewRepository = read(&body)?;
    let private = new.private.unwrap_or(true);
    shared
        .change(|world| {
            world
                .directory
                .add_repository(&new.repository, new.owner_type, private)
        })
        .map_err(Rejected::invalid)?;
    Ok(nothing())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct InstallationChange {
    suspended: bool,
    /// Permission → `read`, `write`, or null to take it away.
    permissions: std::collections::BTreeMap<String, Option<Access>>,
    /// The repositories (`owner/name`) that it does not include.
    excluded: std::collections::BTreeSet<String>,
}

async fn installation(
    State(shared): State<Arc<Shared>>,
    Path(login): Path<String>,
    body: Bytes,
) -> Outcome {
    let change: InstallationChange = if body.is_empty() {
        InstallationChange::default()
    } else {
        read(&body)?
    };
    let id = shared.change(|world| {
        let id = world
            .directory
            .install(&login)
            .ok_or_else(|| Rejected::absent(format!("there is no account {login}")))?;
        world.suspend(&login, change.suspended);
        world.exclude(&login, &change.excluded);
        for (permission, access) in &change.permissions {
            world.set_permission(&login, permission, *access);
        }
        Ok::<_, Rejected>(id)
    })?;
    Ok(answer(StatusCode::OK, &json!({ "id": id })))
}

async fn uninstall(State(shared): State<Arc<Shared>>, Path(login): Path<String>) -> Response {
    shared.change(|world| world.directory.uninstall(&login));
    nothing()
}

async fn change_runner(
    State(shared): State<Arc<Shared>>,
    Path((id, action)): Path<(u64, String)>,
) -> Outcome {
    let change: fn(&mut World, u64) -> Result<(), Rejected> = match action.as_str() {
        "drop" => World::drop_runner,
        "ghost" => World::ghost_runner,
        "update" => World::update_runner,
        _ => return Err(Rejected::absent("a runner can drop, ghost or update")),
    };
    shared.change(|world| change(world, id))?;
    Ok(nothing())
}

async fn expire_tokens(State(shared): State<Arc<Shared>>) -> Response {
    shared.note(|world| world.tokens.expire_all());
    nothing()
}

async fn ping(State(shared): State<Arc<Shared>>) -> Response {
    shared.change(World::ping);
    nothing()
}

async fn reset(State(shared): State<Arc<Shared>>) -> Response {
    shared.change(World::reset);
    nothing()
}
