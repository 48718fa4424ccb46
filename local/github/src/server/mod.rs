//! The stand-in from Rust: starting and stopping here; what can be asked and done in the rooms beside.

use std::future::IntoFuture as _;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::state::shared::Shared;
use crate::state::world::World;
use crate::wire::meter::{ENTERPRISE_PREFIX, meter};
use crate::wire::sender::send_all;
use crate::{api, control, pages, service};

mod accounts;
mod app;
mod faults;
mod jobs;
mod looks;
mod runners;

/// How often limits are looked at.
const TICK: Duration = Duration::from_millis(50);

/// How long open requests may take when the stand-in is stopped.
const STOP: Duration = Duration::from_millis(500);

/// The stand-in, running until it is dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    url: String,
    serving: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    /// Starts on 127.0.0.1, within the current runtime.
    ///
    /// # Errors
    ///
    /// The port is taken.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(io::Error::other)?;
        let (outbox, outgoing) = mpsc::unbounded_channel();
        let shared = Shared::new(
            World::new(
                &config,
                config.address.clone().unwrap_or_else(|| url.clone()),
            ),
            outbox,
        );
        tokio::spawn(send_all(shared.clone(), http, outgoing));
        let serving = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self {
            shared,
            url,
            serving: Mutex::new(Some(serving)),
        })
    }

    /// Stops, and waits until nothing is served any more.
    pub async fn stop(&self) {
        self.shared.stop();
        let serving = self
            .serving
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(serving) = serving {
            // It ends by itself; there is nothing to learn from how.
            let _ = serving.await;
        }
    }

    /// Where it is: GitHub's API, its pages and the runners' service in one.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Forgets everything but the App, the webhook's target and which ids were given.
    pub fn reset(&self) {
        self.shared.change(World::reset);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let clock = tokio::spawn(tick(shared.clone()));
    let stopping = shared.clone();
    let serving = axum::serve(listener, router(shared.clone()))
        .with_graceful_shutdown(async move { stopping.stopped().await })
        .into_future();
    let patience = async {
        shared.stopped().await;
        tokio::time::sleep(STOP).await;
    };
    tokio::select! {
        _ = serving => {}
        () = patience => {}
    }
    clock.abort();
}

async fn tick(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        shared.tick();
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let api = api::routes();
    Router::new()
        .nest(ENTERPRISE_PREFIX, api.clone())
        .merge(api)
        .merge(service::routes())
        .layer(from_fn_with_state(shared.clone(), meter))
        .merge(control::routes())
        .merge(pages::routes())
        .with_state(shared)
}
