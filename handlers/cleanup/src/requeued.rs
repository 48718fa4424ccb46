//! A job was queued again while an execution of it was at work.
//!
//! A job can be held back and queued again: by an approval, by its concurrency group. If its execution
//! has found it held back meanwhile and is about to end, nobody works for it. So its last execution
//! is looked at until that has its question to GitHub still before it, or is closed: then the next one
//! begins, and asks GitHub first.

use std::time::Duration;

use decisions::{OnQueuedAgain, on_queued_again};
use fleet::Status;
use protocol::{ExecutionName, Job, Order};
use serde_json::{Value, json};

use crate::{Deps, Error};

/// From GitHub's answer to the execution's end it takes about a second. If it takes longer, this
/// fails and Lambda calls again, a minute and two minutes later: past `Cleanup`'s time-out.
const LOOKS: u32 = 15;
const PAUSE: Duration = Duration::from_secs(1);
/// A `queued` event that is so much younger than the one an execution was started with tells of a new
/// stay in the queue, or is that one come again: then the execution that follows is one too many, and
/// hands over or is handed over to.
const NEW_STAY: time::Duration = time::Duration::hours(1);

/// Sees to it that an execution asks GitHub about the job once more.
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
                // With the job as this event tells of it: its stay in the queue begins anew.
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
