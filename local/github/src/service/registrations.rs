//! Registration by `config.sh`: a token for an hour, and any number of runners with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::api::runners::Registration;
use crate::random;
use crate::service::sessions::Notice;
use crate::state::directory::Scope;
use crate::state::world::{Shared, World};
use crate::wire::answer::{Answer, Refusal, json as answer, read};

/// How long GitHub's registration tokens are valid.
const LIFETIME: Duration = Duration::HOUR;

/// Token → where it registers runners, and until when.
pub(crate) type RegistrationTokens = BTreeMap<String, (Scope, OffsetDateTime)>;

#[derive(Debug, Deserialize)]
struct Request {
    token: String,
    url: String,
    name: String,
    labels: Vec<String>,
    group: Option<String>,
    work_folder: String,
    ephemeral: bool,
    replace: bool,
}

impl World {
    pub(crate) fn issue_registration_token(&mut self, scope: Scope) -> (String, OffsetDateTime) {
        let token = random::alphanumeric(29).to_uppercase();
        let expires_at = self.now() + LIFETIME;
        self.registration_tokens
            .insert(token.clone(), (scope, expires_at));
        (token, expires_at)
    }

    fn configure(&mut self, request: Request) -> Answer {
        let scope = self
            .registration_tokens
            .get(&request.token)
            .filter(|(scope, expires_at)| {
                let place = request.url.trim_end_matches('/').to_lowercase();
                *expires_at > self.now()
                    && place.ends_with(&format!("/{}", scope.as_str().to_lowercase()))
            })
            .map(|(scope, _)| scope.clone())
            .ok_or_else(Refusal::not_found)?;
        let group = request.group.as_deref().unwrap_or("Default");
        let group_id = self.group_id(&scope, group).ok_or_else(|| {
            Refusal::invalid(format!(
                "Could not find any self-hosted runner group named \"{group}\"."
            ))
        })?;
        if let Some(known) = self.runner_named(&scope, &request.name) {
            if !request.replace || known.job.is_some() {
                return Err(Refusal::new(
                    StatusCode::CONFLICT,
                    format!("A runner exists with the same name {}.", request.name),
                ));
            }
            let id = known.id;
            self.remove_runner(id, Notice::Deleted);
        }
        let registration = Registration {
            name: request.name,
            group_id,
            labels: request.labels,
            ephemeral: request.ephemeral,
        };
        let id = self.register(&scope, registration)?;
        let runner = self.runners.get(&id).ok_or_else(Refusal::not_found)?;
        let files = self.registration_files(runner, group, &request.work_folder);
        Ok(answer(StatusCode::CREATED, &json!(files.contents())))
    }

    fn group_id(&self, scope: &Scope, name: &str) -> Option<u64> {
        match scope {
            Scope::Repository(_) => name.eq_ignore_ascii_case("Default").then_some(1),
            Scope::Organization(login) => self
                .directory
                .account(login)?
                .groups
                .iter()
                .find(|(_, group)| group.name.eq_ignore_ascii_case(name))
                .map(|(id, _)| *id),
        }
    }
}

/// `POST /_runner/registrations`: what `config.sh` does at GitHub.
pub(crate) async fn configure(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let request: Request = read(&body)?;
    shared.change(|world| world.configure(request))
}
