//! HTTP servers on loopback, with TLS or without. They end with what holds them.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub(crate) type Answer = Response<Full<Bytes>>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What a server answers with.
pub(crate) trait Service: Send + Sync + 'static {
    fn answer(self: Arc<Self>, request: Request<Bytes>) -> Answering;
}

/// A server; dropped, it ends with all its connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// Serves on a free port.
    pub(crate) async fn start<S: Service>(
        tls: Option<TlsAcceptor>,
        service: Arc<S>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("binding a port on 127.0.0.1")?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            // A listener on loopback only fails where the process is out of files.
            while let Ok((socket, _)) = listener.accept().await {
                let _ = socket.set_nodelay(true);
                let (tls, service) = (tls.clone(), Arc::clone(&service));
                connections.spawn(async move {
                    match tls {
                        None => converse(socket, service).await,
                        // A client that turns away in the handshake tells so by its own error.
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                converse(socket, service).await;
                            }
                        }
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, accepting })
    }
}

async fn converse<S: Service>(
    socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    service: Arc<S>,
) {
    let answering = service_fn(|request: Request<Incoming>| {
        let service = Arc::clone(&service);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, hyper::Error>(service.answer(Request::from_parts(parts, body)).await)
        }
    });
    // A process that was ended leaves its connections torn.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(socket), answering)
        .await;
}

/// An answer in JSON, or an empty one.
pub(crate) fn json(status: u16, body: &serde_json::Value) -> Answer {
    let bytes = if body.is_null() {
        Bytes::new()
    } else {
        Bytes::from(body.to_string())
    };
    let mut answer = Response::new(Full::new(bytes));
    if let Ok(status) = status.try_into() {
        *answer.status_mut() = status;
    }
    let kind = hyper::header::HeaderValue::from_static("application/json");
    answer
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, kind);
    answer
}
