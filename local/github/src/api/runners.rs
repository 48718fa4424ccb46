//! Self-hosted runners: how they are registered, listed and deleted.
//! Shapes: <https://docs.github.com/rest/actions/self-hosted-runners>.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use protocol::LabelSet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::stamp;
use crate::service::sessions::Notice;
use crate::state::directory::{Access, Scope};
use crate::state::jit::{Credential, Files};
use crate::state::world::{Shared, World};
use crate::wire::answer::{Answer, Paging, Refusal, json as answer, nothing, query, read};
use crate::wire::auth::{InstallationCaller, Needs};

/// The longest name of a runner.
const NAME_LIMIT: usize = 64;
const LABEL_LIMIT: usize = 100;

/// A registered runner, for a look from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runner {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// `owner/name` or the organization it is registered at.
    pub scope: String,
    /// In lower case, sorted.
    pub labels: Vec<String>,
    /// Its group.
    pub group_id: u64,
    /// Whether its listener is connected.
    pub online: bool,
    /// Whether it has a job.
    pub busy: bool,
    /// That job, begun or only leased.
    pub job: Option<u64>,
    /// Its version, once it has connected.
    pub version: Option<String>,
    /// Whether it ends with its first job.
    pub ephemeral: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct RunnerEntry {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) group_id: u64,
    pub(crate) labels: LabelSet,
    pub(crate) ephemeral: bool,
    pub(crate) credential: Credential,
    pub(crate) job: Option<u64>,
    pub(crate) session: Option<String>,
    /// Since when it has been idle and connected.
    pub(crate) idle_since: Option<Instant>,
    /// When it was last heard of, if it has gone without a word.
    pub(crate) lost_at: Option<Instant>,
    /// Until when it does not hear of the job that was leased to it.
    pub(crate) held_until: Option<Instant>,
    pub(crate) version: Option<String>,
}

impl RunnerEntry {
    pub(crate) fn view(&self) -> Runner {
        Runner {
            id: self.id,
            name: self.name.clone(),
            scope: self.scope.as_str().to_owned(),
            labels: self.labels.iter().map(ToString::to_string).collect(),
            group_id: self.group_id,
            online: self.session.is_some(),
            busy: self.job.is_some(),
            job: self.job,
            version: self.version.clone(),
            ephemeral: self.ephemeral,
        }
    }

    /// Whether it is time that it hears of its job.
    pub(crate) fn hears(&self, now: Instant) -> bool {
        self.held_until.is_some_and(|until| until <= now)
    }

    /// Whether GitHub counts it as busy: not before it has heard of its job.
    fn is_busy(&self) -> bool {
        self.job.is_some() && self.held_until.is_none()
    }

    fn json(&self, busy_unseen: bool) -> Value {
        let labels: Vec<Value> = self
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
            "id": self.id,
            "name": self.name,
            "os": if self.version.is_some() { "Linux" } else { "unknown" },
            "status": if self.session.is_some() { "online" } else { "offline" },
            "busy": self.is_busy() && !busy_unseen,
            "labels": labels,
            "runner_group_id": self.group_id,
            "ephemeral": self.ephemeral,
            "version": self.version,
        })
    }
}

/// What a runner is registered with.
pub(crate) struct Registration {
    pub(crate) name: String,
    pub(crate) group_id: u64,
    pub(crate) labels: Vec<String>,
    pub(crate) ephemeral: bool,
}

impl World {
    /// Registers a runner; its number. The checks are those of GitHub's answers.
    pub(crate) fn register(
        &mut self,
        scope: &Scope,
        registration: Registration,
    ) -> Result<u64, Refusal> {
        let Registration {
            name,
            group_id,
            labels,
            ephemeral,
        } = registration;
        if name.is_empty() || name.chars().count() > NAME_LIMIT {
            return Err(Refusal::invalid(format!(
                "Invalid request.\n\nThe runner's name must have 1 to {NAME_LIMIT} characters."
            )));
        }
        if labels.is_empty() || labels.len() > LABEL_LIMIT {
            return Err(Refusal::invalid(format!(
                "Invalid request.\n\nA runner must have 1 to {LABEL_LIMIT} labels."
            )));
        }
        if self.directory.group_name(scope, group_id).is_none() {
            return Err(Refusal::not_found());
        }
        if self.runner_named(scope, &name).is_some() {
            return Err(Refusal::new(
                StatusCode::CONFLICT,
                format!("Already exists - A runner with the name {name} already exists."),
            ));
        }
        let id = self.id();
        let entry = RunnerEntry {
            id,
            name,
            scope: scope.clone(),
            group_id,
            labels: LabelSet::new(labels),
            ephemeral,
            credential: Credential::new(),
            job: None,
            session: None,
            idle_since: None,
            lost_at: None,
            held_until: None,
            version: None,
        };
        self.runners.insert(id, entry);
        Ok(id)
    }

    pub(crate) fn runner_named(&self, scope: &Scope, name: &str) -> Option<&RunnerEntry> {
        self.runners
            .values()
            .find(|runner| runner.scope == *scope && runner.name.eq_ignore_ascii_case(name))
    }

    /// Takes a runner out of the list; a listener that is connected is told.
    pub(crate) fn remove_runner(&mut self, id: u64, notice: Notice) {
        let Some(entry) = self.runners.remove(&id) else {
            return;
        };
        if let Some(session) = entry.session.and_then(|id| self.sessions.get_mut(&id)) {
            session.notice = Some(notice);
        }
    }

