//! Ends what is over, and judges what follows.
//!
//! Six callers, told apart in [`event`]:
//!
//! | caller | why | room |
//! |---|---|---|
//! | state machine | an attempt is over: remove what it left, ask GitHub about the job, judge | [`attempt`] |
//! | EventBridge | a task stopped whose execution is closed: remove what its runner left | [`closed`] |
//! | EventBridge | an execution was aborted, failed or timed out: remove everything, restart where due | [`closed`] |
//! | `verify` | a job was cancelled before a runner took it: end its executions | [`cancelled`] |
//! | `verify` | a job was queued again while its execution was at work: see that somebody asks again | [`requeued`] |
//! | `verify` | a runner of ours runs another job than its own: see to the job it left | [`displaced`] |
//!
//! Nothing fails because something is already gone, and every part can run twice. What is decided is
//! decided by the pure rules of the `decisions` crate.

pub mod attempt;
pub mod cancelled;
pub mod check_run;
pub mod closed;
pub mod cost;
mod deps;
pub mod displaced;
pub mod error;
pub mod event;
pub mod report;
pub mod requeued;
pub mod settings;

use protocol::Handoff;
use serde_json::Value;
use time::OffsetDateTime;

pub use deps::Deps;
pub use error::Error;
pub use event::Event;
pub use settings::Config;

/// Serves one call. The answer is what the state machine shows as the execution's output; the other
/// callers don't look at it.
pub async fn handle(deps: &Deps, event: Value, now: OffsetDateTime) -> Result<Value, Error> {
    match Event::parse(event)? {
        Event::Attempt(over) => {
            let output = attempt::end(deps, &over, now)
                .await
                .map_err(Error::for_the_machine)?;
            Ok(serde_json::to_value(output)?)
        }
        Event::TaskStopped(task) => closed::task_stopped(deps, &task).await,
        Event::ExecutionClosed(closed) => closed::execution_closed(deps, &closed).await,
        Event::Handoff(handoff) => match *handoff {
            Handoff::Cancelled { job } => cancelled::end(deps, &job).await,
            Handoff::Requeued { job } => requeued::see_to(deps, &job).await,
            Handoff::Displaced { job, runner } => displaced::check(deps, &runner, &job, now).await,
        },
    }
}
