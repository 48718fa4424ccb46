//! Turns a listener's end into an outcome.
//!
//! | listener | before a job | during a job | after a job |
//! |---|---|---|---|
//! | ended with 0 | `EndedWithoutJob` | lost | ran |
//! | ended with 1 | `Refused`; once it had listened, `EndedWithoutJob` | lost | ran |
//! | ended with 3 or 4 (after an update that was waited for) | `VersionTooOld` | lost | ran |
//! | ended with 5 | `SessionConflict` | lost | ran |
//! | ended with 7, or said that it is deprecated | `VersionTooOld` | lost | ran |
//! | ended otherwise, or was killed | `ListenerFailed` | lost | ran |
//! | … after a stop signal | `Stopped` | `StoppedInJob` | ran if the job had ended before the signal or succeeded, else `StoppedInJob` |
//! | … after the idle limit | `Idle` | `StoppedInJob` | the same |
//! | … after the connect limit | `NoConnection`; if another held its session, `SessionConflict` | `StoppedInJob` | the same |
//! | … after its worker had vanished | | `WorkerDied`, or `MemoryExhausted` | the same, unless the job succeeded |
//! | … long after its job | | | ran |
//!
//! *Lost*: `MemoryExhausted` or `WorkerDied` with evidence, else `ListenerFailed`. *Ran*: `RanJob`,
//! but a failed or abandoned job is `MemoryExhausted` or `WorkerDied` with evidence. See
//! [`evidence`](crate::evidence).
//!
//! The exit codes are the runner's
//! ([source](https://github.com/actions/runner/blob/main/src/Runner.Common/Constants.cs)). Since
//! 2.336, code 0 without a job also means that an ephemeral runner's job request is gone
//! ([source](https://github.com/actions/runner/pull/4540)) or that GitHub no longer knows the
//! runner ([source](https://github.com/actions/runner/pull/4551)).

use decisions::AgentExit;

use crate::event::{Event, JobResult};
use crate::watch::UNTOLD;

/// How the listener's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Killed,
}

impl End {
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Killed => None,
        }
    }
}

/// Why the agent asked the listener to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The task is being stopped.
    Signal,
    /// No job came in time.
    Idle,
    /// It did not listen in time.
    NoConnection,
    /// It did not exit after its job.
    Lingering,
    /// It did not notice that its job's worker disappeared.
    WorkerGone,
}

impl Stop {
    /// Text for the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signal => "the task is being stopped",
            Self::Idle => "no job came within the idle limit",
            Self::NoConnection => "the listener did not reach GitHub within the connect limit",
            Self::Lingering => "the listener did not exit after its job",
            Self::WorkerGone => "the job's worker process is gone and the listener did not notice",
        }
    }
}

/// What the agent saw of one runner, across all starts of its listener.
#[allow(clippy::struct_excessive_bools)] // Independent facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub listening: bool,
    /// GitHub rejected its version.
    pub deprecated: bool,
    /// The name of its job.
    pub job: Option<String>,
    /// The job's result.
    pub result: Option<JobResult>,
    /// The job ended before any stop request.
    pub undisturbed: bool,
    /// The first reason for a stop request.
    pub stop: Option<Stop>,
    /// The listener's last reason for not reaching GitHub.
    pub connect_error: Option<String>,
    pub conflict: bool,
    /// The kernel killed a process for lack of memory, or the worker was killed while memory was
    /// full.
    pub exhausted: bool,
    /// The job's worker did not end by itself.
    pub worker_died: bool,
}

impl Seen {
    /// Whether it has a job.
    pub fn is_running(&self) -> bool {
        self.job.is_some() && self.result.is_none()
    }

    /// Records an event.
    pub fn note(&mut self, event: Event) {
        match event {
            Event::Listening => self.listening = true,
            Event::Deprecated => self.deprecated = true,
            Event::Started(name) => self.job = Some(name),
            Event::Completed(result) => {
                self.undisturbed = self.stop.is_none();
                self.result = Some(result);
            }
            Event::ConnectError(reason) => self.connect_error = Some(reason),
            Event::Conflict => self.conflict = true,
        }
    }
}

/// Whether the listener exited for an update (3, or 4 for an ephemeral runner). After its job it is
/// not needed again.
pub fn is_update(end: End, seen: &Seen) -> bool {
    matches!(end, End::Code(3 | 4)) && seen.job.is_none() && seen.stop.is_none()
}

