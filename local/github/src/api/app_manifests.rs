//! The exchange of a code for the App that a manifest made:
//! <https://docs.github.com/rest/apps/apps#create-a-github-app-from-a-manifest>.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;

use crate::api::app::app_json;
use crate::random;
use crate::state::app::APP_PRIVATE_KEY;
use crate::state::shared::Shared;
use crate::wire::answer::{Answer, created};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/app-manifests/{code}/conversions", post(convert))
}

/// Whoever has the code may: there is no token yet.
async fn convert(State(shared): State<Arc<Shared>>, Path(code): Path<String>) -> Answer {
    shared.change(|world| {
        world.convert(&code)?;
        let mut shown = app_json(world);
        shown["client_secret"] = random::alphanumeric(40).to_lowercase().into();
        shown["webhook_secret"] = world.webhook_secret.clone().into();
        shown["pem"] = APP_PRIVATE_KEY.into();
        Ok(created(&shown))
    })
}
