//! Check runs. Shapes: <https://docs.github.com/rest/checks/runs>.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, patch, post};
use serde_json::{Value, json};

use crate::clock::{stamp, stamp_or_null};
use crate::state::check_run::{CheckRun, Given};
use crate::state::installation::Access;
use crate::state::refusal::Refusal;
use crate::state::shapes::job::head_sha;
use crate::state::shared::Shared;
use crate::state::token::Needs;
use crate::state::world::World;
use crate::wire::answer::{Answer, created, ok, read};
use crate::wire::call::Call;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/repos/{owner}/{repo}/check-runs", post(create))
        .route(
            "/repos/{owner}/{repo}/check-runs/{check_run_id}",
            patch(update),
        )
        .route("/repos/{owner}/{repo}/commits/{ref}/check-runs", get(list))
}

async fn create(call: Call, State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    shared.note(|world| {
        let scope = call.scope(world, Needs::Checks(Access::Write))?;
        let given: Given = read(&body)?;
        let missing =
            |field| Refusal::invalid(format!("Invalid request.\n\n\"{field}\" wasn't supplied."));
        let mut run = CheckRun {
            id: 0,
            repository: scope.as_str().to_owned(),
            head_sha: given.head_sha.clone().ok_or_else(|| missing("head_sha"))?,
            name: given.name.clone().ok_or_else(|| missing("name"))?,
            external_id: String::new(),
            details_url: String::new(),
            status: "queued".to_owned(),
            conclusion: None,
            title: String::new(),
            summary: String::new(),
            started_at: world.now(),
            completed_at: None,
        };
        if !knows_commit(world, &run) {
            return Err(Refusal::invalid(format!(
                "No commit found for SHA: {}",
                run.head_sha
            )));
        }
        run.change(given, world.now())?;
        run.id = world.id();
        let shown = check_run_json(world, &run);
        world.check_runs.insert(run.id, run);
        Ok(created(&shown))
    })
}

async fn update(call: Call, State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    shared.note(|world| {
        let scope = call.scope(world, Needs::Checks(Access::Write))?;
        let given: Given = read(&body)?;
        let now = world.now();
        let run = world
            .check_runs
            .get_mut(&call.number("check_run_id")?)
            .filter(|run| run.repository == scope.as_str())
            .ok_or_else(Refusal::not_found)?;
        run.change(given, now)?;
        let run = run.clone();
        Ok(ok(&check_run_json(world, &run)))
    })
}

async fn list(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.read(|world| {
        let scope = call.scope(world, Needs::Checks(Access::Read))?;
        let sha = call.text("ref")?;
        let name = call.query("check_name");
        let every = call.query("filter").as_deref() == Some("all");
        let mut found: Vec<&CheckRun> = Vec::new();
        // The newest comes first, and by default only the newest of each name.
        for run in world.check_runs.values().rev() {
            let wanted = run.repository == scope.as_str()
                && run.head_sha == sha
                && name.as_ref().is_none_or(|name| *name == run.name);
            if wanted && (every || found.iter().all(|newer| newer.name != run.name)) {
                found.push(run);
            }
        }
        Ok(call.list(world, "check_runs", &found, |run| {
            check_run_json(world, run)
        }))
    })
}

/// Commits are those that jobs run for.
fn knows_commit(world: &World, run: &CheckRun) -> bool {
    world.jobs.values().any(|entry| {
        entry.job.repository == run.repository && head_sha(entry.job.run_id) == run.head_sha
    })
}

fn check_run_json(world: &World, run: &CheckRun) -> Value {
    let id = run.id;
    let url = format!("{}/repos/{}/check-runs/{id}", world.base, run.repository);
    json!({
        "id": id,
        "node_id": format!("CR_{id}"),
        "head_sha": run.head_sha,
        "external_id": run.external_id,
        "url": url,
        "html_url": format!("{}/{}/runs/{id}", world.base, run.repository),
        "details_url": run.details_url,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": stamp(run.started_at),
        "completed_at": stamp_or_null(run.completed_at),
        "output": {
            "title": run.title,
            "summary": run.summary,
            "text": null,
            "annotations_count": 0,
            "annotations_url": format!("{url}/annotations"),
        },
        "name": run.name,
        "check_suite": { "id": id },
        "app": null,
        "pull_requests": [],
    })
}
