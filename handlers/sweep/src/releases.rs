//! GitHub's releases of the runner, kept between the sweeps of one sandbox.

use std::sync::Arc;

use github::RunnerRelease;
use time::OffsetDateTime;
use tokio::sync::Mutex;

/// The runner's releases as GitHub told them last, for the sweeps of one sandbox.
#[derive(Clone, Debug, Default)]
pub struct Releases(pub(crate) Arc<Mutex<Option<Told>>>);

#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) at: OffsetDateTime,
    pub(crate) releases: Vec<RunnerRelease>,
}
