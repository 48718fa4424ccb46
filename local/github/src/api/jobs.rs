//! Jobs. Shapes: <https://docs.github.com/rest/actions/workflow-jobs>.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::Value;

use crate::state::job::Job;
use crate::state::refusal::Refusal;
use crate::state::shapes::job::job_json;
use crate::state::shared::Shared;
use crate::state::token::Needs;
use crate::state::world::World;
use crate::wire::answer::{Answer, ok};
use crate::wire::call::Call;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/repos/{owner}/{repo}/actions/jobs/{job_id}", get(show))
        .route(
            "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs",
            get(of_run),
        )
}

async fn show(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.read(|world| {
        let scope = call.scope(world, Needs::Jobs)?;
        let entry = world.jobs.get(&call.number("job_id")?);
        let job = entry
            .map(|entry| &entry.job)
            .filter(|job| job.repository == scope.as_str())
            .ok_or_else(Refusal::not_found)?;
        Ok(ok(&shown(world, job)))
    })
}

async fn of_run(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.read(|world| {
        let scope = call.scope(world, Needs::Jobs)?;
        let run = call.number("run_id")?;
        let of_run = world
            .jobs_of_run(&scope, run)
            .ok_or_else(Refusal::not_found)?;
        let every = call.query("filter").as_deref() == Some("all");
        let newest = of_run.iter().map(|job| job.run_attempt).max().unwrap_or(1);
        let jobs: Vec<&Job> = of_run
            .into_iter()
            .filter(|job| every || job.run_attempt == newest)
            .collect();
        Ok(call.list(world, "jobs", &jobs, |job| shown(world, job)))
    })
}

/// Webhooks say null of the runner until one has taken the job, the REST API has said 0.
fn shown(world: &World, job: &Job) -> Value {
    let mut shown = job_json(world, job);
    shown["runner_id"] = Value::from(job.runner_id.unwrap_or(0));
    shown["runner_name"] = Value::from(job.runner.as_deref().unwrap_or(""));
    shown["runner_group_id"] = Value::from(job.runner_group_id.unwrap_or(0));
    shown["runner_group_name"] = Value::from(job.runner_group.as_deref().unwrap_or(""));
    shown
}
