//! Tells `cleanup` and the log about a job.

use protocol::{Handoff, Job};
use tokio::time::Instant;
use tracing::Span;

use crate::Deps;
use crate::deadline::by;
use crate::handoff::hand_on;
use crate::respond::{Done, Error};

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
    handoff: Handoff,
    act_by: Instant,
) -> Result<Done, Error> {
    let cleanup = &*deps.config.cleanup_function;
    let telling = hand_on(&deps.lambda, cleanup, &handoff);
    by(act_by, ("lambda:InvokeFunction", cleanup), telling)
        .await
        .map_err(|error| Error::Handoff(Box::new(error)))?;
    Ok(Done::HandedOn(handoff.kind()))
}
