//! Decides which execution owns a job.
//!
//! Every queued job has an owner: an execution that asks GitHub before it ends, or a pending check.

use protocol::{Class, State};

use crate::give_up::{Failure, GiveUp};
use crate::job::JobStatus;

/// Maximum number of a job's failed executions that are restarted automatically.
const RESTART_LIMIT: u32 = 3;

/// Maximum number of a job's executions until its `queued` events start no more. Somebody who has
/// captured a signed delivery can send it again and again, and each time would cost an execution.
const EVENT_LIMIT: u32 = 5;

/// An execution's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Running.
    Running,
    /// Succeeded.
    Succeeded,
    /// Failed.
    Failed,
    /// Exceeded the state machine's timeout.
    TimedOut,
    /// Aborted.
    Aborted,
}

impl Status {
    /// Step Functions' text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }

    /// Parses Step Functions' status. An unknown status (such as pending redrive) counts as
    /// running.
    pub fn from_name(name: &str) -> Self {
        [Self::Succeeded, Self::Failed, Self::TimedOut, Self::Aborted]
            .into_iter()
            .find(|status| status.name() == name)
            .unwrap_or(Self::Running)
    }

    /// Whether it ended without having served its job, and was not aborted.
    pub const fn has_failed(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// What to do about a `queued` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnQueued {
    /// Start the job's first execution.
    Start {
        /// Whether it asks GitHub first if the job is still queued.
        recheck: bool,
    },
    /// The last execution is closed: start the next one, which asks GitHub first.
    Follow,
    /// An execution is running. It may have asked GitHub already, found the job held back, and be
    /// about to end: [`on_queued_again`] handles that.
    Watch,
    /// Events have started enough executions of the job: start nothing.
    Enough,
}

/// Decides what follows a `queued` event. `latest` is the job's last execution of `executions`, `old`
/// whether the event is older than a minute, so that the job may already be served.
///
/// A closed execution is followed whatever its status: after an approval the same job is queued
/// again, and an operator who presses *Redeliver* has fixed something.
pub fn on_queued(latest: Option<Status>, executions: u32, old: bool) -> OnQueued {
    match latest {
        None => OnQueued::Start { recheck: old },
        Some(Status::Running) => OnQueued::Watch,
        Some(_) if executions >= EVENT_LIMIT => OnQueued::Enough,
        Some(_) => OnQueued::Follow,
    }
}

/// What to do about a queued job that no webhook reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnannounced {
    Leave,
    /// Start its first or next execution, which asks GitHub first.
    Begin,
}

/// Decides from the job's last execution.
///
/// A successful execution saw the job leave the queue; it is back since, for example after an
/// approval. A failed one is restarted by [`restart`] or an operator; an abort was deliberate.
pub fn on_unannounced(latest: Option<Status>) -> OnUnannounced {
    match latest {
        None | Some(Status::Succeeded) => OnUnannounced::Begin,
        Some(Status::Running | Status::Failed | Status::TimedOut | Status::Aborted) => {
            OnUnannounced::Leave
        }
    }
}

/// What to do about a job that was queued again while its execution runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnQueuedAgain {
    /// Nothing: it will ask GitHub before it ends, or events have started enough executions.
    Leave,
    /// It may have asked GitHub before the job was queued again: look again.
    LookAgain,
    /// It is closed, or counts an earlier stay in the queue: start the next one, which asks GitHub
    /// first.
    Follow,
}

/// Decides by the job's last execution of `executions` and the state that it entered last; `None` if
/// unknown, for example if a newer version of the state machine has another state. `new_stay` is
/// whether that execution counts an earlier stay of the job in the queue. It would give up before the
/// new stay is over, so it hands over to another one.
pub fn on_queued_again(
    latest: Status,
    executions: u32,
    state: Option<State>,
    new_stay: bool,
) -> OnQueuedAgain {
    let enough = executions >= EVENT_LIMIT;
    match (latest, state) {
        (Status::Running, _) if new_stay && !enough => OnQueuedAgain::Follow,
        (
            Status::Running,
            Some(
                State::Match
                | State::Launch
                | State::Start
                | State::Runner
                | State::WarmRunner
                | State::Wait
                | State::WaitForSlot
                | State::WaitForGitHub,
            ),
        ) => OnQueuedAgain::Leave,
        (
            Status::Running,
            Some(State::Token | State::Cleanup | State::Failed | State::Unmatched) | None,
        ) => OnQueuedAgain::LookAgain,
        _ if enough => OnQueuedAgain::Leave,
        _ => OnQueuedAgain::Follow,
    }
}

/// Whether another execution follows a closed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    Leave,
    /// If GitHub says that the job is still queued.
    IfQueued,
    /// If also a runner of this deployment has had a job since the execution ended: then GitHub
    /// assigns jobs again, or someone has corrected the runner group.
    IfPickedUp,
}

