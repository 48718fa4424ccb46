//! Sends webhooks, and records what their receiver answers.

use std::sync::Arc;
use std::time::Instant;

use reqwest::Client;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::clock::fine_stamp;
use crate::state::delivery::{Exchange, Outgoing};
use crate::state::shared::Shared;
use crate::state::world::World;

/// Kept of what a receiver answers.
const ANSWER_LIMIT: usize = 4096;

/// Sends what comes out of the outbox, each on its own, until the stand-in is stopped.
pub(crate) async fn send_all(
    shared: Arc<Shared>,
    http: Client,
    mut outbox: UnboundedReceiver<Outgoing>,
) {
    loop {
        let outgoing = tokio::select! {
            outgoing = outbox.recv() => outgoing,
            () = shared.stopped() => None,
        };
        let Some(outgoing) = outgoing else {
            return;
        };
        tokio::spawn(outgoing.send(shared.clone(), http.clone()));
    }
}

impl Outgoing {
    /// Sends it, and its copies after it.
    async fn send(mut self, shared: Arc<Shared>, http: Client) {
        tokio::time::sleep(self.delay).await;
        if let Some(previous) = self.previous.take() {
            // Its sender only ever vanishes: that is the sign.
            let _ = previous.await;
        }
        for _ in 0..=self.copies {
            self.attempt(&shared, &http).await;
        }
        drop(self.done.take());
        shared.change(|world| world.sending = world.sending.saturating_sub(1));
    }

    async fn attempt(&self, shared: &Arc<Shared>, http: &Client) {
        let begun = Instant::now();
        let mut exchange = self.exchange.clone();
        exchange.delivery.delivered_at = fine_stamp(shared.read(World::now));
        match self.lost {
            Some(status) => {
                exchange.delivery.status_code = status;
                let answered = axum::http::StatusCode::from_u16(status).ok();
                let words = match status {
                    504 => "timed out",
                    502 => "failed to connect to host",
                    _ => answered
                        .and_then(|status| status.canonical_reason())
                        .unwrap_or("Unknown"),
                };
                words.clone_into(&mut exchange.delivery.status);
            }
            None => self.post(http, &mut exchange).await,
        }
        exchange.delivery.duration = (begun.elapsed().as_secs_f64() * 100.0).round() / 100.0;
        shared.change(|world| {
            // A copy is the same delivery, received twice and recorded once.
            world.deliveries.insert(exchange.delivery.id, exchange);
        });
    }

    async fn post(&self, http: &Client, exchange: &mut Exchange) {
        let mut request = http
            .post(&self.url)
            .timeout(self.limit)
            .body(exchange.payload.clone());
        for (name, value) in &exchange.request_headers {
            request = request.header(name, value);
        }
        if let Some(host) = &self.host {
            request = request.header("host", host);
        }
        let outcome = async {
            let response = request.send().await?;
            let status = response.status();
            let headers = response.headers().clone();
            Ok::<_, reqwest::Error>((status, headers, response.text().await?))
        };
        let delivery = &mut exchange.delivery;
        match outcome.await {
            Ok((status, headers, body)) => {
                delivery.status_code = status.as_u16();
                status
                    .canonical_reason()
                    .unwrap_or("Unknown")
                    .clone_into(&mut delivery.status);
                exchange.response_headers = headers
                    .iter()
                    .filter_map(|(name, value)| {
                        Some((name.to_string(), value.to_str().ok()?.to_owned()))
                    })
                    .collect();
                exchange.response = body.chars().take(ANSWER_LIMIT).collect();
            }
            Err(error) if error.is_timeout() => {
                delivery.status_code = 504;
                "timed out".clone_into(&mut delivery.status);
            }
            Err(_) => {
                delivery.status_code = 502;
                "failed to connect to host".clone_into(&mut delivery.status);
            }
        }
    }
}
