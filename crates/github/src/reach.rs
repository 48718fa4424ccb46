//! The way to GitHub: directly, or through a forward proxy.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use runtime::proxy::Proxy;
use tower_service::Service;

type Cause = Box<dyn Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, Cause>> + Send>>;

/// Opens TCP connections for TLS, where there is a proxy as tunnels through it.
#[derive(Clone)]
pub(crate) struct Reach {
    direct: HttpConnector,
    proxy: Option<Arc<Matcher>>,
}

impl Reach {
    pub(crate) fn new(proxy: Option<&Proxy>) -> Self {
        let mut direct = HttpConnector::new();
        // It connects for https, too.
        direct.enforce_http(false);
        let proxy = proxy.map(|proxy| {
            let matcher = Matcher::builder()
                .https(proxy.url.as_str())
                .no(proxy.except.as_str());
            Arc::new(matcher.build())
        });
        Self { direct, proxy }
    }
}

impl Service<Uri> for Reach {
    type Response = <HttpConnector as Service<Uri>>::Response;
    type Error = Cause;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let way = self
            .proxy
            .as_ref()
            .and_then(|proxy| proxy.intercept(&server));
        match way {
            None => {
                let connecting = self.direct.call(server);
                Box::pin(async { connecting.await.map_err(Into::into) })
            }
            Some(way) => {
                let tunnel = Tunnel::new(way.uri().clone(), self.direct.clone()).call(server);
                Box::pin(async move {
                    tunnel.await.map_err(|error| {
                        // Why no connection was made is only in its cause.
                        let why = error
                            .source()
                            .map_or(String::new(), |why| format!(": {why}"));
                        format!("through the proxy {}: {error}{why}", way.uri()).into()
                    })
                })
            }
        }
    }
}