/// Decides whether to restart a closed execution. `failure` is its error, `failures` the number of
/// the job's executions that [count as failures](counts_as_failure), including this one. The
/// execution's number would not do: checks of a displaced job are numbered too.
pub fn restart(status: Status, failure: Option<Failure>, failures: u32) -> Restart {
    if failures >= RESTART_LIMIT {
        return Restart::Leave;
    }
    match status {
        Status::TimedOut => Restart::IfQueued,
        Status::Failed => match failure {
            Some(Failure::Named(reason)) => restart_after(reason),
            Some(Failure::Permissions) => Restart::Leave,
            Some(Failure::LambdaService | Failure::Unknown) | None => Restart::IfQueued,
        },
        // An abort was deliberate; never restart it.
        Status::Running | Status::Succeeded | Status::Aborted => Restart::Leave,
    }
}

/// Whether an execution that failed for this reason is restarted: if the reason may be gone next
/// time.
fn restart_after(reason: GiveUp) -> Restart {
    match reason {
        GiveUp::NeverPickedUp => Restart::IfPickedUp,
        GiveUp::BudgetSpent => Restart::IfQueued,
        GiveUp::Fault(fault) => match fault.class() {
            Class::Transient => Restart::IfQueued,
            Class::Verdict | Class::Permanent => Restart::Leave,
        },
        GiveUp::QueueLimit
        | GiveUp::JobCancelled
        | GiveUp::RunnerTooOld
        | GiveUp::ImageRefused
        | GiveUp::Misconfigured
        | GiveUp::TaskRefused
        | GiveUp::StepRefused => Restart::Leave,
    }
}

/// Whether an execution counts toward the restart limit. One that ended because of an outage or a
/// rate limit does not: the next one starts only after GitHub said that the job is still queued, so
/// the job's day in the queue bounds those.
pub fn counts_as_failure(status: Status, failure: Option<Failure>) -> bool {
    status.has_failed() && !(status == Status::Failed && failure.is_some_and(Failure::is_external))
}

/// Whether to check a job whose runner got another job. `execution` is the status of that runner's
/// execution, `job` the job's status, if known. Checks unless a runner took the job or the
/// execution was aborted, because an abort was deliberate.
pub fn checks_displaced(execution: Status, job: Option<&JobStatus>) -> bool {
    execution != Status::Aborted && job.is_none_or(|job| *job == JobStatus::Queued)
}

/// What a sweep does about an execution that may be waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attend {
    /// Nothing: the execution owns the job, or its runner runs it.
    Leave,
    /// Its job is queued while its runner runs another: start a check.
    Check,
    /// Its job left the queue and it has no task: if it waits for its next attempt, or for a warm task
    /// whose end nobody can tell it any more, stop it.
    EndWait,
    /// Its job is queued and it has no task: if it waits for such a warm task, start a check and stop it.
    HandOver,
}

