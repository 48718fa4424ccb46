//! What may be stopped or deleted: runners, their tasks, their leftovers.

use std::time::Duration;

use protocol::{Fault, State};

use crate::job::JobStatus;
use crate::outcome::Ended;
use crate::outcomes::Outcome;
use crate::ownership::Status;

/// The longest time from a task's start until its runner listens; a younger runner is not idle.
const BOOT_LIMIT: Duration = Duration::from_mins(10);

/// A runner listens within this time after its container started, or its agent ends it. Longer than
/// the agent waits for the first connection (about three minutes).
const LISTEN_LIMIT: Duration = Duration::from_mins(4);
/// A task ends this soon after its runner's job. GitHub removes the runner when the job completes,
/// the listener exits then, and the agent ends a listener that does not.
const END_LIMIT: Duration = Duration::from_mins(5);
/// The same if the runner may have run another job, about which nothing is known here.
const OTHER_END_LIMIT: Duration = Duration::from_hours(1);
/// How often GitHub must not find a runner by its name before that counts: a single answer may be a
/// page that changed during the read, or an outage.
const LOOKS: u32 = 2;

/// What is known about a runner that may be retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Four independent facts.
pub struct RunnerSeen {
    /// GitHub says that it runs a job.
    pub busy: bool,
    /// GitHub says that it is connected.
    pub online: bool,
    /// Whether a task of this deployment runs it.
    pub has_task: bool,
    /// Age of its task, or of its registration.
    pub age: Duration,
    /// Whether its own job was cancelled before a runner took it.
    pub cancelled: bool,
}

/// What to do about a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retire {
    Leave,
    /// Delete it at GitHub, and stop its task only if [`may_stop`] then allows it.
    Delete,
}

/// Decides whether a runner may be retired. `idle` is how long a runner may listen without a job.
/// It is at least two minutes, because a job may depend on a runner whose own job ran elsewhere.
pub fn retire(seen: RunnerSeen, idle: Duration) -> Retire {
    let idle = idle.max(Duration::from_mins(2));
    let surplus = match (seen.online, seen.has_task) {
        (true, _) => seen.age >= idle,
        // Registered, but its task has ended: a leftover.
        (false, false) => seen.age >= BOOT_LIMIT,
        // Still booting, or ended by its own watchdog: the task's end cleans up.
        (false, true) => false,
    };
    if !seen.busy && (seen.cancelled || surplus) {
        Retire::Delete
    } else {
        Retire::Leave
    }
}

/// GitHub's response to the deletion of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// 204: deleted; it gets no more jobs.
    Granted,
    /// 404: it has ended, or is about to.
    Absent,
    /// 422: it has a job.
    Refused,
}

/// Whether a runner's task may be stopped. Everything else that is known about the runner may be
/// out of date; GitHub's deletion cannot be.
pub fn may_stop(answer: Deletion) -> bool {
    answer == Deletion::Granted
}

/// What is known about a task whose runner is missing from GitHub's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsentRunner<'a> {
    /// How often in a row GitHub did not find this runner by its name.
    pub unknown: u32,
    /// Time since its task's containers started.
    pub up_for: Duration,
    /// Whether the execution that started it still runs.
    pub execution_runs: bool,
    /// The job's status at GitHub; `None` if unknown.
    pub job: Option<&'a JobStatus>,
    /// Time since the job completed.
    pub over_for: Option<Duration>,
    /// Whether this runner ran the job.
    pub ran_it: bool,
}

/// What to do about such a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnAbsent {
    /// Nothing: it ends by itself, or may run a job.
    Leave,
    /// It listens in vain while its own job is queued or held back. Stop it; its execution retries
    /// if the job is queued then.
    StopGhost,
    /// Its job is over and it has not ended. Stop it; its execution ends.
    StopHung,
    /// Nothing depends on it any more. Stop it.
    StopOrphan,
}

