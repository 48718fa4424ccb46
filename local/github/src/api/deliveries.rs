//! The App's record of its webhooks.
//! Shapes: <https://docs.github.com/rest/apps/webhooks>.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::state::world::Shared;
use crate::wire::answer::{Answer, Refusal, json as answer, query, set_link, with_query};
use crate::wire::auth::AppCaller;

/// Whose webhook it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// The App's.
    App,
    /// A repository's.
    Repository,
    /// An organization's.
    Organization,
}

/// One delivery of a webhook, successful or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its number; a redelivery has its own.
    pub id: u64,
    /// `X-GitHub-Delivery`; a redelivery has the same.
    pub guid: String,
    /// When it was sent.
    pub delivered_at: String,
    /// Whether it was asked for.
    pub redelivery: bool,
    /// How long the receiver took, in seconds.
    pub duration: f64,
    /// `OK`, or what went wrong.
    pub status: String,
    /// The receiver's status; 502 without a connection, 504 after the time limit.
    pub status_code: u16,
    /// `workflow_job` or `ping`.
    pub event: String,
    /// `queued`, `waiting`, `in_progress` or `completed`.
    pub action: Option<String>,
    /// The installation that the payload names.
    pub installation_id: Option<u64>,
    /// The repository of the payload.
    pub repository_id: Option<u64>,
    /// Whose webhook it is.
    pub hook: Hook,
    /// The id of the App, the repository or the organization.
    pub hook_target: u64,
    /// The job it tells about.
    pub job: Option<u64>,
}

/// A delivery with what went over the wire. Apart, because a list of these is large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// The delivery.
    pub delivery: Delivery,
    /// What was sent with it.
    pub request_headers: BTreeMap<String, String>,
    /// The body, byte for byte.
    pub payload: String,
    /// What the receiver answered with.
    pub response_headers: BTreeMap<String, String>,
    /// What the receiver answered, the first part.
    pub response: String,
}

impl Delivery {
    /// Whether the receiver took it.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status_code)
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "guid": self.guid,
            "delivered_at": self.delivered_at,
            "redelivery": self.redelivery,
            "duration": self.duration,
            "status": self.status,
            "status_code": self.status_code,
            "event": self.event,
            "action": self.action,
            "installation_id": self.installation_id,
            "repository_id": self.repository_id,
            "throttled_at": null,
        })
    }
}

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
            .ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "Invalid cursor"))?,
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
        let body: Vec<Value> = shown.iter().map(|delivery| delivery.json()).collect();
        let mut response = answer(StatusCode::OK, &Value::from(body));
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
        let mut shown = exchange.delivery.json();
        let payload: Value = serde_json::from_str(&exchange.payload).unwrap_or_default();
        let url = world.webhook.as_ref().map(|webhook| webhook.url.clone());
        shown["url"] = Value::from(url);
        shown["request"] = json!({ "headers": exchange.request_headers, "payload": payload });
        shown["response"] =
            json!({ "headers": exchange.response_headers, "payload": exchange.response });
        Ok(answer(StatusCode::OK, &shown))
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
