//! The two pages of GitHub's that making an App needs: one confirms a manifest, the other installs
//! the App. Whoever opens them is signed in as anybody.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use crate::state::manifest::Manifest;
use crate::state::shared::Shared;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/settings/apps/new", post(ask_person))
        .route(
            "/organizations/{org}/settings/apps/new",
            post(ask_organization),
        )
        .route("/settings/apps/confirm", post(confirm))
        .route(
            "/apps/{app_slug}/installations/new",
            get(choose).post(install),
        )
}

/// The person who is signed in.
const PERSON: &str = "octocat";

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
struct Posted {
    manifest: String,
}

async fn ask_person(Query(asked): Query<Asked>, Form(posted): Form<Posted>) -> Response {
    ask(PERSON, &asked.state, &posted.manifest)
}

async fn ask_organization(
    Path(org): Path<String>,
    Query(asked): Query<Asked>,
    Form(posted): Form<Posted>,
) -> Response {
    ask(&org, &asked.state, &posted.manifest)
}

/// Asks for the App's name and the owner's confirmation.
fn ask(owner: &str, state: &str, text: &str) -> Response {
    let manifest = match Manifest::read(text) {
        Ok(manifest) => manifest,
        Err(problem) => return invalid(&problem),
    };
    let name = manifest.name.unwrap_or_default();
    let permissions = manifest.default_permissions.iter();
    let permissions: Vec<_> = permissions
        .map(|(name, level)| format!("<li>{}: {level:?}</li>", escaped(name)))
        .collect();
    let permissions = permissions.concat();
    page(
        StatusCode::OK,
        &format!(
            "<h1>Create GitHub App for {owner}</h1><ul>{permissions}</ul>\
             <form method=post action=/settings/apps/confirm>\
             <input type=hidden name=owner value=\"{owner}\">\
             <input type=hidden name=state value=\"{state}\">\
             <input type=hidden name=manifest value=\"{manifest}\">\
             <label>GitHub App name <input name=name value=\"{name}\"></label> \
             <button id=create>Create GitHub App for {owner}</button></form>",
            owner = escaped(owner),
            state = escaped(state),
            manifest = escaped(text),
            name = escaped(&name),
        ),
    )
}

#[derive(Deserialize)]
struct Confirmation {
    owner: String,
    state: String,
    manifest: String,
    name: String,
}

async fn confirm(State(shared): State<Arc<Shared>>, Form(form): Form<Confirmation>) -> Response {
    let made = Manifest::read(&form.manifest).and_then(|manifest| {
        let redirect = manifest.redirect_url.clone();
        let code = shared.note(|world| world.confirm(manifest, &form.owner, &form.name))?;
        Ok((redirect, code))
    });
    match made {
        Ok((redirect, code)) => {
            let mark = if redirect.contains('?') { '&' } else { '?' };
            let to = format!("{redirect}{mark}code={code}&state={}", form.state);
            (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
        }
        Err(problem) => invalid(&problem),
    }
}

/// Asks where to install the App. A private one is for its owner alone.
async fn choose(State(shared): State<Arc<Shared>>, Path(slug): Path<String>) -> Response {
    let choices: Option<Vec<String>> = shared.read(|world| {
        let known = world.app.slug == slug;
        known.then(|| {
            world
                .directory
                .accounts()
                .filter(|account| {
                    world.app.public || account.login.eq_ignore_ascii_case(&world.app.owner)
                })
                .map(|account| {
                    let login = escaped(&account.login);
                    format!("<form method=post><button name=account value=\"{login}\">Install on {login}</button></form>")
                })
                .collect()
        })
    });
    match choices {
        Some(choices) => {
            let choices = choices.concat();
            page(
                StatusCode::OK,
                &format!("<h1>Install {}</h1>{choices}", escaped(&slug)),
            )
        }
        None => page(StatusCode::NOT_FOUND, "<h1>Not Found</h1>"),
    }
}

#[derive(Deserialize)]
struct Install {
    account: String,
}

async fn install(
    State(shared): State<Arc<Shared>>,
    Path(_slug): Path<String>,
    Form(form): Form<Install>,
) -> Response {
    match shared.change(|world| world.directory.install(&form.account)) {
        Some(_) => page(StatusCode::OK, "<h1>Okay, the App was installed</h1>"),
        None => page(StatusCode::NOT_FOUND, "<h1>Not Found</h1>"),
    }
}

fn invalid(problem: &str) -> Response {
    page(
        StatusCode::UNPROCESSABLE_ENTITY,
        &format!(
            "<h1>Invalid GitHub App configuration</h1><p>{}</p>",
            escaped(problem)
        ),
    )
}

fn page(status: StatusCode, body: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>GitHub (stand-in)</title><link rel=icon href=\"data:,\">\
         <body style=\"font-family:sans-serif;max-width:40rem;margin:3rem auto\">{body}</body></html>"
    );
    (status, Html(text)).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
