//! The page's server: on 127.0.0.1 only, for this machine's browser only, and for reading only.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::Snapshot;
use crate::Error;

/// Pages that are watching at a time; a browser opens six connections to a host.
const VIEWERS: usize = 16;
/// A comment is sent so often, so that a page that went away is noticed.
const ALIVE: Duration = Duration::from_secs(15);
/// Jobs in one message, so that the first is small.
const BATCH: usize = 25;

/// The page's files: all of it.
pub const FILES: [(&str, &str, &str); 4] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    (
        "/console.css",
        "text/css; charset=utf-8",
        include_str!("page/console.css"),
    ),
    (
        "/console.js",
        "text/javascript; charset=utf-8",
        include_str!("page/console.js"),
    ),
    (
        "/plots.js",
        "text/javascript; charset=utf-8",
        include_str!("page/plots.js"),
    ),
];

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What pages are told, and how the look is woken.
#[derive(Debug)]
pub struct Feed {
    pub snapshots: watch::Sender<Arc<Snapshot>>,
    pub viewer: Notify,
}

/// A port on loopback.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    pub address: SocketAddr,
}

impl Server {
    /// Takes a port of 127.0.0.1; 0 takes a free one.
    pub async fn bind(port: u16) -> Result<Self, Error> {
        let taken = |error: std::io::Error| Error::Port {
            port,
            problem: error.to_string(),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        Ok(Self { listener, address })
    }

    /// Serves until it is dropped.
    pub async fn serve(self, feed: Arc<Feed>) {
        let mut connections = JoinSet::new();
        loop {
            let Ok((socket, _)) = self.listener.accept().await else {
                // Out of files: some connection has to end first.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let feed = Arc::clone(&feed);
            connections.spawn(async move {
                let answering = service_fn(|request| {
                    let feed = Arc::clone(&feed);
                    async move { Ok::<_, Infallible>(answer(&request, &feed)) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), answering);
                // A browser that goes away is no error.
                let _ = connection.await;
            });
            while connections.try_join_next().is_some() {}
        }
    }
}

fn answer<B>(request: &Request<B>, feed: &Arc<Feed>) -> Response<Body> {
    let mut response = match refusal(request.method(), request.headers()) {
        Some((status, why)) => text(status, why),
        None => found(request.uri().path(), feed),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Why a request is not answered. A page of another site that has its own name lead to 127.0.0.1 (DNS
/// rebinding) sends that name as the host.
fn refusal(method: &Method, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    if method != Method::GET && method != Method::HEAD {
        return Some((
            StatusCode::METHOD_NOT_ALLOWED,
            "The console only reads: use GET.\n",
        ));
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_loopback) {
        return Some((
            StatusCode::MISDIRECTED_REQUEST,
            "The console answers to 127.0.0.1 and localhost only.\n",
        ));
    }
    let site = headers
        .get("sec-fetch-site")
        .and_then(|site| site.to_str().ok());
    let is_of_another = matches!(site, Some("cross-site" | "same-site"));
    let is_a_link = headers
        .get("sec-fetch-mode")
        .is_some_and(|mode| mode == "navigate");
    if is_of_another && !is_a_link {
        return Some((
            StatusCode::FORBIDDEN,
            "The console answers to its own page only.\n",
        ));
    }
    None
}

/// Whether a `Host` names loopback, on any port: a tunnel may have another one.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) {
            name
        } else {
            host
        }
    });
    name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost")
}

fn found(path: &str, feed: &Arc<Feed>) -> Response<Body> {
    match path {
        "/events" => return events(feed),
        "/pages" => {
            let open = feed.snapshots.receiver_count();
            return typed("application/json", format!("{{\"open\":{open}}}\n"));
        }
        _ => {}
    }
    let file = FILES.iter().find(|(name, ..)| *name == path);
    match file {
        Some((_, kind, content)) => typed(kind, *content),
        None => text(StatusCode::NOT_FOUND, "There is no such page.\n"),
    }
}

fn text(status: StatusCode, content: &'static str) -> Response<Body> {
    let mut response = typed("text/plain; charset=utf-8", content);
    *response.status_mut() = status;
    response
}

fn typed(kind: &'static str, content: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(content.into()).boxed_unsync());
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// What a page has been told.
struct Viewer {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    told: HashMap<String, Arc<str>>,
    waiting: VecDeque<Bytes>,
    deployment: bool,
}

/// The stream of events: the deployment once, then each change.
fn events(feed: &Arc<Feed>) -> Response<Body> {
    if feed.snapshots.receiver_count() >= VIEWERS {
        return text(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many pages are watching: close one.\n",
        );
    }
    let mut snapshots = feed.snapshots.subscribe();
    snapshots.mark_changed();
    feed.viewer.notify_one();
    let viewer = Viewer {
        snapshots,
        told: HashMap::new(),
        waiting: VecDeque::new(),
        deployment: false,
    };
    let events = stream::unfold(viewer, |mut viewer| async move {
        let message = viewer.next().await?;
        Some((Ok(Frame::data(message)), viewer))
    });
    let mut response = Response::new(StreamBody::new(events).boxed_unsync());
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

impl Viewer {
    /// The next message; `None` when the console ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Some(message);
            }
            tokio::select! {
                changed = self.snapshots.changed() => {
                    changed.ok()?;
                    let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
                    self.take(&snapshot);
                }
                () = tokio::time::sleep(ALIVE) => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }

    /// Has what changed sent, newest jobs first.
    fn take(&mut self, snapshot: &Snapshot) {
        if !self.deployment {
            self.deployment = true;
            self.send("deployment", &snapshot.deployment);
        }
        if snapshot.summary.is_empty() {
            // Nothing was looked at yet.
            if !snapshot.problem.is_empty() {
                self.send("problem", &snapshot.problem);
            }
            return;
        }
        self.send("summary", &snapshot.summary);
        let changed: Vec<_> = snapshot
            .jobs
            .iter()
            .filter(|(name, job)| self.told.get(name) != Some(job))
            .collect();
        for some in changed.chunks(BATCH) {
            let jobs: Vec<&str> = some.iter().map(|(_, job)| job.as_ref()).collect();
            self.send("jobs", &format!("[{}]", jobs.join(",")));
        }
        let now: HashMap<_, _> = snapshot.jobs.iter().cloned().collect();
        let gone: Vec<_> = self
            .told
            .keys()
            .filter(|name| !now.contains_key(*name))
            .collect();
        if !gone.is_empty() {
            let gone = serde_json::to_string(&gone).unwrap_or_default();
            self.send("gone", &gone);
        }
        self.told = now;
        self.send("problem", &snapshot.problem);
    }

    fn send(&mut self, event: &str, data: &str) {
        let message = format!("event: {event}\ndata: {data}\n\n");
        self.waiting.push_back(Bytes::from(message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, headers: &[(&str, &str)]) -> Option<StatusCode> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: header::HeaderName = name.parse().unwrap();
            map.insert(name, HeaderValue::from_str(value).unwrap());
        }
        refusal(method, &map).map(|(status, _)| status)
    }

    #[test]
    fn only_this_machines_own_page_is_answered() {
        for host in ["127.0.0.1:4580", "localhost:1", "localhost", "LOCALHOST:80"] {
            assert_eq!(asked(&Method::GET, &[("host", host)]), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:4580",
            "127.0.0.1.evil.example:4580",
            "localhost.evil.example",
            "127.0.0.1:4580.evil.example",
            "[::1]:4580",
            "0.0.0.0:4580",
            "",
        ] {
            let refused = asked(&Method::GET, &[("host", host)]);
            assert_eq!(refused, Some(StatusCode::MISDIRECTED_REQUEST), "{host}");
        }
        assert_eq!(
            asked(&Method::GET, &[]),
            Some(StatusCode::MISDIRECTED_REQUEST)
        );
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let refused = asked(&method, &[("host", "localhost")]);
            assert_eq!(refused, Some(StatusCode::METHOD_NOT_ALLOWED));
        }
        let of = |site, mode| {
            asked(
                &Method::GET,
                &[
                    ("host", "localhost"),
                    ("sec-fetch-site", site),
                    ("sec-fetch-mode", mode),
                ],
            )
        };
        assert_eq!(of("same-origin", "cors"), None);
        assert_eq!(of("none", "navigate"), None);
        assert_eq!(of("cross-site", "navigate"), None);
        assert_eq!(of("cross-site", "no-cors"), Some(StatusCode::FORBIDDEN));
    }
}
