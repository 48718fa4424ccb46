//! Check runs: what an App shows beside a commit.
//! Shapes: <https://docs.github.com/rest/checks/runs>.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, patch, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::api::runners::Place;
use crate::clock::{stamp, stamp_or_null};
use crate::state::directory::{Access, Scope};
use crate::state::world::{Shared, World};
use crate::wire::answer::{Answer, Paging, Refusal, json as answer, query, read};
use crate::wire::auth::{InstallationCaller, Needs, Token};

/// What GitHub takes of an output's summary.
const SUMMARY_LIMIT: usize = 65_535;

/// A check run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRun {
    /// Its number.
    pub id: u64,
    /// `owner/name`.
    pub repository: String,
    /// The commit.
    pub head_sha: String,
    /// What it is listed under.
    pub name: String,
    /// Its App's own id of it.
    pub external_id: String,
    /// Where *Details* leads.
    pub details_url: String,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// How it ended; none while it has not.
    pub conclusion: Option<String>,
    /// One line.
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub completed_at: Option<OffsetDateTime>,
}

#[derive(Debug, Deserialize)]
struct Given {
    name: Option<String>,
    head_sha: Option<String>,
    external_id: Option<String>,
    details_url: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    output: Option<Output>,
}

#[derive(Debug, Deserialize)]
struct Output {
    title: Option<String>,
    summary: String,
}

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/repos/{owner}/{repo}/check-runs", post(create))
        .route(
            "/repos/{owner}/{repo}/check-runs/{check_run_id}",
            patch(update),
        )
        .route("/repos/{owner}/{repo}/commits/{ref}/check-runs", get(list))
}

async fn create(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
    body: Bytes,
) -> Answer {
    shared.note(|world| {
        let scope = world.repository_for_checks(&token, &place, Access::Write)?;
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
        if !world.knows_commit(&run) {
            return Err(Refusal::invalid(format!(
                "No commit found for SHA: {}",
                run.head_sha
            )));
        }
        run.change(given, world.now())?;
        run.id = world.id();
        let shown = world.check_run_json(&run);
        world.check_runs.insert(run.id, run);
        Ok(answer(StatusCode::CREATED, &shown))
    })
}

async fn update(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
    body: Bytes,
) -> Answer {
    shared.note(|world| {
        let scope = world.repository_for_checks(&token, &place, Access::Write)?;
        let given: Given = read(&body)?;
        let now = world.now();
        let run = world
            .check_runs
            .get_mut(&place.number("check_run_id")?)
            .filter(|run| run.repository == scope.as_str())
            .ok_or_else(Refusal::not_found)?;
        run.change(given, now)?;
        let run = run.clone();
        Ok(answer(StatusCode::OK, &world.check_run_json(&run)))
    })
}

async fn list(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
    OriginalUri(uri): OriginalUri,
) -> Answer {
    shared.read(|world| {
        let scope = world.repository_for_checks(&token, &place, Access::Read)?;
        let sha = place.text("ref")?;
        let name = query(&uri, "check_name");
        let every = query(&uri, "filter").as_deref() == Some("all");
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
        let paging = Paging::of(&uri);
        let shown: Vec<Value> = paging
            .cut(&found)
            .iter()
            .map(|run| world.check_run_json(run))
            .collect();
        Ok(paging.answer(
            &world.base,
            &uri,
            found.len(),
            &json!({ "total_count": found.len(), "check_runs": shown }),
        ))
    })
}

impl CheckRun {
    /// Takes over what was given; the rest stays.
    fn change(&mut self, given: Given, now: OffsetDateTime) -> Result<(), Refusal> {
        let set = |field: &mut String, value: Option<String>| {
            if let Some(value) = value {
                *field = value;
            }
        };
        if given.status.as_deref() == Some("completed") && given.conclusion.is_none() {
            return Err(Refusal::invalid(
                "Invalid request.\n\n\"conclusion\" wasn't supplied.",
            ));
        }
        set(&mut self.name, given.name);
        set(&mut self.external_id, given.external_id);
        set(&mut self.details_url, given.details_url);
        set(&mut self.status, given.status);
        if given.conclusion.is_some() {
            self.conclusion = given.conclusion;
            "completed".clone_into(&mut self.status);
            self.completed_at = Some(now);
        }
        if let Some(output) = given.output {
            if output.summary.chars().count() > SUMMARY_LIMIT {
                return Err(Refusal::invalid(
                    "Invalid request.\n\nOnly 65535 characters are allowed; summary has more.",
                ));
            }
            set(&mut self.title, output.title);
            self.summary = output.summary;
        }
        Ok(())
    }
}

impl World {
    fn repository_for_checks(
        &self,
        token: &Token,
        place: &Place,
        access: Access,
    ) -> Result<Scope, Refusal> {
        let scope = place.scope(self)?;
        self.authorize(token, &scope, Needs::Checks(access))?;
        Ok(scope)
    }

    /// Commits are those that jobs run for.
    fn knows_commit(&self, run: &CheckRun) -> bool {
        self.jobs.values().any(|entry| {
            entry.job.repository == run.repository
                && crate::api::jobs::head_sha(entry.job.run_id) == run.head_sha
        })
    }

    fn check_run_json(&self, run: &CheckRun) -> Value {
        let id = run.id;
        let url = format!("{}/repos/{}/check-runs/{id}", self.base, run.repository);
        json!({
            "id": id,
            "node_id": format!("CR_{id}"),
            "head_sha": run.head_sha,
            "external_id": run.external_id,
            "url": url,
            "html_url": format!("{}/{}/runs/{id}", self.base, run.repository),
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
}
