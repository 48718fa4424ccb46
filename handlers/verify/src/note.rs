//! Notes about jobs that ended on their own runners, for `cleanup`.
//!
//! Only a deployment with a table has them. A note spares `cleanup` a call to GitHub, and nothing
//! depends on it: if it cannot be written, the webhook is answered as without a table.

use pool::JobNote;
use protocol::{Job, RunnerName};
use time::OffsetDateTime;

use crate::Deps;

/// The runner's name, if this deployment started it for this very job.
pub fn own_runner(deps: &Deps, job: &Job, runner: &str) -> Option<RunnerName> {
    let runner: RunnerName = runner.parse().ok()?;
    let ours = *runner.deployment() == deps.config.deployment;
    (ours && runner.execution().job() == job.id).then_some(runner)
}

/// Writes a note. Returns whether the table has it now.
pub async fn write(deps: &Deps, job: &Job, note: &JobNote, now: OffsetDateTime) -> bool {
    let Some(pool) = &deps.pool else {
        return false;
    };
    match pool
        .note_completed(&job.repository, job.id, note, now)
        .await
    {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "cannot note that the job has ended; cleanup asks GitHub instead");
            false
        }
    }
}
