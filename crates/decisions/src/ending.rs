//! What may be ended: runners, their tasks, what they leave behind.

use std::time::Duration;

use protocol::{Fault, State};

use crate::job::JobStatus;
use crate::outcome::Ended;
use crate::outcomes::Outcome;
use crate::ownership::Status;

/// A runner may take this long from its task's start until it listens; nothing younger is idle.
const BOOT_LIMIT: Duration = Duration::from_mins(10);

/// A runner listens within this time from its container's start, or its agent has ended it: longer than
/// the agent waits for the first connection (about three minutes).
const LISTEN_LIMIT: Duration = Duration::from_mins(4);
/// A task ends this soon after its runner's job. GitHub forgets the runner as the job completes, the
/// listener ends then, and the agent ends a listener that does not.
const END_LIMIT: Duration = Duration::from_mins(5);
/// The same where the runner may have run another job than its own, of which nothing is known here.
const OTHER_END_LIMIT: Duration = Duration::from_hours(1);
/// So often GitHub has to be asked for a runner by its name, and not know it each time, before that
/// counts: one answer may be a page read while it changed, or an outage.
const LOOKS: u32 = 2;

/// What is seen of a runner that somebody would like to be rid of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Four facts, each seen on its own.
pub struct RunnerSeen {
    /// GitHub says that it runs a job.
    pub busy: bool,
    /// GitHub says that it is connected.
    pub online: bool,
    /// Whether a task of ours runs it.
    pub has_task: bool,
    /// How long ago its task was created, or its registration issued.
    pub age: Duration,
    /// Whether its own job was cancelled before any runner took it.
    pub cancelled: bool,
}

/// What may be done about a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retire {
    /// Nothing.
    Leave,
    /// Delete it at GitHub, and stop its task only where [`may_stop`] allows it then.
    Delete,
}

/// Decides whether a runner may be retired. `idle` is how long a runner may listen without a job; it
/// is never less than two minutes, because somebody may be counting on a runner whose own job ran
/// elsewhere.
pub fn retire(seen: RunnerSeen, idle: Duration) -> Retire {
    let idle = idle.max(Duration::from_mins(2));
    let surplus = match (seen.online, seen.has_task) {
        (true, _) => seen.age >= idle,
        // Registered, no longer running and not about to: a leftover.
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

/// GitHub's answer to the deletion of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// 204: it is deleted and gets no job any more.
    Granted,
    /// 404: it ended, or ends by itself.
    Absent,
    /// 422: it runs somebody's job.
    Refused,
}

/// Whether a runner's task may be stopped. Whatever was seen of the runner before may be out of date;
/// GitHub's word that it is deleted cannot be.
pub fn may_stop(answer: Deletion) -> bool {
    answer == Deletion::Granted
}

/// What is seen of a task whose runner is missing where GitHub lists all runners of the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsentRunner<'a> {
    /// How often GitHub, asked for this very runner by its name, has not known it, without a pause
    /// in which it did.
    pub unknown: u32,
    /// How long ago its task's containers started.
    pub up_for: Duration,
    /// Whether the execution that started it still works for its job.
    pub execution_runs: bool,
    /// Where that job stands at GitHub; `None` where GitHub was not asked or did not say.
    pub job: Option<&'a JobStatus>,
    /// How long ago that job completed, if it has.
    pub over_for: Option<Duration>,
    /// Whether this very runner ran it.
    pub ran_it: bool,
}

/// What is done about such a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnAbsent {
    /// Nothing: it ends by itself, or may run somebody's job.
    Leave,
    /// It listens for nothing while its own job is queued or held back: it is stopped, and its
    /// execution launches again if the job is queued then.
    StopGhost,
    /// Its job is over and it has not ended: it is stopped, and its execution ends.
    StopHung,
    /// Nobody waits for it any more: it is stopped.
    StopOrphan,
}

/// Decides that. GitHub lists a runner for as long as it runs a job, so one that GitHub does not know
/// can be given nothing and runs nothing; but GitHub has to be sure.
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

/// What is done about an execution whose job was cancelled before any runner took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// It has no task: it is stopped.
    Stop,
    /// It has a task, and stopping it would stop that, busy or not: its runner is retired, and it
    /// ends by itself when the task does.
    RetireRunner,
    /// It ends by itself.
    Leave,
    /// It is on its way to a task: look again.
    LookAgain,
}

/// Decides that by the state that the execution entered last; none where it is not known, as where a
/// newer version of the state machine has another.
pub fn on_cancel(state: Option<State>) -> OnCancel {
    match state {
        Some(State::Wait) => OnCancel::Stop,
        Some(State::Runner) => OnCancel::RetireRunner,
        Some(State::Cleanup | State::WaitForGitHub | State::Failed | State::Unmatched) => {
            OnCancel::Leave
        }
        Some(State::Match | State::Launch | State::Token) | None => OnCancel::LookAgain,
    }
}

/// Whether the event of a task's end is followed by removing what *that task's* runner left. An
/// execution that runs does it itself, and its present attempt may be a later one.
pub fn cleans_after_task(execution: Status) -> bool {
    execution != Status::Running
}

impl Ended {
    /// Whether the attempt may have left its registration in SSM. An agent deletes it before the
    /// listener starts, so one that ran a job left none. A call saved for every happy job counts:
    /// SSM's rate limit is the first that a burst meets.
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

    /// Whether GitHub is asked about the job. It is not where it has just answered, where it has
    /// asked to be left alone, and where what is wrong would only be wrong again.
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
                "nobody said where its job stands",
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
                "nobody waits for it",
                AbsentRunner {
                    execution_runs: false,
                    job: None,
                    ..seen
                },
                OnAbsent::StopOrphan,
            ),
            (
                "nobody waits for it, says one answer",
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
            assert_eq!(stops, *state == State::Wait, "{state}");
        }
        assert_eq!(on_cancel(None), OnCancel::LookAgain);
    }

    #[test]
    fn an_execution_that_runs_cleans_up_itself() {
        assert!(!cleans_after_task(Status::Running));
        assert!(cleans_after_task(Status::Aborted));
    }
}
