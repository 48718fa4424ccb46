//! Jobs as answers and webhooks show them.

use serde_json::{Value, json};

use crate::clock::{stamp, stamp_or_null};
use crate::state::job::{Job, JobStatus};
use crate::state::world::World;

/// A commit for a run: the same one each time it is shown.
pub(crate) fn head_sha(run: u64) -> String {
    format!("{run:040x}")
}

/// What answers and webhooks say alike of a job. They differ in how they show a job that no runner
/// has taken.
pub(crate) fn job_json(world: &World, job: &Job) -> Value {
    let repository = format!("{}/repos/{}", world.base, job.repository);
    let (id, run) = (job.id, job.run_id);
    json!({
        "id": id,
        "run_id": run,
        "workflow_name": job.workflow,
        "head_branch": "main",
        "run_url": format!("{repository}/actions/runs/{run}"),
        "run_attempt": job.run_attempt,
        "node_id": format!("CR_{id}"),
        "head_sha": head_sha(run),
        "url": format!("{repository}/actions/jobs/{id}"),
        "html_url": format!("{}/{}/actions/runs/{run}/job/{id}", world.base, job.repository),
        "status": job.status.as_str(),
        "conclusion": job.conclusion,
        "created_at": stamp(job.created_at),
        "started_at": stamp(job.started_at.unwrap_or(job.created_at)),
        "completed_at": stamp_or_null(job.completed_at),
        "name": job.name,
        "steps": steps(job),
        "check_run_url": format!("{repository}/check-runs/{id}"),
        "labels": job.labels,
        "runner_id": job.runner_id,
        "runner_name": job.runner,
        "runner_group_id": job.runner_group_id,
        "runner_group_name": job.runner_group,
    })
}

/// The one step of a job that has begun.
fn steps(job: &Job) -> Vec<Value> {
    match job.status {
        JobStatus::Queued | JobStatus::Waiting => Vec::new(),
        JobStatus::Completed if job.started_at.is_none() => Vec::new(),
        JobStatus::InProgress | JobStatus::Completed => vec![json!({
            "name": "Run",
            "status": job.status.as_str(),
            "conclusion": job.conclusion,
            "number": 1,
            "started_at": stamp_or_null(job.started_at),
            "completed_at": stamp_or_null(job.completed_at),
        })],
    }
}
