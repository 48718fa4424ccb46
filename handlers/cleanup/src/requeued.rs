//! Requeued jobs: a job was queued again while an execution of it was running.
//!
//! GitHub may hold a job back and queue it again, because of an approval or a concurrency group. If
//! its execution found the job held back and is about to end, the job has no owner. So the last
//! execution is watched until it is certain to ask GitHub again, or is closed. If it is closed, the
//! next execution starts and asks GitHub first.

use std::time::Duration;

use decisions::{OnQueuedAgain, on_queued_again};
use fleet::Status;
use protocol::{ExecutionName, Job, Order};
use serde_json::{Value, json};

use crate::{Deps, Error};

/// Number of looks, [`PAUSE`] apart. An execution ends about a second after GitHub's answer. If it
/// takes longer, this call fails and Lambda retries after one and two minutes, which is longer than
/// `Cleanup`'s timeout.
const LOOKS: u32 = 15;
const PAUSE: Duration = Duration::from_secs(1);
/// Minimum age difference between two `queued` events of different stays in the queue. A younger
/// one may be a redelivery; an execution that follows it is then a duplicate, and one of the two
/// hands over to the other.
const NEW_STAY: time::Duration = time::Duration::hours(1);

/// Ensures that an execution asks GitHub about the job once more.
pub async fn see_to(deps: &Deps, job: &Job) -> Result<Value, Error> {
    let first = ExecutionName::first(&job.repository, job.id);
    for _ in 0..LOOKS {
        let executions = deps.fleet.executions_of(&first).await?;
        let Some(latest) = executions.last() else {
            return Ok(json!({ "result": "executionUnknown" }));
        };
        let state = match latest.status {
            Status::Running => deps.fleet.position(&latest.name).await?.state,
            _ => None,
        };
        let new_stay = job.queued_at - latest.order.job.queued_at >= NEW_STAY;
        let executions = latest.name.restart();
        match on_queued_again(latest.status, executions, state, new_stay) {
            OnQueuedAgain::Leave => {
                let result = if latest.status == Status::Running {
                    "asksLater"
                } else {
                    "enough"
                };
                return Ok(json!({ "result": result, "execution": latest.name }));
            }
            OnQueuedAgain::Follow => {
                // Use this event's job: its stay in the queue starts now.
                let order = Order {
                    job: job.clone(),
                    ..latest.order.clone()
                };
                let (name, _) = deps.fleet.start_check(&latest.name, &order, None).await?;
                tracing::info!(latest = %latest.name, execution = %name, "a job was queued again while its execution was running");
                return Ok(json!({ "result": "followed", "execution": name }));
            }
            OnQueuedAgain::LookAgain => tokio::time::sleep(PAUSE).await,
        }
    }
    Err(Error::Undecided(first))
}
