//! Time limits. GitHub waits ten seconds for an answer, and the SDK's retries may take longer.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// How long StartExecution may take to answer while the job can be queued instead. It answers within a
/// tenth of that.
pub const ANSWER: Duration = Duration::from_secs(1);

/// How long the work on one webhook may take. Of GitHub's ten seconds, this and [`KEEPING`] leave two
/// for the network and a cold start.
pub const WORK: Duration = Duration::from_secs(6);

/// How long keeping a job may take after that.
pub const KEEPING: Duration = Duration::from_secs(2);

/// Waits for a call, its retries included, until a deadline. A call that has not ended by then is
/// dropped and fails as one that AWS does not answer in time.
pub async fn by<T, E: From<aws::Error>>(
    deadline: Instant,
    (call, target): (&'static str, &str),
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout_at(deadline, work)
        .await
        .unwrap_or_else(|_| Err(aws::Error::timed_out(call, target).into()))
}
