//! Runs. Shapes: <https://docs.github.com/rest/actions/workflow-runs>.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use crate::clock::stamp;
use crate::state::accounts::{OwnerType, Repository};
use crate::state::job::{Fork, Job, JobStatus};
use crate::state::refusal::Refusal;
use crate::state::shapes::account::account_json;
use crate::state::shapes::job::head_sha;
use crate::state::shapes::repository::repository_json;
use crate::state::shared::Shared;
use crate::state::token::Needs;
use crate::state::world::World;
use crate::wire::answer::{Answer, ok};
use crate::wire::call::Call;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/repos/{owner}/{repo}/actions/runs", get(list))
        .route("/repos/{owner}/{repo}/actions/runs/{run_id}", get(show))
}

async fn list(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.read(|world| {
        let scope = call.scope(world, Needs::Jobs)?;
        let mut by_run: BTreeMap<u64, Vec<&Job>> = BTreeMap::new();
        for entry in world.jobs.values() {
            if entry.job.repository == scope.as_str() {
                by_run.entry(entry.job.run_id).or_default().push(&entry.job);
            }
        }
        let wanted = call.query("status");
        // The newest run comes first.
        let runs: Vec<Vec<&Job>> = by_run
            .into_values()
            .rev()
            .filter(|jobs| wanted.as_deref().is_none_or(|wanted| is(jobs, wanted)))
            .collect();
        Ok(call.list(world, "workflow_runs", &runs, |jobs| run_json(world, jobs)))
    })
}

async fn show(call: Call, State(shared): State<Arc<Shared>>) -> Answer {
    shared.read(|world| {
        let scope = call.scope(world, Needs::Jobs)?;
        let run = call.number("run_id")?;
        let jobs = world
            .jobs_of_run(&scope, run)
            .ok_or_else(Refusal::not_found)?;
        Ok(ok(&run_json(world, &jobs)))
    })
}

/// The state of a run follows from its jobs': `status` and `conclusion`.
fn summary(jobs: &[&Job]) -> (&'static str, Option<&'static str>) {
    let newest = jobs.iter().map(|job| job.run_attempt).max().unwrap_or(1);
    let any = |status| {
        jobs.iter()
            .any(|job| job.run_attempt == newest && job.status == status)
    };
    let concluded = |word: &str| {
        jobs.iter()
            .any(|job| job.run_attempt == newest && job.conclusion.as_deref() == Some(word))
    };
    if any(JobStatus::InProgress) {
        ("in_progress", None)
    } else if any(JobStatus::Queued) {
        ("queued", None)
    } else if any(JobStatus::Waiting) {
        ("waiting", None)
    } else if concluded("failure") {
        ("completed", Some("failure"))
    } else if concluded("cancelled") {
        ("completed", Some("cancelled"))
    } else {
        ("completed", Some("success"))
    }
}

/// The filter `status` takes a status or a conclusion.
fn is(jobs: &[&Job], wanted: &str) -> bool {
    let (status, conclusion) = summary(jobs);
    status == wanted || conclusion == Some(wanted)
}

/// The fork that a pull request comes from; none where it was deleted.
fn head_json(world: &World, fork: &Fork) -> Option<Value> {
    match fork {
        Fork::Deleted => None,
        Fork::At(full_name) => {
            let (owner, name) = full_name.split_once('/')?;
            // Mostly a stranger's, where the App is not installed.
            let unknown = || Repository {
                id: 0,
                owner: owner.to_owned(),
                name: name.to_owned(),
                private: true,
            };
            let known = world.directory.repository(full_name).cloned();
            let mut shown = repository_json(world, &known.unwrap_or_else(unknown));
            shown["fork"] = Value::from(true);
            Some(shown)
        }
    }
}

fn run_json(world: &World, jobs: &[&Job]) -> Value {
    let Some(first) = jobs.first() else {
        return Value::Null;
    };
    let (id, sha) = (first.run_id, head_sha(first.run_id));
    let url = format!(
        "{}/repos/{}/actions/runs/{id}",
        world.base, first.repository
    );
    let (status, conclusion) = summary(jobs);
    let attempt = jobs.iter().map(|job| job.run_attempt).max().unwrap_or(1);
    let actor = account_json(&world.base, "octocat", 1, OwnerType::User);
    let repository = world
        .directory
        .repository(&first.repository)
        .map(|repository| repository_json(world, repository));
    let (event, head) = match &first.fork {
        None => ("push", repository.clone()),
        Some(fork) => ("pull_request", head_json(world, fork)),
    };
    json!({
        "id": id,
        "name": first.workflow,
        "node_id": format!("WFR_{id}"),
        "check_suite_id": id,
        "check_suite_node_id": format!("CS_{id}"),
        "head_branch": "main",
        "head_sha": sha,
        "path": ".github/workflows/ci.yml",
        "run_number": 1,
        "event": event,
        "display_title": first.workflow,
        "status": status,
        "conclusion": conclusion,
        "workflow_id": 1,
        "url": url,
        "html_url": format!("{}/{}/actions/runs/{id}", world.base, first.repository),
        "pull_requests": [],
        "created_at": stamp(first.created_at),
        "updated_at": stamp(first.created_at),
        "actor": actor,
        "triggering_actor": actor,
        "run_attempt": attempt,
        "run_started_at": stamp(first.created_at),
        "jobs_url": format!("{url}/jobs"),
        "logs_url": format!("{url}/logs"),
        "check_suite_url": format!("{}/repos/{}/check-suites/{id}", world.base, first.repository),
        "artifacts_url": format!("{url}/artifacts"),
        "cancel_url": format!("{url}/cancel"),
        "rerun_url": format!("{url}/rerun"),
        "workflow_url": format!("{}/repos/{}/actions/workflows/1", world.base, first.repository),
        "previous_attempt_url": null,
        "head_commit": {
            "id": sha,
            "tree_id": sha,
            "message": "Change something",
            "timestamp": stamp(first.created_at),
            "author": { "name": "octocat", "email": "octocat@example.com" },
            "committer": { "name": "octocat", "email": "octocat@example.com" },
        },
        "repository": repository,
        "head_repository": head,
    })
}
