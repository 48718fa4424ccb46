//! Retires runners: delete before stop.
//!
//! GitHub refuses to delete a runner that runs a job, and only this answer cannot be out of date.
//! So a task is stopped only after GitHub has deleted its runner.

use decisions::{Deletion, may_stop};
use github::{Deleted, Installation, Scope};
use protocol::RunnerName;

use crate::{Error, Fleet};

/// Result of retiring a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retired {
    /// GitHub deleted it; this many of its tasks are being stopped.
    Stopped(usize),
    /// It has a job and was left alone.
    Busy,
    /// GitHub does not know it: it has ended, or is about to.
    Absent,
}

/// Retires a runner: deletes it at GitHub, and stops its task only if [`may_stop`] allows it.
pub async fn retire(
    fleet: &Fleet,
    installation: &Installation,
    scope: &Scope,
    (id, name): (u64, &RunnerName),
    reason: &str,
) -> Result<Retired, Error> {
    let answer = match installation.delete_runner(scope, id).await? {
        Deleted::Gone => Deletion::Granted,
        Deleted::Absent => Deletion::Absent,
        Deleted::Busy => Deletion::Refused,
    };
    let retired = match answer {
        _ if may_stop(answer) => Retired::Stopped(fleet.stop_tasks_of(name, reason).await?),
        Deletion::Refused => Retired::Busy,
        Deletion::Granted | Deletion::Absent => Retired::Absent,
    };
    tracing::info!(runner = %name, reason, ?retired, "runner retired");
    Ok(retired)
}
