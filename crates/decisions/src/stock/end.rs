//! The end of warm tasks: who is told, and what becomes of a task that nobody owns.

use std::time::Duration;

use protocol::State;

use super::claim::Bell;
use crate::ownership::Status;

/// A task without a ticket may be in the hands of a claim or a retirement for this long.
const ORPHAN_LIMIT: Duration = Duration::from_mins(5);
/// A task that was told to leave looks at its bell every half second.
const LEAVE_LIMIT: Duration = Duration::from_mins(10);
/// The event of a task's end comes within seconds; a wait is looked at when it is older than this.
const WAIT_LIMIT: Duration = Duration::from_mins(5);
/// A wait that nobody needs any more is kept this long, for duplicates of the event.
const TOLD_LIMIT: Duration = Duration::from_hours(1);

/// The wait for a task, as the write that notes the task's end returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitSeen {
    /// No execution waits. It comes later and finds the end, or it never comes.
    None,
    /// An execution waits, and has not been told.
    Waiting,
    /// The execution has been told, or has found the end.
    Ended,
}

/// What to do about it once the end is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnWarmEnd {
    /// Send the task to the state machine, then remove the token of its wait.
    Tell,
    /// Nothing: the noted end is all that a later execution needs.
    Tombstone,
}

/// Decides what follows the end of a warm task. A duplicate of the event decides alike.
pub fn on_warm_task_end(seen: WaitSeen) -> OnWarmEnd {
    match seen {
        WaitSeen::Waiting => OnWarmEnd::Tell,
        WaitSeen::None | WaitSeen::Ended => OnWarmEnd::Tombstone,
    }
}

/// A wait that `sweep` finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingSeen {
    /// Time since it was written.
    pub age: Duration,
    /// Whether its execution is still to be told.
    pub waiting: bool,
    /// Whether the task's end is noted, or ECS says that it ended or is unknown.
    pub ended: bool,
}

/// What `sweep` does about a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnWait {
    Leave,
    /// The event of the task's end was lost, or its handling: do what it would have done.
    End,
    /// Nobody needs it any more.
    Delete,
}

/// Decides what `sweep` does about a wait.
pub fn on_wait(seen: WaitingSeen) -> OnWait {
    match (seen.waiting, seen.ended) {
        (true, true) if seen.age >= WAIT_LIMIT => OnWait::End,
        (false, true) if seen.age >= TOLD_LIMIT => OnWait::Delete,
        _ => OnWait::Leave,
    }
}

/// An execution without a task, as `sweep` finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrandedSeen {
    /// The state that it entered last; `None` if unknown.
    pub state: Option<State>,
    /// Time since it entered that.
    pub age: Duration,
    /// Whether ECS says that its adopted task ended, or does not know it.
    pub ended: bool,
    /// Whether the table still has the token by which it can be told.
    pub has_wait: bool,
}

/// Whether nobody can tell an execution any more that its warm task has ended: the table lost the wait,
/// or went with the last pool. It would wait until the time limit of its job.
pub fn is_stranded(seen: StrandedSeen) -> bool {
    seen.state == Some(State::WarmRunner) && seen.age >= WAIT_LIMIT && seen.ended && !seen.has_wait
}

/// A running task of the stock's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrphanSeen {
    /// Time since it was created.
    pub age: Duration,
    /// Whether its ticket exists.
    pub has_ticket: bool,
    /// Whether it is tagged with a runner. A claim tags its task before it rings.
    pub has_runner: bool,
    /// Its bell, by a consistent read.
    pub bell: Option<Bell>,
    /// Time since the bell was written.
    pub told_for: Duration,
}

/// What `sweep` does about such a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOrphan {
    Leave,
    /// Put its bell `leave`, if there is none.
    TellToLeave,
    /// It does not read its bell: stop it.
    Stop,
}

/// Decides what becomes of a task without a ticket.
///
/// It may have been claimed and never rung, so it is told to leave whatever its tags: the write
/// fails if it was rung. It is stopped only without a runner's tag: a bell alone does not prove that
/// it never took a registration, because the table may have lost an earlier one.
pub fn on_orphan(seen: OrphanSeen) -> OnOrphan {
    if seen.has_ticket || seen.age < ORPHAN_LIMIT {
        return OnOrphan::Leave;
    }
    match seen.bell {
        None => OnOrphan::TellToLeave,
        Some(Bell::Leave) if !seen.has_runner && seen.told_for >= LEAVE_LIMIT => OnOrphan::Stop,
        Some(Bell::Leave | Bell::Ring | Bell::Taken) => OnOrphan::Leave,
    }
}

/// How an execution's wait for its adopted task ended before the task did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOver {
    /// The wait could not be written, or its answer was lost. The task may run a job.
    Failed,
    /// The job's time limit ended it.
    TimedOut,
    /// The execution was closed in this state; `None` if the state is unknown.
    Closed {
        status: Status,
        state: Option<State>,
    },
}

