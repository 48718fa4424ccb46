//! Names the job in the log.

use protocol::Job;
use tracing::Span;

/// Names the job in every log line of this event from here on.
pub(crate) fn record(job: &Job) {
    let span = Span::current();
    span.record("job_id", job.id.0);
    span.record("run_id", job.run_id);
    span.record("repository", tracing::field::display(&job.repository));
}
