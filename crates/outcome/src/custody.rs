//! Who works for a job.
//!
//! No queued job waits without somebody working for it: an execution that will ask GitHub before it
//! ends, or a check that is due. These decide who begins, and who need not.

use fault::{Class, Fault};

use crate::outcome::{Kind, Outcome};
use crate::rules::JobStatus;

/// Executions of one job that may fail and be followed by another; a person may begin more.
const RESTART_LIMIT: u32 = 3;

/// Where an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It works for its job.
    Running,
    /// It ended well.
    Succeeded,
    /// It failed.
    Failed,
    /// It outlived the machine's time-out.
    TimedOut,
    /// Somebody stopped it.
    Aborted,
}

/// What is done about a `queued` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnQueued {
    /// The job's first execution is started.
    Start {
        /// It asks GitHub first whether the job is still queued.
        recheck: bool,
    },
    /// Its last execution is closed: the next one is started, and asks GitHub first.
    Follow,
    /// An execution works for it.
    Leave,
}

/// Decides what follows a `queued` event. `latest` is the job's last execution, if it has any; `old`
/// is whether the event is older than a minute, so that the job may have been served since.
///
/// A closed execution is followed whatever it ended with: after an approval the same job is queued
/// again, and a person who presses *Redeliver* has mended something.
pub fn on_queued(latest: Option<Status>, old: bool) -> OnQueued {
    match latest {
        None => OnQueued::Start { recheck: old },
        Some(Status::Running) => OnQueued::Leave,
        Some(_) => OnQueued::Follow,
    }
}

/// Whether a closed execution is followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// It is not.
    Leave,
    /// It is, if GitHub says that the job is still queued.
    IfQueued,
}

/// Decides whether a closed execution is begun again by us. `status` is Step Functions' word,
/// `error` the execution's error name, `restart` which execution of the job it was.
pub fn restart(status: &str, error: Option<&str>, restart: u32) -> Restart {
    let passing = match status {
        "TIMED_OUT" => true,
        "FAILED" => error.is_none_or(passes),
        // A person's abort is a person's word.
        _ => false,
    };
    if passing && restart < RESTART_LIMIT {
        Restart::IfQueued
    } else {
        Restart::Leave
    }
}

/// Whether an execution's error may be gone next time.
fn passes(error: &str) -> bool {
    let never = [
        "NeverPickedUp",
        "QueueLimit",
        "Unmatched",
        "States.Permissions",
        "JobCancelled",
    ];
    let by_fault = Fault::from_name(error).is_none_or(|fault| fault.class() == Class::Passing);
    let lasting = |outcome: &&Outcome| outcome.name() == error && outcome.kind() == Kind::Lasting;
    by_fault && !never.contains(&error) && !Outcome::ALL.iter().any(|outcome| lasting(&outcome))
}

/// Whether a job whose runner was given another job needs a check of its own: only if nobody took it
/// yet. Where GitHub could not be asked, it does.
pub fn check_displaced(job: Option<&JobStatus>) -> bool {
    job.is_none_or(|job| *job == JobStatus::Queued)
}

/// What a sweep does about an execution that may be waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attend {
    /// Nothing: it works for its job, or its runner does.
    Leave,
    /// Its job is queued while its runner runs another: a check is started.
    Check,
    /// Its job left the queue and it has no task: if it waits for its next attempt, that is ended.
    EndWait,
}

/// Decides that from GitHub's word about the job, whether the execution's runner runs a job, and
/// whether it has a task.
pub fn attend(job: &JobStatus, runner_busy: bool, has_task: bool) -> Attend {
    match (job, runner_busy, has_task) {
        (JobStatus::Queued, true, _) => Attend::Check,
        (JobStatus::Queued, false, _) | (_, _, true) => Attend::Leave,
        (_, _, false) => Attend::EndWait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_follow_their_table() {
        let cases = [
            ("TIMED_OUT", None, 1, Restart::IfQueued),
            ("FAILED", Some("AwsUnavailable"), 1, Restart::IfQueued),
            ("FAILED", Some("Lambda.Unknown"), 2, Restart::IfQueued),
            ("FAILED", Some("BudgetSpent"), 1, Restart::IfQueued),
            ("FAILED", Some("BudgetSpent"), 3, Restart::Leave),
            ("FAILED", Some("AppNotInstalled"), 1, Restart::Leave),
            ("FAILED", Some("ImageMissing"), 1, Restart::Leave),
            ("FAILED", Some("Unmatched"), 1, Restart::Leave),
            ("FAILED", Some("NeverPickedUp"), 1, Restart::Leave),
            ("ABORTED", None, 1, Restart::Leave),
        ];
        for (status, error, number, expected) in cases {
            assert_eq!(
                restart(status, error, number),
                expected,
                "{status} {error:?} {number}"
            );
        }
    }

    #[test]
    fn a_queued_event_finds_somebody_or_starts_somebody() {
        let cases = [
            (None, false, OnQueued::Start { recheck: false }),
            (None, true, OnQueued::Start { recheck: true }),
            (Some(Status::Running), false, OnQueued::Leave),
            (Some(Status::Succeeded), false, OnQueued::Follow),
            (Some(Status::Failed), true, OnQueued::Follow),
            (Some(Status::TimedOut), false, OnQueued::Follow),
            (Some(Status::Aborted), true, OnQueued::Follow),
        ];
        for (latest, old, expected) in cases {
            assert_eq!(on_queued(latest, old), expected, "{latest:?} {old}");
        }
    }

    #[test]
    fn a_queued_job_whose_runner_runs_another_is_checked() {
        let running = JobStatus::InProgress { runner: None };
        assert_eq!(attend(&JobStatus::Queued, true, true), Attend::Check);
        assert_eq!(attend(&JobStatus::Queued, false, true), Attend::Leave);
        assert_eq!(attend(&JobStatus::Queued, false, false), Attend::Leave);
        assert_eq!(attend(&running, true, true), Attend::Leave);
        assert_eq!(attend(&running, false, false), Attend::EndWait);
    }
}
