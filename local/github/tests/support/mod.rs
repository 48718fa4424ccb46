//! What the tests share: an App that speaks with the stand-in, and a webhook's receiver.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    unreachable_pub
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use github_standin::{APP_PRIVATE_KEY, Config, Job, NewJob, OwnerType, Server, WebhookTarget};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Longer than anything takes here, shorter than anybody waits.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const ORGANIZATION: &str = "/orgs/octo/actions/runners";
pub const REPOSITORY: &str = "/repos/octo/hello/actions/runners";

/// A stand-in with `octo/hello` and `octo/other` of an organization and `mona/own` of a person.
pub async fn server() -> Server {
    let server = Server::start(Config::default()).await.unwrap();
    for (name, kind) in [
        ("octo/hello", OwnerType::Organization),
        ("octo/other", OwnerType::Organization),
        ("mona/own", OwnerType::User),
    ] {
        server.add_repository(name, kind, true).unwrap();
    }
    server
}

pub fn jwt(claims: &Value) -> String {
    let body: String = APP_PRIVATE_KEY
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let pair = RsaKeyPair::from_der(&STANDARD.decode(body).unwrap()).unwrap();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "RS256", "typ": "JWT" });
    let unsigned = format!("{}.{}", encode(&header), encode(claims));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        unsigned.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub fn app_token() -> String {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    jwt(&json!({ "iss": 1234, "iat": now - 60, "exp": now + 300 }))
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Reply {
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Calls the stand-in; an error is a connection that was cut.
pub async fn try_call(
    server: &Server,
    token: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Reply, reqwest::Error> {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .request(method, format!("{}{path}", server.url()));
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    Ok(Reply {
        status,
        headers,
        body: serde_json::from_str(&text).unwrap_or_default(),
    })
}

pub async fn call(
    server: &Server,
    token: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Reply {
    try_call(server, token, method, path, body).await.unwrap()
}

pub async fn get(server: &Server, token: &str, path: &str) -> Reply {
    call(server, token, "GET", path, None).await
}

/// A token of the App's installation on `login`.
pub async fn token(server: &Server, login: &str) -> String {
    let id = server.installation(login).unwrap();
    let path = format!("/app/installations/{id}/access_tokens");
    let reply = call(server, &app_token(), "POST", &path, None).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.body["token"].as_str().unwrap().to_owned()
}

pub fn runner(name: &str, labels: &[&str]) -> Value {
    json!({ "name": name, "runner_group_id": 1, "labels": labels, "work_folder": "_work" })
}

/// Registers a runner: its number and its configuration.
pub async fn register(server: &Server, base: &str, name: &str, labels: &[&str]) -> (u64, String) {
    let token = token(server, "octo").await;
    let path = format!("{base}/generate-jitconfig");
    let reply = call(server, &token, "POST", &path, Some(&runner(name, labels))).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    (
        reply.body["runner"]["id"].as_u64().unwrap(),
        reply.body["encoded_jit_config"]
            .as_str()
            .unwrap()
            .to_owned(),
    )
}

pub fn new_job(repository: &str, labels: &[&str]) -> NewJob {
    NewJob {
        repository: repository.to_owned(),
        labels: labels.iter().map(ToString::to_string).collect(),
        ..NewJob::default()
    }
}

pub fn job(server: &Server, repository: &str, labels: &[&str]) -> Job {
    server.create_job(new_job(repository, labels)).unwrap()
}

/// One webhook as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub headers: HeaderMap,
    pub raw: Bytes,
    pub body: Value,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn action(&self) -> &str {
        self.body["action"].as_str().unwrap_or_default()
    }
}

/// Takes webhooks and answers all of them with one status.
pub struct Receiver {
    pub url: String,
    received: watch::Receiver<Vec<Received>>,
    status: Arc<Mutex<u16>>,
}

type Inbox = (Arc<watch::Sender<Vec<Received>>>, Arc<Mutex<u16>>);

impl Receiver {
    /// Starts, and has the stand-in send there.
    pub async fn of(server: &Server) -> Self {
        let receiver = Self::start().await;
        server.set_webhook(Some(receiver.target()));
        receiver
    }

    /// Starts, and has the stand-in send organizations' webhooks there.
    pub async fn of_organizations(server: &Server) -> Self {
        let receiver = Self::start().await;
        server.set_organization_webhook(Some(receiver.target()));
        receiver
    }

    fn target(&self) -> WebhookTarget {
        WebhookTarget {
            url: self.url.clone(),
            host: Some("abc.lambda-url.us-east-1.on.aws".to_owned()),
        }
    }

    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (sender, received) = watch::channel(Vec::new());
        let status = Arc::new(Mutex::new(200));
        let router = Router::new()
            .fallback(receive)
            .with_state((Arc::new(sender), status.clone()));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self {
            url,
            received,
            status,
        }
    }

    pub fn answer(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    pub async fn wait(&mut self, count: usize) -> Vec<Received> {
        let arrived = self.received.wait_for(|all| all.len() >= count);
        tokio::time::timeout(PATIENCE, arrived)
            .await
            .expect("not as many webhooks arrived")
            .unwrap()
            .clone()
    }

    pub fn so_far(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }
}

async fn receive(
    State((inbox, status)): State<Inbox>,
    headers: HeaderMap,
    raw: Bytes,
) -> StatusCode {
    let body = serde_json::from_slice(&raw).unwrap();
    inbox.send_modify(|all| all.push(Received { headers, raw, body }));
    StatusCode::from_u16(*status.lock().unwrap()).unwrap()
}