/// Decides what to do about such a task. GitHub lists a runner as long as it runs a job, so a
/// runner that GitHub does not know has no job and gets none; but the answer must repeat.
pub fn on_absent(seen: AbsentRunner<'_>) -> OnAbsent {
    if seen.unknown < LOOKS || seen.up_for < LISTEN_LIMIT {
        return OnAbsent::Leave;
    }
    if !seen.execution_runs {
        return OnAbsent::StopOrphan;
    }
    let limit = if seen.ran_it {
        END_LIMIT
    } else {
        OTHER_END_LIMIT
    };
    match seen.job {
        Some(JobStatus::Queued | JobStatus::Waiting) => OnAbsent::StopGhost,
        Some(JobStatus::Absent) => OnAbsent::StopHung,
        Some(JobStatus::Completed { .. }) if seen.over_for.is_some_and(|over| over >= limit) => {
            OnAbsent::StopHung
        }
        _ => OnAbsent::Leave,
    }
}

/// What to do about an execution whose job was cancelled before a runner took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// It has no task: stop it.
    Stop,
    /// It has a task, and stopping the execution would stop the task, busy or not. Retire its
    /// runner; the execution ends with the task.
    RetireRunner,
    /// It ends by itself.
    Leave,
    /// It is about to start a task: look again.
    LookAgain,
}

/// Decides by the state that the execution entered last; `None` if unknown, for example if a newer
/// version of the state machine has another state.
pub fn on_cancel(state: Option<State>) -> OnCancel {
    match state {
        Some(State::Wait | State::WaitForSlot) => OnCancel::Stop,
        Some(State::Runner | State::WarmRunner) => OnCancel::RetireRunner,
        Some(State::Cleanup | State::WaitForGitHub | State::Failed | State::Unmatched) => {
            OnCancel::Leave
        }
        Some(State::Match | State::Launch | State::Token | State::Start) | None => {
            OnCancel::LookAgain
        }
    }
}

/// Whether to remove what a stopped task's runner left. A running execution does that itself, and
/// its current attempt may be a later one.
pub fn cleans_after_task(execution: Status) -> bool {
    execution != Status::Running
}

impl Ended {
    /// Whether the attempt may have left its registration in SSM. The agent deletes it before the
    /// listener starts, so a runner that ran a job left none. The saved call matters: a burst meets
    /// SSM's rate limit first.
    pub fn leaves_a_registration(&self) -> bool {
        !matches!(
            self.outcome,
            Outcome::RanJob
                | Outcome::LostInJob
                | Outcome::WorkerDied
                | Outcome::ExhaustedInJob
                | Outcome::NotNeeded
        )
    }

    /// Whether the attempt may have left its runner registered at GitHub.
    pub fn leaves_a_runner(&self) -> bool {
        !matches!(self.outcome, Outcome::RanJob | Outcome::EndedWithoutJob)
    }

