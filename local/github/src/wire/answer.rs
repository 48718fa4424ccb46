//! Answers in GitHub's shape.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::state::refusal::{Refusal, Rejected};

/// What a route gives back.
pub(crate) type Answer = Result<Response, Refusal>;

/// JSON with a status.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json; charset=utf-8")],
        body.to_string(),
    )
        .into_response()
}

/// 200.
pub(crate) fn ok(body: &Value) -> Response {
    json(StatusCode::OK, body)
}

/// 201.
pub(crate) fn created(body: &Value) -> Response {
    json(StatusCode::CREATED, body)
}

/// 204.
pub(crate) fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// GitHub's `message`, `documentation_url` and `status`.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "message": self.message,
            "documentation_url": "https://docs.github.com/rest",
            "status": self.status.to_string(),
        });
        let mut response = json(status(self.status), &body);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl IntoResponse for Rejected {
    fn into_response(self) -> Response {
        json(status(self.status), &json!({ "message": self.message }))
    }
}

/// The status of that number; 500 for a number that is none.
pub(crate) fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A request's JSON. GitHub tells apart what is no JSON (400) and what is not the JSON it expects.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let value: Value = if body.is_empty() {
        json!({})
    } else {
        serde_json::from_slice(body).map_err(|_| Refusal::new(400, "Problems parsing JSON"))?
    };
    serde_json::from_value(value)
        .map_err(|error| Refusal::invalid(format!("Invalid request.\n\n{error}")))
}

pub(crate) fn set_link(headers: &mut HeaderMap, links: &[String]) {
    if !links.is_empty()
        && let Ok(value) = HeaderValue::from_str(&links.join(", "))
    {
        headers.insert(header::LINK, value);
    }
}

/// The request's own address with some of its parameters replaced.
pub(crate) fn with_query(base: &str, uri: &Uri, replaced: &[(&str, &str)]) -> String {
    let kept = uri.query().unwrap_or_default().split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && replaced.iter().all(|(other, _)| *other != name)
    });
    let pairs: Vec<String> = kept
        .map(str::to_owned)
        .chain(
            replaced
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        )
        .collect();
    format!("{base}{}?{}", uri.path(), pairs.join("&"))
}

/// A parameter of the query, decoded.
pub(crate) fn query(uri: &Uri, name: &str) -> Option<String> {
    axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
        .ok()?
        .0
        .into_iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}
