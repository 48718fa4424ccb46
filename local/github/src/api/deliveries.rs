//! The App's record of its webhooks.
//! Shapes: <https://docs.github.com/rest/apps/webhooks>.

use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::state::delivery::{Delivery, Hook};
use crate::state::refusal::Refusal;
use crate::state::shared::Shared;
use crate::wire::answer::{Answer, json as answer, ok, query, set_link, with_query};
use crate::wire::auth::AppCaller;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/app/hook/deliveries", get(list))
        .route("/app/hook/deliveries/{delivery_id}", get(show))
        .route(
            "/app/hook/deliveries/{delivery_id}/attempts",
            post(redeliver),
        )
}

/// Newest first. The cursor is opaque to callers; here it holds the number to go on below.
async fn list(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    OriginalUri(uri): OriginalUri,
) -> Answer {
    let per_page = query(&uri, "per_page")
        .and_then(|text| text.parse::<usize>().ok())
        .unwrap_or(30)
        .clamp(1, 100);
    let below = match query(&uri, "cursor") {
        None => u64::MAX,
        Some(cursor) => cursor
            .strip_prefix("v1_")
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Refusal::new(400, "Invalid cursor"))?,
    };
    let wanted = query(&uri, "status");
    Ok(shared.read(|world| {
        let mut rest = world
            .deliveries
            .range(..below)
            .rev()
            .map(|(_, exchange)| &exchange.delivery)
            .filter(|delivery| delivery.hook == Hook::App)
            .filter(|delivery| match wanted.as_deref() {
                Some("success") => delivery.succeeded(),
                Some("failure") => !delivery.succeeded(),
                _ => true,
            })
            .peekable();
        let shown: Vec<&Delivery> = rest.by_ref().take(per_page).collect();
        let last = shown.last().map_or(0, |delivery| delivery.id);
        let body: Vec<Value> = shown
            .iter()
            .map(|delivery| delivery_json(delivery))
            .collect();
        let mut response = ok(&Value::from(body));
        if rest.peek().is_some() {
            let next = with_query(&world.base, &uri, &[("cursor", &format!("v1_{last}"))]);
            set_link(response.headers_mut(), &[format!("<{next}>; rel=\"next\"")]);
        }
        response
    }))
}

async fn show(_: AppCaller, State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    shared.read(|world| {
        let exchange = id
            .parse()
            .ok()
            .and_then(|id: u64| world.deliveries.get(&id))
            .filter(|exchange| exchange.delivery.hook == Hook::App)
            .ok_or_else(Refusal::not_found)?;
        let mut shown = delivery_json(&exchange.delivery);
        let payload: Value = serde_json::from_str(&exchange.payload).unwrap_or_default();
        let url = world.webhook.as_ref().map(|webhook| webhook.url.clone());
        shown["url"] = Value::from(url);
        shown["request"] = json!({ "headers": exchange.request_headers, "payload": payload });
        shown["response"] =
            json!({ "headers": exchange.response_headers, "payload": exchange.response });
        Ok(ok(&shown))
    })
}

async fn redeliver(
    _: AppCaller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Answer {
    let sent = shared.change(|world| {
        let known = id.parse().ok().filter(|id| {
            let exchange = world.deliveries.get(id);
            exchange.is_some_and(|exchange| exchange.delivery.hook == Hook::App)
        });
        known.is_some_and(|id| world.redeliver(id))
    });
    if sent {
        Ok(answer(StatusCode::ACCEPTED, &json!({})))
    } else {
        Err(Refusal::not_found())
    }
}

fn delivery_json(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": delivery.delivered_at,
        "redelivery": delivery.redelivery,
        "duration": delivery.duration,
        "status": delivery.status,
        "status_code": delivery.status_code,
        "event": delivery.event,
        "action": delivery.action,
        "installation_id": delivery.installation_id,
        "repository_id": delivery.repository_id,
        "throttled_at": null,
    })
}