    pub(crate) fn registration_files<'a>(
        &'a self,
        runner: &'a RunnerEntry,
        group: &'a str,
        work_folder: &'a str,
    ) -> Files<'a> {
        Files {
            base: &self.base,
            runner_id: runner.id,
            name: &runner.name,
            scope: runner.scope.as_str(),
            group,
            work_folder,
            ephemeral: runner.ephemeral,
            credential: &runner.credential,
        }
    }

    /// The scope and the runner of a path.
    fn runner_at(&self, place: &Place, scope: &Scope) -> Result<&RunnerEntry, Refusal> {
        self.runners
            .get(&place.number("runner_id")?)
            .filter(|runner| runner.scope == *scope)
            .ok_or_else(Refusal::not_found)
    }
}

/// The variable parts of a path below an organization or a repository.
#[derive(Debug, Deserialize)]
pub(crate) struct Place(BTreeMap<String, String>);

impl Place {
    pub(crate) fn scope(&self, world: &World) -> Result<Scope, Refusal> {
        let part = |name: &str| self.0.get(name).map(String::as_str);
        match (part("org"), part("owner"), part("repo")) {
            (Some(login), ..) => world.directory.scope(login, None),
            (None, Some(owner), Some(name)) => world.directory.scope(owner, Some(name)),
            _ => Err(Refusal::not_found()),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, Refusal> {
        self.0
            .get(name)
            .map(String::as_str)
            .ok_or_else(Refusal::not_found)
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.0
            .get(name)
            .and_then(|text| text.parse().ok())
            .ok_or_else(Refusal::not_found)
    }
}

pub(crate) fn routes() -> Router<Arc<Shared>> {
    let mut router = Router::new().route("/orgs/{org}/actions/runner-groups", get(groups));
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

async fn generate(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
    body: Bytes,
) -> Answer {
    let request: JitRequest = read(&body)?;
    shared.change(|world| {
        let scope = place.scope(world)?;
        world.authorize(&token, &scope, Needs::Runners(Access::Write))?;
        world.count_configuration(token.installation)?;
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
        Ok(answer(
            StatusCode::CREATED,
            &json!({ "runner": runner.json(false), "encoded_jit_config": files.encoded() }),
        ))
    })
}

async fn registration_token(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
) -> Answer {
    shared.note(|world| {
        let scope = place.scope(world)?;
        world.authorize(&token, &scope, Needs::Runners(Access::Write))?;
        let (token, expires_at) = world.issue_registration_token(scope);
        Ok(answer(
            StatusCode::CREATED,
            &json!({ "token": token, "expires_at": stamp(expires_at) }),
        ))
    })
}

async fn list(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
    OriginalUri(uri): OriginalUri,
) -> Answer {
    shared.read(|world| {
        let scope = place.scope(world)?;
        world.authorize(&token, &scope, Needs::Runners(Access::Read))?;
        let name = query(&uri, "name");
        let all: Vec<&RunnerEntry> = world
            .runners
            .values()
            .filter(|runner| runner.scope == scope)
            .filter(|runner| name.as_ref().is_none_or(|name| *name == runner.name))
            .collect();
        let paging = Paging::of(&uri);
        let shown: Vec<Value> = paging
            .cut(&all)
            .iter()
            .map(|runner| runner.json(world.settings.busy_unseen))
            .collect();
        Ok(paging.answer(
            &world.base,
            &uri,
            all.len(),
            &json!({ "total_count": all.len(), "runners": shown }),
        ))
    })
}

async fn show(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
) -> Answer {
    shared.read(|world| {
        let scope = place.scope(world)?;
        world.authorize(&token, &scope, Needs::Runners(Access::Read))?;
        let runner = world.runner_at(&place, &scope)?;
        Ok(answer(
            StatusCode::OK,
            &runner.json(world.settings.busy_unseen),
        ))
    })
}

async fn delete(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
) -> Answer {
    shared.change(|world| {
        let scope = place.scope(world)?;
        world.authorize(&token, &scope, Needs::Runners(Access::Write))?;
        let runner = world.runner_at(&place, &scope)?;
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

async fn groups(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path(place): Path<Place>,
    OriginalUri(uri): OriginalUri,
) -> Answer {
    shared.read(|world| {
        let scope = place.scope(world)?;
        world.authorize(&token, &scope, Needs::Runners(Access::Read))?;
        let account = world
            .directory
            .account(scope.login())
            .ok_or_else(Refusal::not_found)?;
        let visible_to =
            query(&uri, "visible_to_repository").map(|name| format!("{}/{name}", account.login));
        let all: Vec<_> = account
            .groups
            .iter()
            .filter(|(id, _)| {
                visible_to.as_ref().is_none_or(|name| {
                    let repository = world.directory.repository(name);
                    repository.is_some_and(|one| world.directory.serves(&scope, **id, one))
                })
            })
            .collect();
        let paging = Paging::of(&uri);
        let shown: Vec<Value> = paging
            .cut(&all)
            .iter()
            .map(|(id, group)| group.json(**id, &world.base, &account.login))
            .collect();
        Ok(paging.answer(
            &world.base,
            &uri,
            all.len(),
            &json!({ "total_count": all.len(), "runner_groups": shown }),
        ))
    })
}