    /// Whether to ask GitHub about the job. Not if it has just answered, if it rate limited us, or
    /// if the same error would repeat.
    pub fn asks_github(&self) -> bool {
        let permanent_step =
            self.outcome == Outcome::StepRefused && self.fault != Some(Fault::AwsRefused);
        self.outcome != Outcome::NotNeeded
            && self.fault != Some(Fault::GitHubRateLimited)
            && !permanent_step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retirement_follows_its_table() {
        let idle = Duration::from_mins(10);
        let seen = |busy, online, has_task, age, cancelled| RunnerSeen {
            busy,
            online,
            has_task,
            age: Duration::from_secs(age),
            cancelled,
        };
        let cases = [
            (
                "busy is left alone, whatever else",
                seen(true, true, true, 90_000, true),
                Retire::Leave,
            ),
            (
                "idle for long is deleted",
                seen(false, true, true, 601, false),
                Retire::Delete,
            ),
            (
                "idle for less is left",
                seen(false, true, true, 599, false),
                Retire::Leave,
            ),
            (
                "booting is left",
                seen(false, false, true, 3_000, false),
                Retire::Leave,
            ),
            (
                "a leftover is deleted",
                seen(false, false, false, 601, false),
                Retire::Delete,
            ),
            (
                "one that may yet start is left",
                seen(false, false, false, 60, false),
                Retire::Leave,
            ),
            (
                "a cancelled job's runner is deleted at once",
                seen(false, false, true, 5, true),
                Retire::Delete,
            ),
        ];
        for (name, seen, expected) in cases {
            assert_eq!(retire(seen, idle), expected, "{name}");
        }
        assert_eq!(
            retire(seen(false, true, true, 119, false), Duration::ZERO),
            Retire::Leave
        );
    }

    #[test]
    fn a_task_whose_runner_github_does_not_know_follows_its_table() {
        const QUEUED: Option<&JobStatus> = Some(&JobStatus::Queued);
        let completed = JobStatus::COMPLETED;
        let running = JobStatus::IN_PROGRESS;
        let seen = AbsentRunner {
            unknown: 2,
            up_for: Duration::from_mins(4),
            execution_runs: true,
            job: QUEUED,
            over_for: None,
            ran_it: false,
        };
        let over = |minutes, ran_it| AbsentRunner {
            job: Some(&completed),
            over_for: Some(Duration::from_mins(minutes)),
            ran_it,
            ..seen
        };
        let cases = [
            ("a ghost blocks its job", seen, OnAbsent::StopGhost),
            (
                "a ghost waits for a job that is held back",
                AbsentRunner {
                    job: Some(&JobStatus::Waiting),
                    ..seen
                },
                OnAbsent::StopGhost,
            ),
            (
                "its job is gone",
                AbsentRunner {
                    job: Some(&JobStatus::Absent),
                    ..seen
                },
                OnAbsent::StopHung,
            ),
            (
                "GitHub was asked once",
                AbsentRunner { unknown: 1, ..seen },
                OnAbsent::Leave,
            ),
            (
                "it may not listen yet",
                AbsentRunner {
                    up_for: Duration::from_secs(239),
                    ..seen
                },
                OnAbsent::Leave,
            ),
            (
                "the status of its job is unknown",
                AbsentRunner { job: None, ..seen },
                OnAbsent::Leave,
            ),
            (
                "its job is being run",
                AbsentRunner {
                    job: Some(&running),
                    ..seen
                },
                OnAbsent::Leave,
            ),
            ("its job ended a moment ago", over(4, true), OnAbsent::Leave),
            ("it hangs after its job", over(5, true), OnAbsent::StopHung),
            (
                "another ran its job, and it may have run another's",
                over(59, false),
                OnAbsent::Leave,
            ),
            (
                "it hangs after another's job",
                over(60, false),
                OnAbsent::StopHung,
            ),
            (
                "nothing depends on it",
                AbsentRunner {
                    execution_runs: false,
                    job: None,
                    ..seen
                },
                OnAbsent::StopOrphan,
            ),
            (
                "nothing depends on it, by one answer only",
                AbsentRunner {
                    execution_runs: false,
                    unknown: 1,
                    ..seen
                },
                OnAbsent::Leave,
            ),
        ];
        for (name, seen, expected) in cases {
            assert_eq!(on_absent(seen), expected, "{name}");
        }
    }

    #[test]
    fn only_what_github_has_deleted_is_stopped() {
        assert!(may_stop(Deletion::Granted));
        assert!(!may_stop(Deletion::Absent));
        assert!(!may_stop(Deletion::Refused));
    }

    #[test]
    fn only_an_execution_that_waits_is_stopped() {
        for state in State::ALL {
            let stops = on_cancel(Some(*state)) == OnCancel::Stop;
            let waits = [State::Wait, State::WaitForSlot].contains(state);
            assert_eq!(stops, waits, "{state}");
        }
        assert_eq!(on_cancel(None), OnCancel::LookAgain);
    }

    #[test]
    fn an_execution_that_runs_cleans_up_itself() {
        assert!(!cleans_after_task(Status::Running));
        assert!(cleans_after_task(Status::Aborted));
    }
}
