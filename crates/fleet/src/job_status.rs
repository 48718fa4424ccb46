//! GitHub's word about a job, as the rules take it.

use decisions::JobStatus;
use github::JobState;

/// What the rules need of a job's state.
pub fn job_status(state: &JobState) -> JobStatus {
    match state {
        JobState::Queued => JobStatus::Queued,
        JobState::Waiting => JobStatus::Waiting,
        JobState::InProgress { runner, .. } => JobStatus::InProgress {
            runner: runner.clone(),
        },
        JobState::Completed { runner, .. } => JobStatus::Completed {
            runner: runner.clone(),
        },
        JobState::Absent => JobStatus::Absent,
    }
}
