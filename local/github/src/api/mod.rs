//! GitHub's REST API, one file per resource.

use std::sync::Arc;

use axum::Router;

use crate::state::refusal::Refusal;
use crate::state::shared::Shared;

mod access_tokens;
mod app;
mod app_manifests;
mod checks;
mod deliveries;
mod installations;
mod jobs;
mod releases;
mod repositories;
mod runner_groups;
mod runners;
mod runs;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .merge(access_tokens::routes())
        .merge(app::routes())
        .merge(app_manifests::routes())
        .merge(checks::routes())
        .merge(deliveries::routes())
        .merge(installations::routes())
        .merge(jobs::routes())
        .merge(releases::routes())
        .merge(repositories::routes())
        .merge(runner_groups::routes())
        .merge(runners::routes())
        .merge(runs::routes())
        .fallback(|| async { Refusal::not_found() })
}
