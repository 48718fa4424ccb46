//! Cache of the runner's releases, per sandbox.

use std::sync::Arc;

use github::RunnerRelease;
use time::OffsetDateTime;
use tokio::sync::Mutex;

/// The runner's releases from GitHub's last answer.
#[derive(Clone, Debug, Default)]
pub struct Releases(pub(crate) Arc<Mutex<Option<Told>>>);

#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) at: OffsetDateTime,
    pub(crate) releases: Vec<RunnerRelease>,
}
