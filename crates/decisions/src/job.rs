//! Where a job stands at GitHub.

use time::OffsetDateTime;

/// Where a job stands at GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobStatus {
    /// It wants a runner.
    Queued,
    /// It waits for an approval or for its concurrency group; a new `queued` event will follow.
    Waiting,
    /// A runner runs it.
    InProgress {
        /// That runner's name.
        runner: Option<String>,
        /// When it took the job.
        started_at: Option<OffsetDateTime>,
    },
    /// It is over.
    Completed {
        /// `success`, `failure`, `cancelled` and so on.
        conclusion: Option<String>,
        /// The runner that ran it; none where it was cancelled before one took it.
        runner: Option<String>,
        /// When a runner took it; where none did, GitHub gives the time it was made.
        started_at: Option<OffsetDateTime>,
        /// When it ended.
        completed_at: Option<OffsetDateTime>,
    },
    /// It is gone: its run was deleted, and GitHub answers for its repository. A 404 alone does not
    /// say so, see [`on_not_found`](crate::on_not_found).
    Absent,
}

impl JobStatus {
    /// A job that is over, of which nothing else is known.
    pub const COMPLETED: Self = Self::Completed {
        conclusion: None,
        runner: None,
        started_at: None,
        completed_at: None,
    };

    /// A job that a runner runs, of which nothing else is known.
    pub const IN_PROGRESS: Self = Self::InProgress {
        runner: None,
        started_at: None,
    };

    /// Whether the job wants a runner now.
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