/// Decides from the job's status, whether the execution's runner has a job, and whether the
/// execution has a task.
pub fn attend(job: &JobStatus, runner_busy: bool, has_task: bool) -> Attend {
    match (job, runner_busy, has_task) {
        (JobStatus::Queued, true, _) => Attend::Check,
        (_, _, true) => Attend::Leave,
        (JobStatus::Queued, false, false) => Attend::HandOver,
        (_, _, false) => Attend::EndWait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_follow_their_table() {
        let cases = [
            (Status::TimedOut, None, 1, Restart::IfQueued),
            (Status::Failed, Some("AwsUnavailable"), 1, Restart::IfQueued),
            (Status::Failed, Some("Lambda.Unknown"), 2, Restart::IfQueued),
            (Status::Failed, Some("BudgetSpent"), 1, Restart::IfQueued),
            (Status::Failed, Some("BudgetSpent"), 3, Restart::Leave),
            (Status::Failed, Some("AppNotInstalled"), 1, Restart::Leave),
            (Status::Failed, Some("ImageRefused"), 1, Restart::Leave),
            (Status::Failed, Some("Unmatched"), 1, Restart::Leave),
            (
                Status::Failed,
                Some("NeverPickedUp"),
                1,
                Restart::IfPickedUp,
            ),
            (Status::Failed, Some("NeverPickedUp"), 3, Restart::Leave),
            (Status::Failed, Some("QueueLimit"), 1, Restart::Leave),
            (Status::Failed, Some("JobCancelled"), 1, Restart::Leave),
            (
                Status::Failed,
                Some("States.Permissions"),
                1,
                Restart::Leave,
            ),
            (Status::Failed, Some("Throttled"), 1, Restart::IfQueued),
            (Status::Aborted, None, 1, Restart::Leave),
        ];
        for (status, error, failures, expected) in cases {
            assert_eq!(
                restart(status, error.map(Failure::from_name), failures),
                expected,
                "{status:?} {error:?} {failures}"
            );
        }
    }

    #[test]
    fn an_outage_spends_no_restart() {
        for error in [
            "GitHubUnavailable",
            "GitHubRateLimited",
            "AwsUnavailable",
            "Throttled",
            "Lambda.ServiceException",
        ] {
            let failure = Some(Failure::from_name(error));
            assert!(!counts_as_failure(Status::Failed, failure), "{error}");
        }
        for (status, error) in [
            (Status::Failed, Some("BudgetSpent")),
            (Status::Failed, Some("NeverPickedUp")),
            (Status::Failed, Some("Runtime.ExitError")),
            (Status::Failed, None),
            (Status::TimedOut, None),
        ] {
            let failure = error.map(Failure::from_name);
            assert!(counts_as_failure(status, failure), "{status:?} {error:?}");
        }
        assert!(!counts_as_failure(Status::Aborted, None));
    }

    #[test]
    fn a_queued_event_finds_somebody_or_starts_somebody() {
        let cases = [
            (None, false, OnQueued::Start { recheck: false }),
            (None, true, OnQueued::Start { recheck: true }),
            (Some(Status::Running), false, OnQueued::Watch),
            (Some(Status::Succeeded), false, OnQueued::Follow),
            (Some(Status::Failed), true, OnQueued::Follow),
            (Some(Status::TimedOut), false, OnQueued::Follow),
            (Some(Status::Aborted), true, OnQueued::Follow),
        ];
        for (latest, old, expected) in cases {
            assert_eq!(on_queued(latest, 1, old), expected, "{latest:?} {old}");
        }
    }

    #[test]
    fn events_begin_five_executions_of_a_job_and_no_more() {
        let closed = [
            Status::Succeeded,
            Status::Failed,
            Status::TimedOut,
            Status::Aborted,
        ];
        for latest in closed {
            for (executions, queued, again) in [
                (4, OnQueued::Follow, OnQueuedAgain::Follow),
                (5, OnQueued::Enough, OnQueuedAgain::Leave),
                (9, OnQueued::Enough, OnQueuedAgain::Leave),
            ] {
                assert_eq!(on_queued(Some(latest), executions, true), queued);
                assert_eq!(on_queued_again(latest, executions, None, false), again);
            }
        }
        // One that is at work asks GitHub anyway, and its own stay in the queue has to do.
        assert_eq!(on_queued(Some(Status::Running), 5, true), OnQueued::Watch);
        let waits =
            |executions| on_queued_again(Status::Running, executions, Some(State::Wait), true);
        assert_eq!(waits(4), OnQueuedAgain::Follow);
        assert_eq!(waits(5), OnQueuedAgain::Leave);
    }

    #[test]
    fn a_job_that_no_webhook_told_of_is_begun_unless_somebody_works_for_it_or_decided() {
        for latest in [None, Some(Status::Succeeded)] {
            assert_eq!(on_unannounced(latest), OnUnannounced::Begin, "{latest:?}");
        }
        for latest in [
            Status::Running,
            Status::Failed,
            Status::TimedOut,
            Status::Aborted,
        ] {
            let decided = on_unannounced(Some(latest));
            assert_eq!(decided, OnUnannounced::Leave, "{latest:?}");
        }
    }

    #[test]
    fn an_execution_that_may_have_asked_already_is_looked_at_again() {
        let running = |state| on_queued_again(Status::Running, 1, state, false);
        for state in [
            State::Match,
            State::Launch,
            State::Start,
            State::Runner,
            State::WarmRunner,
            State::Wait,
            State::WaitForSlot,
            State::WaitForGitHub,
        ] {
            assert_eq!(running(Some(state)), OnQueuedAgain::Leave, "{state}");
        }
        for state in [Some(State::Token), Some(State::Cleanup), None] {
            assert_eq!(running(state), OnQueuedAgain::LookAgain, "{state:?}");
        }
        assert_eq!(
            on_queued_again(Status::Succeeded, 1, Some(State::Cleanup), false),
            OnQueuedAgain::Follow
        );
        assert_eq!(
            on_queued_again(Status::Running, 1, Some(State::Wait), true),
            OnQueuedAgain::Follow,
            "its day in the queue ends before the job's"
        );
    }

    #[test]
    fn a_displaced_job_is_checked_unless_it_was_taken_or_aborted() {
        let running = JobStatus::IN_PROGRESS;
        for status in [Status::Running, Status::Succeeded, Status::Failed] {
            assert!(checks_displaced(status, Some(&JobStatus::Queued)));
            assert!(checks_displaced(status, None), "GitHub could not be asked");
            assert!(!checks_displaced(status, Some(&running)));
        }
        assert!(!checks_displaced(Status::Aborted, Some(&JobStatus::Queued)));
        assert!(!checks_displaced(Status::Aborted, None));
    }

    #[test]
    fn a_queued_job_whose_runner_runs_another_is_checked() {
        let running = JobStatus::IN_PROGRESS;
        assert_eq!(attend(&JobStatus::Queued, true, true), Attend::Check);
        assert_eq!(attend(&JobStatus::Queued, false, true), Attend::Leave);
        assert_eq!(attend(&JobStatus::Queued, false, false), Attend::HandOver);
        assert_eq!(attend(&running, true, true), Attend::Leave);
        assert_eq!(attend(&running, false, false), Attend::EndWait);
    }
}
