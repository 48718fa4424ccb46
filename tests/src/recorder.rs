//! Stands between the handlers and GitHub and writes down what both say.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Far above anything that GitHub or we say.
const LARGEST: usize = 8 << 20;

/// A request and its answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    /// The request's method.
    pub method: String,
    /// Its path, with the query.
    pub path: String,
    /// Its `Accept` header.
    pub accept: String,
    /// Its body, if it is JSON.
    pub request: Value,
    /// The answer's status.
    pub status: u16,
    /// The answer's body, if it is JSON.
    pub response: Value,
}

/// A proxy on 127.0.0.1, serving until it is dropped.
#[derive(Debug)]
pub struct Recorder {
    /// Where it is.
    pub url: String,
    exchanges: Exchanges,
    serving: JoinHandle<()>,
}

type Exchanges = Arc<Mutex<Vec<Exchange>>>;

#[derive(Clone)]
struct Proxy {
    exchanges: Exchanges,
    http: reqwest::Client,
    behind: Arc<str>,
}

impl Recorder {
    /// Starts in front of the server at that address.
    pub async fn start(behind: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let exchanges = Exchanges::default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(io::Error::other)?;
        let proxy = Proxy {
            exchanges: exchanges.clone(),
            http,
            behind: behind.into(),
        };
        let router = Router::new().fallback(pass).with_state(proxy);
        let serving = tokio::spawn(async move {
            // It ends with the task; there is nobody to tell of an error on the way.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            url,
            exchanges,
            serving,
        })
    }

    /// What was said so far.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(proxy): State<Proxy>, request: Request) -> Response {
    match forward(&proxy, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

async fn forward(proxy: &Proxy, request: Request) -> anyhow::Result<Response> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST)
        .await
        .context("the request's body")?;
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let mut headers = parts.headers;
    headers.remove("host");
    headers.remove("content-length");
    let accept = headers
        .get("accept")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let answer = proxy
        .http
        .request(parts.method.clone(), format!("{}{path}", proxy.behind))
        .headers(headers)
        .body(body.clone())
        .send()
        .await
        .context("the server behind")?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let said = answer.bytes().await.context("the answer's body")?;
    proxy
        .exchanges
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Exchange {
            method: parts.method.to_string(),
            path,
            accept,
            request: json(&body),
            status: status.as_u16(),
            response: json(&said),
        });
    let mut response = Response::new(said.into());
    *response.status_mut() = status;
    for (name, value) in &headers {
        if !matches!(
            name.as_str(),
            "transfer-encoding" | "connection" | "content-length"
        ) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    Ok(response)
}

fn json(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap_or(Value::Null)
}
