//! The listener's client for the GitHub stand-in.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::VERSION;
use crate::home::Settings;

/// Longer than the stand-in's long poll.
const POLL_LIMIT: Duration = Duration::from_secs(50);
const CALL_LIMIT: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub(crate) struct GitHub {
    http: reqwest::Client,
    server: String,
}

/// A job message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) run: String,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) repository: String,
    pub(crate) workflow: String,
    pub(crate) run_id: u64,
    pub(crate) run_attempt: u64,
    pub(crate) server_url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", content = "job", rename_all = "lowercase")]
pub(crate) enum Message {
    Job(u64),
    Cancel(u64),
    Update(Option<u64>),
}

/// The listener's status in its poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Idle,
    Busy,
    Ending,
}

impl Doing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Ending => "ending",
        }
    }
}

/// Misbehaviour that the stand-in requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    #[default]
    None,
    /// Stays after its job, and ignores signals.
    HangsAfterJob,
    /// Reports that it runs its job and then goes silent; ignores signals.
    SilentInJob,
    /// Gets a job that is gone ([source](https://github.com/actions/runner/pull/4540)).
    RequestGone,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Opened {
    pub(crate) session: String,
    #[serde(default)]
    pub(crate) fault: Fault,
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The registration or its token is invalid or revoked.
    Revoked,
    /// GitHub does not know the runner.
    NotFound(String),
    /// The version is too old, with the server's message.
    Deprecated(String),
    /// Another listener has the session.
    Conflict,
    /// A retry may help.
    Transient(String),
}

/// Like the runner, it reads the proxy from its variables in lower case. The stand-in is reached by plain
/// HTTP. Unlike the runner, it goes straight only to what `no_proxy` lists, and not to all of 127.0.0.0/8.
fn client() -> reqwest::Result<reqwest::Client> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut client = reqwest::Client::builder().no_proxy();
    if let Some(proxy) = set("http_proxy") {
        let except = reqwest::NoProxy::from_string(&set("no_proxy").unwrap_or_default());
        client = client.proxy(reqwest::Proxy::http(proxy)?.no_proxy(except));
    }
    client.build()
}

impl GitHub {
    pub(crate) fn new(server: &str) -> reqwest::Result<Self> {
        Ok(Self {
            http: client()?,
            server: server.trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) async fn open(&self, settings: &Settings) -> Result<Opened, Trouble> {
        let body = json!({
            "client_id": settings.client_id,
            "secret": settings.secret,
            "version": VERSION,
        });
        self.call("sessions", &body).await
    }

    /// Polls for a message; `None` if there is none.
    pub(crate) async fn message(
        &self,
        session: &str,
        doing: Doing,
    ) -> Result<Option<Message>, Trouble> {
        let url = format!(
            "{}/sessions/{session}/message?doing={}",
            self.server,
            doing.as_str()
        );
        let response = send(self.http.get(url).timeout(POLL_LIMIT)).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        read(response).await.map(Some)
    }

    /// Acquires a job.
    pub(crate) async fn acquire(&self, session: &str, job: u64) -> Result<Job, Trouble> {
        self.call(
            &format!("sessions/{session}/jobs/{job}/acquire"),
            &json!({}),
        )
        .await
    }

    /// Sends a job's output.
    pub(crate) async fn output(
        &self,
        session: &str,
        job: u64,
        text: String,
    ) -> Result<(), Trouble> {
        let url = format!("{}/sessions/{session}/jobs/{job}/output", self.server);
        send(self.http.post(url).timeout(CALL_LIMIT).body(text)).await?;
        Ok(())
    }

    /// Sends what a step or hook has added to the job's summary.
    pub(crate) async fn summary(
        &self,
        session: &str,
        job: u64,
        text: String,
    ) -> Result<(), Trouble> {
        let url = format!("{}/sessions/{session}/jobs/{job}/summary", self.server);
        send(self.http.post(url).timeout(CALL_LIMIT).body(text)).await?;
        Ok(())
    }

    /// Reports a job's result.
    pub(crate) async fn complete(
        &self,
        session: &str,
        job: u64,
        result: &str,
    ) -> Result<(), Trouble> {
        let url = format!("{}/sessions/{session}/jobs/{job}/complete", self.server);
        let body = json!({ "result": result });
        send(self.http.post(url).timeout(CALL_LIMIT).json(&body)).await?;
        Ok(())
    }

    pub(crate) async fn close(&self, session: &str) -> Result<(), Trouble> {
        let url = format!("{}/sessions/{session}", self.server);
        send(self.http.delete(url).timeout(CALL_LIMIT)).await?;
        Ok(())
    }

    /// Registers a runner and returns its files.
    pub(crate) async fn register(&self, body: &Value) -> Result<BTreeMap<String, Value>, Trouble> {
        self.call("registrations", body).await
    }

    async fn call<T: for<'a> Deserialize<'a>>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, Trouble> {
        let url = format!("{}/{path}", self.server);
        read(send(self.http.post(url).timeout(CALL_LIMIT).json(body)).await?).await
    }
}

async fn send(request: RequestBuilder) -> Result<Response, Trouble> {
    let response = request
        .send()
        .await
        .map_err(|error| Trouble::Transient(error.to_string()))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body: Value = response.json().await.unwrap_or_default();
    let message = body["message"].as_str().unwrap_or_default().to_owned();
    Err(match status {
        StatusCode::UNAUTHORIZED => Trouble::Revoked,
        StatusCode::FORBIDDEN => Trouble::Deprecated(message),
        StatusCode::NOT_FOUND => Trouble::NotFound(message),
        StatusCode::CONFLICT => Trouble::Conflict,
        _ => Trouble::Transient(format!("{status} {message}")),
    })
}

async fn read<T: for<'a> Deserialize<'a>>(response: Response) -> Result<T, Trouble> {
    response
        .json()
        .await
        .map_err(|error| Trouble::Transient(error.to_string()))
}
