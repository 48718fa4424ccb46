//! A listener's connection.

use std::time::{Duration, Instant};

/// Why a session has ended for its listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Its runner was deleted.
    Deleted,
    /// Its runner has had its job.
    Ended,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) runner: u64,
    /// Set once the runner is gone.
    pub(crate) notice: Option<Notice>,
    /// Its registration is used up and nobody tells it.
    pub(crate) ghost: bool,
    /// It shall replace itself by a newer version.
    pub(crate) update: bool,
    pub(crate) version: String,
    /// Requests for messages that are open.
    pub(crate) connections: usize,
    pub(crate) last_heard: Instant,
}

/// What a listener is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Job(u64),
    Cancel(u64),
    Update,
}

/// What the listener is doing while it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Idle,
    /// It has a job.
    Busy,
    /// It has a job and knows that it is cancelled.
    Ending,
}

impl Session {
    /// For how long nothing was heard of it; nothing while it is connected.
    pub(crate) fn silence(&self, now: Instant) -> Option<Duration> {
        (self.connections == 0).then(|| now.saturating_duration_since(self.last_heard))
    }
}
