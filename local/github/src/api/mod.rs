//! GitHub's REST API, one file per resource.

pub(crate) mod checks;
pub(crate) mod deliveries;
pub(crate) mod installations;
pub(crate) mod jobs;
pub(crate) mod runners;
