//! Jobs. Shapes: <https://docs.github.com/rest/actions/workflow-jobs>.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::state::job::Job;
use crate::state::refusal::Refusal;
use crate::state::shapes::job::job_json;
use crate::state::shared::Shared;
use crate::state::token::Needs;
use crate::state::world::World;
use crate::wire::answer::{Answer, created, ok};
use crate::wire::call::Call;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/repos/{owner}/{repo}/actions/jobs/{job_id}", get(show))
        .route(
            "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs",
            get(of_run),
        )
        .route(
            "/repos/{owner}/{repo}/actions/jobs/{job_id}/rerun",
            post(rerun),
        )
        .route(
            "/repos/{owner}/{repo}/actions/runs/{run_id}/rerun-failed-jobs",
            post(rerun_failed),
        )
}

async fn rerun(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.change(|world| {
        let scope = call.scope(world, Needs::Reruns)?;
        let id = call.number("job_id")?;
        let job = world.job(id).map_err(|_| Refusal::not_found())?;
        if job.repository != scope.as_str() {
            return Err(Refusal::not_found());
        }
        if !world.is_over(&scope, job.run_id) {
            // Seen at GitHub: https://github.com/NVIDIA-NeMo/RL/pull/1193
            let words = "The workflow run containing this job is already running";
            return Err(Refusal::new(403, words));
        }
        world.rerun_jobs(&[id]);
        Ok(created(&json!({})))
    })
}

async fn rerun_failed(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.change(|world| {
        let scope = call.scope(world, Needs::Reruns)?;
        let run = call.number("run_id")?;
        let jobs = world
            .jobs_of_run(&scope, run)
            .ok_or_else(Refusal::not_found)?;
        let newest = jobs.iter().map(|job| job.run_attempt).max().unwrap_or(1);
        let failed: Vec<u64> = jobs
            .iter()
            .filter(|job| job.run_attempt == newest)
            .filter(|job| matches!(job.conclusion.as_deref(), Some("failure" | "cancelled")))
            .map(|job| job.id)
            .collect();
        if !world.is_over(&scope, run) {
            // Seen at GitHub: https://github.com/metabase/metabase/pull/70916
            return Err(Refusal::new(403, "This workflow is already running"));
        }
        if failed.is_empty() {
            return Err(Refusal::new(403, "This workflow run cannot be retried"));
        }
        world.rerun_jobs(&failed);
        Ok(created(&json!({})))
    })
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
