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

use aws::executions::{Executions, Started as Outcome};
use decisions::{OnQueued, Status, on_queued};
use protocol::{ExecutionName, Fault, Order};

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