/// Whether to stop the adopted task, busy or not.
///
/// Step Functions stops a task that it waits for itself (`runTask.sync`) when an operator aborts the
/// execution or a time limit ends; for an adopted one that is done here. A failed wait stops
/// nothing: what GitHub answers to the runner's deletion decides ([`may_stop`](crate::may_stop)).
pub fn stops_adopted(over: WaitOver) -> bool {
    match over {
        WaitOver::Failed => false,
        WaitOver::TimedOut => true,
        WaitOver::Closed { status, state } => {
            matches!(status, Status::Aborted | Status::TimedOut)
                && matches!(state, Some(State::Start | State::WarmRunner))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_even_if_an_earlier_try_noted_the_end() {
        assert_eq!(on_warm_task_end(WaitSeen::Waiting), OnWarmEnd::Tell);
        assert_eq!(on_warm_task_end(WaitSeen::None), OnWarmEnd::Tombstone);
        assert_eq!(on_warm_task_end(WaitSeen::Ended), OnWarmEnd::Tombstone);
    }

    #[test]
    fn a_lost_end_is_told_and_a_told_one_is_deleted() {
        let seen = |age, waiting, ended| WaitingSeen {
            age: Duration::from_secs(age),
            waiting,
            ended,
        };
        let cases = [
            ("its task runs", seen(90_000, true, false), OnWait::Leave),
            ("the event may come", seen(299, true, true), OnWait::Leave),
            ("the event was lost", seen(300, true, true), OnWait::End),
            ("just told", seen(3_599, false, true), OnWait::Leave),
            ("told", seen(3_600, false, true), OnWait::Delete),
        ];
        for (name, seen, expected) in cases {
            assert_eq!(on_wait(seen), expected, "{name}");
        }
    }

    #[test]
    fn whom_nobody_can_tell_any_more_is_stranded() {
        let stranded = StrandedSeen {
            state: Some(State::WarmRunner),
            age: Duration::from_mins(5),
            ended: true,
            has_wait: false,
        };
        assert!(is_stranded(stranded));
        let others = [
            StrandedSeen {
                has_wait: true,
                ..stranded
            },
            StrandedSeen {
                ended: false,
                ..stranded
            },
            StrandedSeen {
                age: Duration::from_secs(299),
                ..stranded
            },
            StrandedSeen {
                state: None,
                ..stranded
            },
        ];
        assert!(!others.into_iter().any(is_stranded));
        for state in State::ALL {
            let state = Some(*state);
            let there = is_stranded(StrandedSeen { state, ..stranded });
            assert_eq!(there, state == Some(State::WarmRunner), "{state:?}");
        }
    }

    #[test]
    fn a_task_without_an_owner_is_told_and_stopped_only_if_it_never_had_one() {
        let minutes = Duration::from_mins;
        let orphan = OrphanSeen {
            age: minutes(5),
            has_ticket: false,
            has_runner: false,
            bell: None,
            told_for: Duration::ZERO,
        };
        let told = |minutes_ago, has_runner| OrphanSeen {
            bell: Some(Bell::Leave),
            told_for: minutes(minutes_ago),
            has_runner,
            ..orphan
        };
        let bell = |bell| OrphanSeen {
            bell: Some(bell),
            told_for: minutes(900),
            ..orphan
        };
        let in_stock = OrphanSeen {
            has_ticket: true,
            ..orphan
        };
        let young = OrphanSeen {
            age: minutes(4),
            ..orphan
        };
        let claimed = OrphanSeen {
            has_runner: true,
            ..orphan
        };
        let cases = [
            ("in stock", in_stock, OnOrphan::Leave),
            ("young", young, OnOrphan::Leave),
            ("nobody's", orphan, OnOrphan::TellToLeave),
            ("claimed and not rung", claimed, OnOrphan::TellToLeave),
            ("told a moment ago", told(9, false), OnOrphan::Leave),
            ("told and deaf", told(10, false), OnOrphan::Stop),
            ("claimed, told and deaf", told(900, true), OnOrphan::Leave),
            ("adopted", bell(Bell::Taken), OnOrphan::Leave),
            ("rung", bell(Bell::Ring), OnOrphan::Leave),
        ];
        for (name, seen, expected) in cases {
            assert_eq!(on_orphan(seen), expected, "{name}");
        }
    }

    #[test]
    fn an_adopted_task_is_stopped_where_step_functions_would_have_stopped_it() {
        assert!(!stops_adopted(WaitOver::Failed));
        assert!(stops_adopted(WaitOver::TimedOut));
        for state in State::ALL {
            for status in [Status::Aborted, Status::TimedOut] {
                let stops = stops_adopted(WaitOver::Closed {
                    status,
                    state: Some(*state),
                });
                let waits = matches!(state, State::Start | State::WarmRunner);
                assert_eq!(stops, waits, "{status:?} in {state}");
            }
            for status in [Status::Running, Status::Succeeded, Status::Failed] {
                assert!(!stops_adopted(WaitOver::Closed {
                    status,
                    state: Some(*state),
                }));
            }
        }
        assert!(!stops_adopted(WaitOver::Closed {
            status: Status::Aborted,
            state: None,
        }));
    }
}
