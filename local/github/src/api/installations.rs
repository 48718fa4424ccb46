//! What an App may ask as itself.
//! Shapes: <https://docs.github.com/rest/apps/apps>, <https://docs.github.com/rest/apps/installations>.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::stamp;
use crate::state::directory::{Access, Installation, OwnerType, Repository, account_json};
use crate::state::payload::{full_repository_json, repository_json};
use crate::state::world::{Shared, World};
use crate::wire::answer::{Answer, Paging, Refusal, json as answer, read};
use crate::wire::auth::{AppCaller, InstallationCaller, Needs, Token};

/// When the App and its installations were made, for answers that must say so.
const CREATED: &str = "2026-01-01T00:00:00Z";

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/app", get(app))
        .route("/app/installations", get(installations))
        .route("/app/installations/{installation_id}", get(installation))
        .route(
            "/app/installations/{installation_id}/access_tokens",
            post(access_token),
        )
        .route("/repos/{owner}/{repo}", get(repository))
        .route(
            "/repos/{owner}/{repo}/installation",
            get(repository_installation),
        )
        .route("/orgs/{org}/installation", get(organization_installation))
        .route("/users/{username}/installation", get(user_installation))
        .route("/installation/repositories", get(repositories))
}

async fn app(_: AppCaller, State(shared): State<Arc<Shared>>) -> Answer {
    Ok(shared.read(|world| {
        let count = world.directory.installations().count();
        let owner = account_json(&world.base, "octocat", 1, OwnerType::User);
        answer(
            StatusCode::OK,
            &json!({
                "id": world.app.id,
                "slug": world.app.slug,
                "node_id": format!("A_{}", world.app.id),
                "client_id": world.app.client_id,
                "owner": owner,
                "name": world.app.slug,
                "description": "",
                "external_url": "https://example.com",
                "html_url": format!("{}/apps/{}", world.base, world.app.slug),
                "created_at": CREATED,
                "updated_at": CREATED,
                "permissions": { "actions": "read", "administration": "write", "metadata": "read", "organization_self_hosted_runners": "write" },
                "events": ["workflow_job"],
                "installations_count": count,
            }),
        )
    }))
}

async fn installations(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    OriginalUri(uri): OriginalUri,
) -> Answer {
    Ok(shared.read(|world| {
        let all: Vec<_> = world.directory.installations().collect();
        let paging = Paging::of(&uri);
        let shown: Vec<Value> = paging
            .cut(&all)
            .iter()
            .map(|installation| world.installation_json(installation))
            .collect();
        paging.answer(&world.base, &uri, all.len(), &Value::from(shown))
    }))
}

async fn installation(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Answer {
    shared.read(|world| {
        let id = id.parse().map_err(|_| Refusal::not_found())?;
        world.show_installation(world.directory.installation(id))
    })
}

/// Every installation may look at what it reaches. Shape:
/// <https://docs.github.com/rest/repos/repos#get-a-repository>.
async fn repository(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    Path((owner, name)): Path<(String, String)>,
) -> Answer {
    shared.read(|world| {
        let scope = world.directory.scope(&owner, Some(&name))?;
        world.authorize(&token, &scope, Needs::Nothing)?;
        let repository = world.directory.repository(scope.as_str());
        let repository = repository.ok_or_else(Refusal::not_found)?;
        Ok(answer(
            StatusCode::OK,
            &full_repository_json(world, repository),
        ))
    })
}

async fn repository_installation(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    Path((owner, name)): Path<(String, String)>,
) -> Answer {
    shared.read(|world| {
        let repository = world.directory.repository(&format!("{owner}/{name}"));
        let seen = repository.filter(|repository| !world.is_hidden(&repository.full_name()));
        let installation = seen.and_then(|repository| {
            let found = world.directory.installation_of(&repository.owner)?;
            found.includes(&repository.full_name()).then_some(found)
        });
        world.show_installation(installation)
    })
}

async fn organization_installation(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    Path(login): Path<String>,
) -> Answer {
    shared.read(|world| world.show_account_installation(&login, OwnerType::Organization))
}

async fn user_installation(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    Path(login): Path<String>,
) -> Answer {
    shared.read(|world| world.show_account_installation(&login, OwnerType::User))
}

#[derive(Debug, Deserialize)]
struct TokenRequest {
    repositories: Option<Vec<String>>,
    repository_ids: Option<Vec<u64>>,
    permissions: Option<BTreeMap<String, Access>>,
}

async fn access_token(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let request: TokenRequest = read(&body)?;
    shared.note(|world| {
        let installation = id
            .parse()
            .ok()
            .and_then(|id| world.directory.installation(id))
            .cloned()
            .ok_or_else(Refusal::not_found)?;
        if installation.suspended {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "This installation has been suspended",
            ));
        }
        let permissions = World::granted(&installation, request.permissions)?;
        let repositories = world.reached(
            &installation,
            request.repositories.as_deref(),
            request.repository_ids.as_deref(),
        )?;
        let selection = if repositories.is_some() {
            "selected"
        } else {
            "all"
        };
        let expires_at = world.token_expiry();
        let token = world.tokens.issue(Token {
            installation: installation.id,
            expires_at,
            permissions: permissions.clone(),
            repositories,
        });
        Ok(answer(
            StatusCode::CREATED,
            &json!({
                "token": token,
                "expires_at": stamp(expires_at),
                "permissions": permissions,
                "repository_selection": selection,
            }),
        ))
    })
}

