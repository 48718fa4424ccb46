//! What the agent knows of a job and its runner.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const NAME: &str = "facts.json";

/// Times are in seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Facts {
    /// When GitHub queued the job, if it was told.
    pub(crate) queued: Option<f64>,
    /// When the agent began: with its task, or with the ring of a warm one.
    pub(crate) began: f64,
    /// When the runner began the job.
    pub(crate) job: Option<f64>,
    /// Whether it is a warm task.
    pub(crate) warm: bool,
    /// The capacity provider, if known.
    pub(crate) capacity: Option<String>,
}

impl Facts {
    pub(crate) fn read(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(NAME)).ok()?).ok()
    }

    /// Writes them; a job without them has no summary, and is otherwise the same.
    pub(crate) fn write(&self, directory: &Path) {
        store(&directory.join(NAME), self);
    }
}

/// Replaces a file in one step, so that no reader sees half of it.
pub(super) fn store(path: &Path, value: &impl Serialize) {
    let Ok(bytes) = serde_json::to_vec(value) else {
        return;
    };
    let new = path.with_extension("new");
    if fs::write(&new, bytes).is_ok() {
        let _ = fs::rename(&new, path);
    }
}

/// Seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs_f64()
}
