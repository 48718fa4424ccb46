//! The App itself. Shape: <https://docs.github.com/rest/apps/apps>.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::json;

use crate::state::accounts::OwnerType;
use crate::state::app::CREATED;
use crate::state::shapes::account::account_json;
use crate::state::shared::Shared;
use crate::wire::answer::{Answer, ok};
use crate::wire::auth::AppCaller;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/app", get(app))
}

async fn app(_: AppCaller, State(shared): State<Arc<Shared>>) -> Answer {
    Ok(shared.read(|world| {
        let count = world.directory.installations().count();
        let owner = account_json(&world.base, "octocat", 1, OwnerType::User);
        ok(&json!({
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