async fn repositories(
    InstallationCaller(token): InstallationCaller,
    State(shared): State<Arc<Shared>>,
    OriginalUri(uri): OriginalUri,
) -> Answer {
    Ok(shared.read(|world| {
        let installation = world.directory.installation(token.installation);
        let login = installation
            .map(|installation| installation.login.clone())
            .unwrap_or_default();
        let includes = |name: &str| installation.is_some_and(|one| one.includes(name));
        let reached = |repository: &&Repository| {
            let name = repository.full_name().to_lowercase();
            let all = token.repositories.as_ref();
            repository.owner.eq_ignore_ascii_case(&login)
                && includes(&name)
                && all.is_none_or(|reached| reached.contains(&name))
        };
        let all: Vec<_> = world.directory.repositories().filter(reached).collect();
        let paging = Paging::of(&uri);
        let shown: Vec<Value> = paging
            .cut(&all)
            .iter()
            .map(|repository| repository_json(world, repository))
            .collect();
        let selection = if token.repositories.is_some() { "selected" } else { "all" };
        paging.answer(
            &world.base,
            &uri,
            all.len(),
            &json!({ "total_count": all.len(), "repository_selection": selection, "repositories": shown }),
        )
    }))
}

impl World {
    fn show_account_installation(&self, login: &str, kind: OwnerType) -> Answer {
        let found = self.directory.installation_of(login);
        self.show_installation(found.filter(|installation| installation.kind == kind))
    }

    fn show_installation(&self, installation: Option<&Installation>) -> Answer {
        let installation = installation.ok_or_else(Refusal::not_found)?;
        Ok(answer(
            StatusCode::OK,
            &self.installation_json(installation),
        ))
    }

    fn installation_json(&self, installation: &Installation) -> Value {
        let id = installation.id;
        let account = account_json(
            &self.base,
            &installation.login,
            installation.account_id,
            installation.kind,
        );
        json!({
            "id": id,
            "account": account,
            "repository_selection": if installation.excluded.is_empty() { "all" } else { "selected" },
            "access_tokens_url": format!("{}/app/installations/{id}/access_tokens", self.base),
            "repositories_url": format!("{}/installation/repositories", self.base),
            "html_url": format!("{}/settings/installations/{id}", self.base),
            "app_id": self.app.id,
            "client_id": self.app.client_id,
            "app_slug": self.app.slug,
            "target_id": installation.account_id,
            "target_type": installation.kind,
            "permissions": installation.permissions,
            "events": ["workflow_job"],
            "created_at": CREATED,
            "updated_at": CREATED,
            "single_file_name": null,
            "has_multiple_single_files": false,
            "single_file_paths": [],
            "suspended_by": null,
            "suspended_at": if installation.suspended { Some(CREATED) } else { None },
        })
    }

    /// A token may have less than the installation, never more.
    fn granted(
        installation: &Installation,
        wanted: Option<BTreeMap<String, Access>>,
    ) -> Result<BTreeMap<String, Access>, Refusal> {
        let Some(wanted) = wanted else {
            return Ok(installation.permissions.clone());
        };
        let within = wanted.iter().all(|(name, access)| {
            installation
                .permissions
                .get(name)
                .is_some_and(|granted| granted >= access)
        });
        if within {
            Ok(wanted)
        } else {
            Err(Refusal::invalid(
                "The permissions requested are not granted to this installation.",
            ))
        }
    }

    fn reached(
        &self,
        installation: &Installation,
        names: Option<&[String]>,
        ids: Option<&[u64]>,
    ) -> Result<Option<BTreeSet<String>>, Refusal> {
        if names.is_none() && ids.is_none() {
            return Ok(None);
        }
        let (names, ids) = (names.unwrap_or_default(), ids.unwrap_or_default());
        let wanted = |repository: &&Repository| {
            names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&repository.name))
                || ids.contains(&repository.id)
        };
        let found: BTreeSet<String> = self
            .directory
            .repositories()
            .filter(|repository| repository.owner.eq_ignore_ascii_case(&installation.login))
            .filter(wanted)
            .map(|repository| repository.full_name().to_lowercase())
            .collect();
        if found.len() < names.len().max(ids.len()) {
            return Err(Refusal::invalid(
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            ));
        }
        Ok(Some(found))
    }
}
