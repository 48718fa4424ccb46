//! Jobs and runs as the REST API shows them.
//! Shapes: <https://docs.github.com/rest/actions/workflow-jobs>, <https://docs.github.com/rest/actions/workflow-runs>.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Value, json};

use crate::api::runners::Place;
use crate::clock::{stamp, stamp_or_null};
use crate::state::directory::{OwnerType, Scope, account_json};
use crate::state::jobs::{Job, JobStatus, started_or_created};
use crate::state::payload::{repository_json, steps};
use crate::state::world::{Shared, World};
use crate::wire::answer::{Answer, Paging, Refusal, json as answer, query};
use crate::wire::auth::{InstallationCaller, Needs, Token};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/repos/{owner}/{repo}/actions/jobs/{job_id}", get(job))
        .route("/repos/{owner}/{repo}/actions/runs", get(runs))
        .route("/repos/{owner}/{repo}/actions/runs/{run_id}", get(run))
        .route(
            "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs",
            get(run_jobs),
        )
        .route("/repos/actions/runner/releases", get(runner_releases))
}

/// Public, but only asked for with a token. Shape: <https://docs.github.com/rest/releases/releases#list-releases>.
async fn runner_releases(
    InstallationCaller(_): InstallationCaller,
    State(shared): State<Arc<Shared>>,
) -> Answer {
    shared.read(|world| {
        let releases = world.settings.runner_releases.as_ref();
        let releases = releases.ok_or_else(Refusal::not_found)?;
        let shown: Vec<Value> = releases
            .iter()
            .map(|release| {
                json!({
                    "tag_name": format!("v{}", release.version),
                    "name": format!("v{}", release.version),
                    "draft": false,
                    "prerelease": false,
                    "published_at": release.published_at,
                })
            })
            .collect();
        Ok(answer(StatusCode::OK, &Value::Array(shown)))
    })
}

/// A commit for a run: the same one each time it is shown.
pub(crate) fn head_sha(run: u64) -> String {
    format!("{run:040x}")
}

async fn job(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
) -> Answer {
    shared.read(|world| {
        let scope = world.repository_for_jobs(&token, &place)?;
        let entry = world.jobs.get(&place.number("job_id")?);
        let job = entry
            .map(|entry| &entry.job)
            .filter(|job| job.repository == scope.as_str())
            .ok_or_else(Refusal::not_found)?;
        Ok(answer(StatusCode::OK, &world.job_json(job)))
    })
}

async fn run_jobs(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
    OriginalUri(uri): OriginalUri,
) -> Answer {
    shared.read(|world| {
        let scope = world.repository_for_jobs(&token, &place)?;
        let run = place.number("run_id")?;
        let of_run = world.run(&scope, run).ok_or_else(Refusal::not_found)?;
        let every = query(&uri, "filter").as_deref() == Some("all");
        let newest = of_run.iter().map(|job| job.run_attempt).max().unwrap_or(1);
        let jobs: Vec<&Job> = of_run
            .into_iter()
            .filter(|job| every || job.run_attempt == newest)
            .collect();
        let paging = Paging::of(&uri);
        let shown: Vec<Value> = paging
            .cut(&jobs)
            .iter()
            .map(|job| world.job_json(job))
            .collect();
        Ok(paging.answer(
            &world.base,
            &uri,
            jobs.len(),
            &json!({ "total_count": jobs.len(), "jobs": shown }),
        ))
    })
}

async fn runs(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
    OriginalUri(uri): OriginalUri,
) -> Answer {
    shared.read(|world| {
        let scope = world.repository_for_jobs(&token, &place)?;
        let mut by_run: BTreeMap<u64, Vec<&Job>> = BTreeMap::new();
        for entry in world.jobs.values() {
            if entry.job.repository == scope.as_str() {
                by_run.entry(entry.job.run_id).or_default().push(&entry.job);
            }
        }
        let wanted = query(&uri, "status");
        // The newest run comes first.
        let runs: Vec<Vec<&Job>> = by_run
            .into_values()
            .rev()
            .filter(|jobs| wanted.as_deref().is_none_or(|wanted| is(jobs, wanted)))
            .collect();
        let paging = Paging::of(&uri);
        let shown: Vec<Value> = paging
            .cut(&runs)
            .iter()
            .map(|jobs| world.run_json(jobs))
            .collect();
        Ok(paging.answer(
            &world.base,
            &uri,
            runs.len(),
            &json!({ "total_count": runs.len(), "workflow_runs": shown }),
        ))
    })
}

