//! Cleans up after attempts and executions, and decides what follows.
//!
//! Seven callers, which [`event`] tells apart:
//!
//! | caller | event | module |
//! |---|---|---|
//! | state machine | an attempt ended: delete its leftovers, ask GitHub about the job, decide | [`attempt`] |
//! | EventBridge | a task of a closed execution stopped: delete its runner's leftovers | [`closed`] |
//! | EventBridge | a warm task stopped: tell the execution that adopted it, then the same | [`warm`] |
//! | EventBridge | an execution was aborted, failed or timed out: clean up, restart if transient | [`closed`] |
//! | `verify` | a job was cancelled before a runner took it: end its executions | [`cancelled`] |
//! | `verify` | a job was queued again while its execution ran: ensure that GitHub is asked again | [`requeued`] |
//! | `verify` | a runner of ours took another job than its own: check the displaced job | [`displaced`] |
//!
//! Everything here is idempotent: "already gone" is success. The pure rules of the `decisions`
//! crate make the decisions.

pub mod attempt;
pub mod cancelled;
pub mod check_run;
pub mod closed;
mod deps;
pub mod displaced;
pub mod error;
pub mod event;
pub mod report;
pub mod requeued;
pub mod reruns;
pub mod settings;
pub mod warm;

use protocol::Handoff;
use serde_json::Value;
use time::OffsetDateTime;

pub use deps::Deps;
pub use error::Error;
pub use event::Event;
pub use settings::Config;

/// Handles one call. The state machine shows the result as the execution's output; the other
/// callers ignore it.
pub async fn handle(deps: &Deps, event: Value, now: OffsetDateTime) -> Result<Value, Error> {
    match Event::parse(event)? {
        Event::Attempt(over) => {
            let output = attempt::end(deps, &over, now)
                .await
                .map_err(Error::for_the_machine)?;
            Ok(serde_json::to_value(output)?)
        }
        Event::TaskStopped(task) => closed::task_stopped(deps, &task).await,
        Event::WarmTaskStopped(stopped) => warm::task_stopped(deps, &stopped, now).await,
        Event::ExecutionClosed(closed) => closed::execution_closed(deps, &closed, now).await,
        Event::Handoff(handoff) => match *handoff {
            Handoff::Cancelled { job } => cancelled::end(deps, &job).await,
            Handoff::Requeued { job } => requeued::see_to(deps, &job).await,
            Handoff::Displaced { job, runner } => displaced::check(deps, &runner, &job, now).await,
        },
    }
}
