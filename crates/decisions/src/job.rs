//! A job's status at GitHub.

use time::OffsetDateTime;

/// A job's status at GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobStatus {
    /// Waits for a runner.
    Queued,
    /// Waits for an approval or its concurrency group; a new `queued` event follows.
    Waiting,
    /// A runner runs it.
    InProgress {
        runner: Option<String>,
        started_at: Option<OffsetDateTime>,
    },
    Completed {
        /// `success`, `failure`, `cancelled` and so on.
        conclusion: Option<String>,
        /// `None` if it was cancelled before a runner took it.
        runner: Option<String>,
        /// When a runner took it; without a runner, GitHub returns its creation time.
        started_at: Option<OffsetDateTime>,
        completed_at: Option<OffsetDateTime>,
    },
    /// Its run was deleted, while GitHub answers for its repository. A 404 alone does not prove it,
    /// see [`on_not_found`](crate::on_not_found).
    Absent,
}

impl JobStatus {
    /// A completed job without details.
    pub const COMPLETED: Self = Self::Completed {
        conclusion: None,
        runner: None,
        started_at: None,
        completed_at: None,
    };

    /// A running job without details.
    pub const IN_PROGRESS: Self = Self::InProgress {
        runner: None,
        started_at: None,
    };

    /// Whether the job waits for a runner now.
    pub const fn is_queued(&self) -> bool {
        matches!(self, Self::Queued)
    }

    /// The name of the runner that took the job.
    pub fn runner(&self) -> Option<&str> {
        match self {
            Self::InProgress { runner, .. } | Self::Completed { runner, .. } => runner.as_deref(),
            Self::Queued | Self::Waiting | Self::Absent => None,
        }
    }

    /// When a runner took the job.
    pub const fn started_at(&self) -> Option<OffsetDateTime> {
        match self {
            Self::InProgress { started_at, .. } | Self::Completed { started_at, .. } => *started_at,
            Self::Queued | Self::Waiting | Self::Absent => None,
        }
    }
}
