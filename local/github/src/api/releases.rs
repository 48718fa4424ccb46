//! The releases of `actions/runner`.
//! Shape: <https://docs.github.com/rest/releases/releases#list-releases>.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use crate::state::refusal::Refusal;
use crate::state::shared::Shared;
use crate::wire::answer::{Answer, ok};
use crate::wire::call::Call;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/repos/actions/runner/releases", get(list))
}

/// Public, but only asked for with a token.
async fn list(_: Call, State(shared): State<Arc<Shared>>) -> Answer {
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
        Ok(ok(&Value::Array(shown)))
    })
}
