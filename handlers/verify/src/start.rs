//! Starts a job's execution.
//!
//! An execution is named after its job, and Step Functions takes a name once in 90 days. So a
//! repeated delivery meets the execution that exists:
//!
//! ```text
//! StartExecution hello-4242 ──▶ started
//!           └ exists: at work ─▶ nothing to do
//!           └ exists: closed ──▶ StartExecution hello-4242-r2, which asks GitHub first ──▶ …
//! ```

use std::time::Duration;

use aws::executions::{Executions, Started as Outcome};
use decisions::{OnQueued, Status, on_queued};
use protocol::{Class, ExecutionName, Fault, Order};
use tokio::time::Instant;

use crate::deadline::by;

/// The first pause between tries, and the longest; each is random up to a limit that doubles.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_LIMIT: Duration = Duration::from_secs(1);

/// Why no execution works for a job.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The job had all the executions that one job may have.
    #[error(transparent)]
    Spent(#[from] protocol::NameError),
}

impl StartError {
    /// What it means for the job.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Aws(error) => error.fault(),
            Self::Spent(_) => Fault::GaveUp,
        }
    }

    /// Whether it may work later.
    pub fn passes(&self) -> bool {
        self.fault().class() == Class::Transient
    }
}

/// What ends the tries before the deadline, besides a success and what does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// The first throttle: the job can be queued, and more tries would take from others what they
    /// need to start theirs.
    UntilThrottled,
    /// Nothing: the job cannot be queued.
    Unlimited,
}

/// Who works for a job after its `queued` event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// This execution was started now.
    New(ExecutionName),
    /// This one was at work already.
    Already(ExecutionName),
    /// None: the job has had as many as its events may begin, of which this was the last.
    Enough(ExecutionName),
}

/// Does as [`start`], once, and waits for it until the deadline.
pub async fn start_once(
    executions: &Executions,
    order: &Order,
    deadline: Instant,
) -> Result<Started, StartError> {
    let target = order.job.id.to_string();
    let call = ("states:StartExecution", &*target);
    by(deadline, call, start(executions, order)).await
}

/// Does as [`start`], and repeats it until the deadline if it fails in a way that passes.
pub async fn start_by(
    executions: &Executions,
    order: &Order,
    deadline: Instant,
    patience: Patience,
) -> Result<Started, StartError> {
    let mut pause = PAUSE;
    loop {
        let problem = match start_once(executions, order, deadline).await {
            Err(problem) if problem.passes() => problem,
            ended => return ended,
        };
        let again = Instant::now() + pause.mul_f64(runtime::random::fraction());
        let is_final = patience == Patience::UntilThrottled && problem.fault() == Fault::Throttled;
        if is_final || again >= deadline {
            return Err(problem);
        }
        tokio::time::sleep_until(again).await;
        pause = PAUSE_LIMIT.min(pause * 2);
    }
}

/// Starts an execution for the order's job, unless one is at work or there were enough.
pub async fn start(executions: &Executions, order: &Order) -> Result<Started, StartError> {
    let old = order.recheck;
    let mut order = order.clone();
    let mut name = ExecutionName::first(&order.job.repository, order.job.id);
    let mut latest = None;
    loop {
        match on_queued(latest, name.restart(), old) {
            OnQueued::Watch => return Ok(Started::Already(name)),
            OnQueued::Enough => return Ok(Started::Enough(name)),
            OnQueued::Start { recheck } => order.recheck = recheck,
            // The job had its execution. Most likely this is an old delivery come again, so GitHub is
            // asked before anything is launched.
            OnQueued::Follow => {
                order.recheck = true;
                name = name.next()?;
            }
        }
        if executions.start(&name, &order).await? == Outcome::New {
            return Ok(Started::New(name));
        }
        // One that cannot be described yet was started a moment ago.
        let found = executions.describe(&name).await?;
        latest = Some(found.map_or(Status::Running, |execution| execution.status));
    }
}
