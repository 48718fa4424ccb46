//! Overflow queue: queues jobs while Step Functions is throttling.
//!
//! GitHub does not retry a failed delivery, so an order that StartExecution rejects goes to a queue.
//! The same function drains the queue, at the pace that StartExecution grants ([`crate::throttle`]).
//!
//! | a message | goes back | for |
//! |---|---|---|
//! | that StartExecution refused, or had no time for | to wait its turn | one second, and twice as long each time, up to a quarter of an hour |
//! | that cannot be read, or was refused for good | until it was received as often as the queue allows, then to the dead-letter queue | five seconds |

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry as Entry;
use futures_util::future::join_all;
use protocol::{Handoff, Order};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, info_span};

use crate::Deps;
use crate::deadline::{ANSWER, KEEPING};
use crate::event::{BatchResponse, ItemFailure, Message};
use crate::handoff::hand_on;
use crate::span::record;
use crate::start::{Started, start_once};

/// How long messages of a batch are started. The last call may take [`ANSWER`], and what goes back
/// [`KEEPING`]: all together less than the function's timeout.
const DRAIN: Duration = Duration::from_secs(5);

/// The first delay of a message that waits for StartExecution, and the longest. With these a message is
/// received 140 times a day at most, fewer than `maxReceiveCount` in `cdk/src/front-door.ts`.
const DELAY: Duration = Duration::from_secs(1);
const DELAY_LIMIT: Duration = Duration::from_mins(15);
/// The delay of a message that waiting does not help.
const UNUSABLE_DELAY: Duration = Duration::from_secs(5);

/// SQS takes so many messages in one call.
const ENTRIES: usize = 10;

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

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// An execution works for its job.
    Started,
    /// Its turn comes later.
    Waits,
    /// Waiting does not help.
    Unusable,
}

/// Starts executions for queued orders, as fast as Step Functions grants them. What could not be started
/// goes back to the queue.
pub async fn drain(deps: &Deps, messages: Vec<Message>) -> BatchResponse {
    let until = Instant::now() + DRAIN;
    // Each message waits for its turn here, so that the calls of a batch keep the pace.
    let turn = Mutex::new(());
    let fates = join_all(messages.iter().map(|message| {
        let span = info_span!(
            "overflow",
            message = message.message_id,
            job_id = tracing::field::Empty,
            run_id = tracing::field::Empty,
            repository = tracing::field::Empty,
            execution = tracing::field::Empty
        );
        take(deps, message, &turn, until).instrument(span)
    }))
    .await;
    let back: Vec<_> = messages
        .into_iter()
        .zip(fates)
        .filter(|(_, fate)| *fate != Fate::Started)
        .collect();
    put_off(deps, &back).await;
    BatchResponse {
        batch_item_failures: back
            .into_iter()
            .map(|(message, _)| ItemFailure {
                item_identifier: message.message_id,
            })
            .collect(),
    }
}

async fn take(deps: &Deps, message: &Message, turn: &Mutex<()>, until: Instant) -> Fate {
    let order: Order = match serde_json::from_str(&message.body) {
        Ok(order) => order,
        Err(error) => {
            tracing::warn!(%error, "a message of the overflow queue is not an order");
            return Fate::Unusable;
        }
    };
    record(&order.job);
    loop {
        let begun = {
            let _turn = turn.lock().await;
            let next = deps.throttle().next(Instant::now());
            if next > until {
                tracing::info!("Step Functions is throttling; the job stays in the overflow queue");
                return Fate::Waits;
            }
            sleep_until(next).await;
            deps.throttle().calls(next);
            next
        };
        match start_once(&deps.executions, &order, begun + ANSWER).await {
            Ok(started) => {
                deps.throttle().granted_message();
                return follow(deps, order, started).await;
            }
            Err(problem) if problem.passes() => {
                tracing::debug!(%problem, "Step Functions refused a job of the overflow queue");
                let jitter = runtime::random::fraction();
                deps.throttle()
                    .refused_message(begun, Instant::now(), jitter);
            }
            Err(problem) => {
                tracing::warn!(%problem, "cannot start a job of the overflow queue");
                return Fate::Unusable;
            }
        }
    }
}

/// Does what follows a job's start; the same as for a webhook.
async fn follow(deps: &Deps, order: Order, started: Started) -> Fate {
    tracing::info!(?started, "started a job from the overflow queue");
    if let Started::Already(_) = started {
        let handoff = Handoff::Requeued { job: order.job };
        if let Err(error) = hand_on(deps, &handoff, Instant::now() + ANSWER).await {
            tracing::warn!(%error, "a job stays in the overflow queue");
            return Fate::Waits;
        }
    }
    Fate::Started
}

/// How long a message stays invisible that was received so often. `jitter` is from 0 to 1.
fn delay(receives: u32, jitter: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(receives.saturating_sub(1));
    let delay = DELAY_LIMIT.min(DELAY.saturating_mul(doubled));
    delay.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 4.0)
}

/// Says when messages that go back are delivered again. If that fails, it is after the queue's own
/// visibility timeout.
async fn put_off(deps: &Deps, back: &[(Message, Fate)]) {
    let Some(queue) = deps.config.overflow_queue.as_deref() else {
        return;
    };
    let until = Instant::now() + KEEPING;
    for messages in back.chunks(ENTRIES) {
        let entries = messages
            .iter()
            .enumerate()
            .map(|(index, (message, fate))| {
                let delay = match fate {
                    Fate::Unusable => UNUSABLE_DELAY,
                    Fate::Waits | Fate::Started => {
                        delay(message.receives(), runtime::random::fraction())
                    }
                };
                // SQS counts in whole seconds; zero would deliver it at once.
                let seconds = i32::try_from(delay.as_secs().max(1)).unwrap_or(i32::MAX);
                Entry::builder()
                    .id(index.to_string())
                    .receipt_handle(&message.receipt_handle)
                    .visibility_timeout(seconds)
                    .build()
            })
            .collect::<Result<Vec<_>, _>>();
        let call = async {
            let entries = entries.map_err(|error| error.to_string())?;
            let answer = deps
                .sqs
                .change_message_visibility_batch()
                .queue_url(queue)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| {
                    aws::Error::new("sqs:ChangeMessageVisibility", queue, &error).to_string()
                })?;
            match answer.failed() {
                [] => Ok(()),
                [failed, ..] => Err(format!("{}: {}", failed.code(), failed.id())),
            }
        };
        let late = || Err("no answer in time".to_owned());
        let changed = tokio::time::timeout_at(until, call).await;
        if let Err(error) = changed.unwrap_or_else(|_| late()) {
            tracing::warn!(
                error,
                "cannot put messages off; they come back after the queue's visibility timeout"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_twice_as_long_each_time_up_to_a_quarter_of_an_hour() {
        let seconds = |receives, jitter| delay(receives, jitter).as_secs_f64();
        assert!((seconds(1, 1.0) - 1.0).abs() < 0.001);
        assert!((seconds(5, 1.0) - 16.0).abs() < 0.001);
        assert!((seconds(5, 0.0) - 12.0).abs() < 0.001);
        for receives in [11, 33, 1_000, u32::MAX] {
            assert!((seconds(receives, 1.0) - 900.0).abs() < 0.001);
        }
    }

    #[test]
    fn a_message_that_waits_all_day_is_received_less_often_than_the_queue_allows() {
        const DAY: Duration = Duration::from_hours(24);
        let (mut age, mut receives) = (Duration::ZERO, 0);
        while age < DAY {
            receives += 1;
            age += delay(receives, 0.0);
        }
        assert!(receives <= 140, "{receives}");
    }
}
