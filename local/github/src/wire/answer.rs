//! Answers in GitHub's shape.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

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

/// 204.
pub(crate) fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// A refusal: GitHub's `message`, `documentation_url`, `status`, and for validations `errors`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) errors: Vec<Value>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Resource not accessible by integration",
        )
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = Map::new();
        body.insert("message".to_owned(), Value::from(self.message));
        if !self.errors.is_empty() {
            body.insert("errors".to_owned(), Value::from(self.errors));
        }
        body.insert(
            "documentation_url".to_owned(),
            Value::from("https://docs.github.com/rest"),
        );
        body.insert(
            "status".to_owned(),
            Value::from(self.status.as_u16().to_string()),
        );
        let mut response = json(self.status, &Value::Object(body));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// A request's JSON. GitHub tells apart what is no JSON (400) and what is not the JSON it expects.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let value: Value = if body.is_empty() {
        json!({})
    } else {
        serde_json::from_slice(body)
            .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "Problems parsing JSON"))?
    };
    serde_json::from_value(value)
        .map_err(|error| Refusal::invalid(format!("Invalid request.\n\n{error}")))
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paging {
    page: usize,
    per_page: usize,
}

impl Paging {
    /// `page` counts from 1; `per_page` is 30 unless told, and 100 at most.
    pub(crate) fn of(uri: &Uri) -> Self {
        let number = |name| query(uri, name).and_then(|text| text.parse::<usize>().ok());
        Self {
            page: number("page").unwrap_or(1).max(1),
            per_page: number("per_page").unwrap_or(30).clamp(1, 100),
        }
    }

    /// That part of `items`.
    pub(crate) fn cut<'a, T>(&self, items: &'a [T]) -> &'a [T] {
        let start = (self.page - 1)
            .saturating_mul(self.per_page)
            .min(items.len());
        let end = start.saturating_add(self.per_page).min(items.len());
        &items[start..end]
    }

    /// The answer with its `Link` header.
    pub(crate) fn answer(&self, base: &str, uri: &Uri, total: usize, body: &Value) -> Response {
        let mut response = json(StatusCode::OK, body);
        let last = total.div_ceil(self.per_page).max(1);
        let mut links = Vec::new();
        let mut link = |page: usize, relation: &str| {
            let address = with_query(base, uri, &[("page", &page.to_string())]);
            links.push(format!("<{address}>; rel=\"{relation}\""));
        };
        if self.page > 1 {
            link(self.page - 1, "prev");
        }
        if self.page < last {
            link(self.page + 1, "next");
            link(last, "last");
        }
        if self.page > 1 {
            link(1, "first");
        }
        set_link(response.headers_mut(), &links);
        response
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_into_pages_that_link_to_each_other() {
        let uri: Uri = "/orgs/o/actions/runners?per_page=2&page=2".parse().unwrap();
        let paging = Paging::of(&uri);
        assert_eq!(paging.cut(&[1, 2, 3, 4, 5]), [3, 4]);
        let response = paging.answer("http://h", &uri, 5, &json!({}));
        let link = response.headers()[header::LINK].to_str().unwrap();
        assert!(link.contains("<http://h/orgs/o/actions/runners?per_page=2&page=3>; rel=\"next\""));
        assert!(link.contains("page=3>; rel=\"last\""));
        assert!(link.contains("page=1>; rel=\"prev\""));
    }

    #[test]
    fn a_page_beyond_the_end_is_empty() {
        let uri: Uri = "/x?page=9".parse().unwrap();
        assert!(Paging::of(&uri).cut(&[1, 2]).is_empty());
    }

    #[test]
    fn a_list_on_one_page_has_no_link() {
        let uri: Uri = "/x".parse().unwrap();
        let response = Paging::of(&uri).answer("http://h", &uri, 3, &json!({}));
        assert!(!response.headers().contains_key(header::LINK));
    }
}