async fn run(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
) -> Answer {
    shared.read(|world| {
        let scope = world.repository_for_jobs(&token, &place)?;
        let run = place.number("run_id")?;
        let jobs = world.run(&scope, run).ok_or_else(Refusal::not_found)?;
        Ok(answer(StatusCode::OK, &world.run_json(&jobs)))
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

impl World {
    fn repository_for_jobs(&self, token: &Token, place: &Place) -> Result<Scope, Refusal> {
        let scope = place.scope(self)?;
        self.authorize(token, &scope, Needs::Jobs)?;
        Ok(scope)
    }

    fn run(&self, scope: &Scope, run: u64) -> Option<Vec<&Job>> {
        let jobs: Vec<&Job> = self
            .jobs
            .values()
            .map(|entry| &entry.job)
            .filter(|job| job.run_id == run && job.repository == scope.as_str())
            .collect();
        (!jobs.is_empty()).then_some(jobs)
    }

    fn job_json(&self, job: &Job) -> Value {
        let repository = format!("{}/repos/{}", self.base, job.repository);
        let (id, run) = (job.id, job.run_id);
        json!({
            "id": id,
            "run_id": run,
            "run_url": format!("{repository}/actions/runs/{run}"),
            "run_attempt": job.run_attempt,
            "node_id": format!("CR_{id}"),
            "head_sha": head_sha(run),
            "url": format!("{repository}/actions/jobs/{id}"),
            "html_url": format!("{}/{}/actions/runs/{run}/job/{id}", self.base, job.repository),
            "status": job.status.as_str(),
            "conclusion": job.conclusion,
            "created_at": stamp(job.created_at),
            "started_at": started_or_created(job),
            "completed_at": stamp_or_null(job.completed_at),
            "name": job.name,
            "steps": steps(job),
            "check_run_url": format!("{repository}/check-runs/{id}"),
            "labels": job.labels,
            // Webhooks say null here until a runner has taken the job, the REST API has said 0.
            "runner_id": job.runner_id.unwrap_or(0),
            "runner_name": job.runner.as_deref().unwrap_or(""),
            "runner_group_id": job.runner_group_id.unwrap_or(0),
            "runner_group_name": job.runner_group.as_deref().unwrap_or(""),
            "workflow_name": job.workflow,
            "head_branch": "main",
        })
    }

    fn run_json(&self, jobs: &[&Job]) -> Value {
        let Some(first) = jobs.first() else {
            return Value::Null;
        };
        let (id, sha) = (first.run_id, head_sha(first.run_id));
        let url = format!("{}/repos/{}/actions/runs/{id}", self.base, first.repository);
        let (status, conclusion) = summary(jobs);
        let attempt = jobs.iter().map(|job| job.run_attempt).max().unwrap_or(1);
        let actor = account_json(&self.base, "octocat", 1, OwnerType::User);
        let repository = self
            .directory
            .repository(&first.repository)
            .map(|repository| repository_json(self, repository));
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
            "event": "push",
            "display_title": first.workflow,
            "status": status,
            "conclusion": conclusion,
            "workflow_id": 1,
            "url": url,
            "html_url": format!("{}/{}/actions/runs/{id}", self.base, first.repository),
            "pull_requests": [],
            "created_at": stamp(first.created_at),
            "updated_at": stamp(first.created_at),
            "actor": actor,
            "triggering_actor": actor,
            "run_attempt": attempt,
            "run_started_at": stamp(first.created_at),
            "jobs_url": format!("{url}/jobs"),
            "logs_url": format!("{url}/logs"),
            "check_suite_url": format!("{}/repos/{}/check-suites/{id}", self.base, first.repository),
            "artifacts_url": format!("{url}/artifacts"),
            "cancel_url": format!("{url}/cancel"),
            "rerun_url": format!("{url}/rerun"),
            "workflow_url": format!("{}/repos/{}/actions/workflows/1", self.base, first.repository),
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
            "head_repository": repository,
        })
    }
}
