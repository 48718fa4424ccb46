//! Overflow queue: queues jobs while Step Functions is throttling.
//!
//! GitHub does not retry a failed delivery, so an order that StartExecution rejects goes to a queue.
//! The same function drains the queue.

use aws_sdk_sqs::Client;
use protocol::{Class, Order};
use tokio::time::Instant;
use tracing::{Instrument, info_span};

use crate::Deps;
use crate::deadline::{WORK, by};
use crate::event::{BatchResponse, ItemFailure, Message};
use crate::start::{StartError, Started, start};

/// Why an order was not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// There is no queue.
    #[error("no overflow queue: OVERFLOW_QUEUE_URL is not set")]
    NoQueue,
    /// SQS did not take it.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The order could not be written as JSON.
    #[error("cannot serialize the order: {0}")]
    Order(#[from] serde_json::Error),
}

/// Queues an order. Its job may be cancelled before it leaves the queue, so the order asks GitHub
/// before a runner is launched.
pub async fn keep(sqs: &Client, queue: &str, order: &Order) -> Result<(), KeepError> {
    let order = Order {
        recheck: true,
        ..order.clone()
    };
    sqs.send_message()
        .queue_url(queue)
        .message_body(serde_json::to_string(&order)?)
        .send()
        .await
        .map_err(|error| aws::Error::new("sqs:SendMessage", queue, &error))?;
    Ok(())
}

/// Starts executions for queued orders. While Step Functions is still throttling, the rest of the
/// batch returns to the queue untried. An invalid message returns until SQS moves it to the
/// dead-letter queue.
pub async fn drain(deps: &Deps, messages: Vec<Message>) -> BatchResponse {
    let act_by = Instant::now() + WORK;
    let mut failed = Vec::new();
    let mut messages = messages.into_iter();
    for message in messages.by_ref() {
        match take(deps, &message.body, act_by).await {
            Ok(started) => tracing::info!(?started, "started a job from the overflow queue"),
            Err(error) => {
                tracing::warn!(message = message.message_id, %error, "a job stays in the overflow queue");
                failed.push(message.message_id);
                if error.passes() {
                    break;
                }
            }
        }
    }
    failed.extend(messages.map(|message| message.message_id));
    BatchResponse {
        batch_item_failures: failed
            .into_iter()
            .map(|item_identifier| ItemFailure { item_identifier })
            .collect(),
    }
}

/// Why an order stays in the queue.
#[derive(Debug, thiserror::Error)]
enum TakeError {
    #[error("the message is not an order: {0}")]
    Order(#[from] serde_json::Error),
    #[error(transparent)]
    Start(#[from] StartError),
}

impl TakeError {
    fn passes(&self) -> bool {
        match self {
            Self::Order(_) => false,
            Self::Start(error) => error.fault().class() == Class::Transient,
        }
    }
}

async fn take(deps: &Deps, body: &str, act_by: Instant) -> Result<Started, TakeError> {
    let order: Order = serde_json::from_str(body)?;
    let job = &order.job;
    let span =
        info_span!("overflow", job_id = %job.id, run_id = job.run_id, repository = %job.repository);
    let target = job.id.to_string();
    let start = by(
        act_by,
        ("states:StartExecution", &target),
        start(&deps.executions, &order),
    );
    Ok(start.instrument(span).await?)
}
