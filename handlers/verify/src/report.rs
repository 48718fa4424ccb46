//! Tells `cleanup` and the log about a job.

use protocol::{Handoff, Job};
use tokio::time::Instant;
use tracing::Span;

use crate::Deps;
use crate::deadline::by;
use crate::handoff::{HandoffError, hand_on};

/// Names the job in every log line of this event from here on.
pub(crate) fn record(job: &Job) {
    let span = Span::current();
    span.record("job_id", job.id.0);
    span.record("run_id", job.run_id);
    span.record("repository", tracing::field::display(&job.repository));
}

/// Hands the event on to `cleanup`, until a deadline.
pub(crate) async fn tell_cleanup(
    deps: &Deps,
    handoff: &Handoff,
    act_by: Instant,
) -> Result<(), HandoffError> {
    let cleanup = &*deps.config.cleanup_function;
    let telling = hand_on(&deps.lambda, cleanup, handoff);
    by(act_by, ("lambda:InvokeFunction", cleanup), telling).await
}