pub fn verdict(end: End, seen: &Seen) -> AgentExit {
    if seen.job.is_none() {
        return without_job(end, seen);
    }
    let disturbed = match (&seen.result, seen.stop) {
        (Some(result), _) if result.is_success() => return AgentExit::RanJob,
        (Some(_), _) if seen.undisturbed => None,
        (_, stop) => stop,
    };
    let death = if seen.exhausted {
        Some(AgentExit::MemoryExhausted)
    } else {
        seen.worker_died.then_some(AgentExit::WorkerDied)
    };
    match (disturbed, &seen.result) {
        (Some(Stop::WorkerGone), _) => death.unwrap_or(AgentExit::WorkerDied),
        (Some(_), _) => AgentExit::StoppedInJob,
        // If the job's start was not recognized, its end may not have been either.
        (None, None) if end == End::Code(0) && seen.job.as_deref() == Some(UNTOLD) => {
            death.unwrap_or(AgentExit::RanJob)
        }
        (None, None) => death.unwrap_or(AgentExit::ListenerFailed),
        (None, Some(result)) => death
            .filter(|_| result.may_hide_a_death())
            .unwrap_or(AgentExit::RanJob),
    }
}

fn without_job(end: End, seen: &Seen) -> AgentExit {
    match seen.stop {
        Some(Stop::Signal) => return AgentExit::Stopped,
        Some(Stop::NoConnection) if seen.conflict => return AgentExit::SessionConflict,
        Some(Stop::NoConnection) => return AgentExit::NoConnection,
        Some(Stop::Idle | Stop::Lingering | Stop::WorkerGone) => return AgentExit::Idle,
        None => {}
    }
    match end {
        _ if seen.deprecated => AgentExit::VersionTooOld,
        End::Code(0) => AgentExit::EndedWithoutJob,
        // GitHub opened a session and then ended it: the runner was deleted or dropped there.
        End::Code(1) if seen.listening => AgentExit::EndedWithoutJob,
        End::Code(1) => AgentExit::Refused,
        End::Code(3 | 4 | 7) => AgentExit::VersionTooOld,
        End::Code(5) => AgentExit::SessionConflict,
        End::Code(_) | End::Killed => AgentExit::ListenerFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AgentExit::{
        EndedWithoutJob, Idle, ListenerFailed, MemoryExhausted, NoConnection, RanJob, Refused,
        SessionConflict, Stopped, StoppedInJob, VersionTooOld, WorkerDied,
    };

    fn seen(listening: bool, stop: Option<Stop>) -> Seen {
        Seen {
            listening,
            stop,
            ..Seen::default()
        }
    }

    fn in_job(stop: Option<Stop>) -> Seen {
        Seen {
            job: Some("build".into()),
            ..seen(true, stop)
        }
    }

    fn after_job(result: &str, undisturbed: bool, stop: Option<Stop>) -> Seen {
        Seen {
            result: Some(result.into()),
            undisturbed,
            ..in_job(stop)
        }
    }

    #[test]
    fn before_a_job_the_code_decides() {
        for (end, listening, exit) in [
            (End::Code(0), false, EndedWithoutJob),
            (End::Code(0), true, EndedWithoutJob),
            (End::Code(1), false, Refused),
            (End::Code(1), true, EndedWithoutJob),
            (End::Code(2), true, ListenerFailed),
            (End::Code(3), true, VersionTooOld),
            (End::Code(4), true, VersionTooOld),
            (End::Code(5), false, SessionConflict),
            (End::Code(7), false, VersionTooOld),
            (End::Code(134), true, ListenerFailed),
            (End::Killed, true, ListenerFailed),
        ] {
            assert_eq!(
                verdict(end, &seen(listening, None)),
                exit,
                "{end:?} {listening}"
            );
        }
    }

    #[test]
    fn a_version_called_deprecated_is_too_old_whatever_the_code() {
        for end in [End::Code(0), End::Code(1), End::Code(7)] {
            let seen = Seen {
                deprecated: true,
                ..seen(true, None)
            };
            assert_eq!(verdict(end, &seen), VersionTooOld);
        }
    }

    #[test]
    fn before_a_job_a_reason_to_stop_outweighs_the_code() {
        for end in [End::Code(0), End::Code(1), End::Code(3), End::Killed] {
            assert_eq!(verdict(end, &seen(true, Some(Stop::Signal))), Stopped);
            assert_eq!(verdict(end, &seen(true, Some(Stop::Idle))), Idle);
        }
    }

    #[test]
    fn a_listener_that_never_listened_had_no_connection_unless_another_held_its_session() {
        for end in [End::Code(0), End::Code(2), End::Killed] {
            let mut seen = seen(false, Some(Stop::NoConnection));
            assert_eq!(verdict(end, &seen), NoConnection);
            seen.note(Event::ConnectError("no route to host".into()));
            assert_eq!(verdict(end, &seen), NoConnection);
            seen.note(Event::Conflict);
            assert_eq!(verdict(end, &seen), SessionConflict);
        }
    }

    #[test]
    fn a_dead_worker_and_an_exhausted_task_are_told_apart_from_a_job_that_failed() {
        let dead = |seen: Seen, exhausted| Seen {
            worker_died: true,
            exhausted,
            ..seen
        };
        for (exhausted, exit) in [(false, WorkerDied), (true, MemoryExhausted)] {
            for result in ["Failed", "Abandoned"] {
                let seen = dead(after_job(result, true, None), exhausted);
                assert_eq!(verdict(End::Code(0), &seen), exit, "{result}");
            }
            let lost = dead(in_job(None), exhausted);
            assert_eq!(verdict(End::Code(0), &lost), exit);
            let gone = dead(in_job(Some(Stop::WorkerGone)), exhausted);
            assert_eq!(verdict(End::Killed, &gone), exit);
            let late = dead(
                after_job("Canceled", false, Some(Stop::WorkerGone)),
                exhausted,
            );
            assert_eq!(verdict(End::Code(0), &late), exit);
            for result in ["Succeeded", "Canceled"] {
                let seen = dead(after_job(result, true, None), exhausted);
                assert_eq!(verdict(End::Code(0), &seen), RanJob, "{result}");
            }
            let stopped = dead(in_job(Some(Stop::Signal)), exhausted);
            assert_eq!(verdict(End::Code(0), &stopped), StoppedInJob);
        }
        let step = Seen {
            exhausted: true,
            ..after_job("Failed", true, None)
        };
        assert_eq!(verdict(End::Code(0), &step), MemoryExhausted);
        let gone = in_job(Some(Stop::WorkerGone));
        assert_eq!(verdict(End::Code(0), &gone), WorkerDied);
    }

    #[test]
    fn a_job_whose_lines_are_not_known_ran_if_the_listener_ended_well() {
        let untold = Seen {
            job: Some(UNTOLD.into()),
            ..in_job(None)
        };
        assert_eq!(verdict(End::Code(0), &untold), RanJob);
        assert_eq!(verdict(End::Code(1), &untold), ListenerFailed);
        assert_eq!(verdict(End::Code(0), &in_job(None)), ListenerFailed);
    }

    #[test]
    fn a_job_that_never_ended_was_stopped_or_lost() {
        for end in [End::Code(0), End::Code(1), End::Code(4), End::Killed] {
            assert_eq!(verdict(end, &in_job(None)), ListenerFailed);
            assert_eq!(verdict(end, &in_job(Some(Stop::Signal))), StoppedInJob);
            assert_eq!(verdict(end, &in_job(Some(Stop::Idle))), StoppedInJob);
        }
    }

    #[test]
    fn a_job_that_ended_by_itself_was_run_whatever_its_result_and_the_code() {
        for result in ["Succeeded", "Failed", "Canceled"] {
            for stop in [None, Some(Stop::Signal), Some(Stop::Lingering)] {
                for end in [End::Code(0), End::Code(1), End::Code(4), End::Killed] {
                    assert_eq!(verdict(end, &after_job(result, true, stop)), RanJob);
                }
            }
        }
    }

    #[test]
    fn a_job_that_ended_during_a_shutdown_was_run_only_if_it_succeeded() {
        for stop in [Stop::Signal, Stop::Idle] {
            for (result, exit) in [
                ("Succeeded", RanJob),
                ("Canceled", StoppedInJob),
                ("Failed", StoppedInJob),
            ] {
                assert_eq!(
                    verdict(End::Code(0), &after_job(result, false, Some(stop))),
                    exit
                );
            }
        }
    }

    #[test]
    fn only_a_listener_that_may_still_serve_is_started_again() {
        assert!(
            is_update(End::Code(3), &seen(true, None))
                && is_update(End::Code(4), &seen(false, None))
        );
        for (end, seen) in [
            (End::Code(0), seen(true, None)),
            (End::Killed, seen(true, None)),
            (End::Code(4), seen(true, Some(Stop::Signal))),
            (End::Code(4), after_job("Succeeded", true, None)),
        ] {
            assert!(!is_update(end, &seen), "{end:?} {seen:?}");
        }
    }

    #[test]
    fn the_end_of_a_job_is_undisturbed_only_before_a_stop() {
        let mut calm = in_job(None);
        calm.note(Event::Completed("Failed".into()));
        assert!(calm.undisturbed);
        let mut stopped = in_job(Some(Stop::Signal));
        stopped.note(Event::Completed("Canceled".into()));
        assert!(!stopped.undisturbed);
    }
}
