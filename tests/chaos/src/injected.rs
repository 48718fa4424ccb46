//! What the run knows it did to each job, and what `why` must name of it.
//!
//! The mapping is by type: a kind of fault is named by a delivery's status, by the error or the outcome
//! of a failed step, or by an execution's end. No text is searched.

use cli::why::{Explanation, Reason, Setback};
use decisions::{Outcome, OutcomeClass, Status};
use protocol::{ExecutionName, Fault, RunnerName};
use time::{Duration, OffsetDateTime};

use crate::schedule::{ChaosFault, Webhook};

/// A step fails so long after the call of it that a fault met: a function tries again, and a task
/// that does not start takes a moment to end.
const FAILS_WITHIN: Duration = Duration::seconds(60);
/// Clocks are read in three places.
const INACCURACY: Duration = Duration::seconds(1);

/// A fault in the way of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected {
    pub job: u64,
    pub what: What,
    pub at: OffsetDateTime,
    pub sign: Sign,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// To the webhook that announces it.
    Announcement(Webhook),
    Fault(ChaosFault),
}

/// Where a fault shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A delivery of the `queued` event failed with this status.
    Delivery(u16),
    /// The `queued` event was late.
    Late,
    /// A step failed soon after, in this way.
    Step(Failed),
    /// The task of this runner ended in this way.
    Task(RunnerName, Failed),
    /// This execution ended so.
    Execution(ExecutionName, Status),
}

/// How a step failed, or an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    With(Outcome),
    /// The runner listened and got no job.
    Unpicked,
    /// Its process was killed.
    Killed,
    /// Spot took it back.
    TakenBack,
    /// One of this system's faults.
    Fault(Fault),
    /// An error of AWS or of a function's runtime.
    Error(&'static str),
    /// An error of the table, of whatever kind.
    Table,
}

impl Failed {
    /// Whether a step that failed with this error did so in this way, as far as the error tells.
    pub fn fits(self, error: &str) -> Option<bool> {
        match self {
            Self::Fault(fault) => Some(error == fault.name()),
            Self::Error(name) => Some(error == name),
            Self::Table => Some(error.starts_with("DynamoDb.")),
            Self::With(_) | Self::Unpicked | Self::Killed | Self::TakenBack => None,
        }
    }

    fn is(self, setback: &Setback) -> bool {
        match self {
            Self::With(outcome) => setback.outcome == outcome,
            Self::Unpicked => setback.outcome.class() == OutcomeClass::Unpicked,
            Self::Killed => setback.was_killed(),
            Self::TakenBack => setback.was_taken_back(),
            Self::Fault(_) | Self::Error(_) | Self::Table => {
                self.fits(&setback.failure.error) == Some(true)
            }
        }
    }
}

/// Whether a step failed as it does after a fault at that time.
pub fn follows(step: OffsetDateTime, fault: OffsetDateTime) -> bool {
    step >= fault - INACCURACY && step <= fault + FAILS_WITHIN
}

impl Injected {
    /// Whether the explanation names it, to programs and to people.
    pub fn is_named(&self, explanation: &Explanation) -> bool {
        explanation
            .reasons
            .iter()
            .any(|reason| self.is(reason) && explanation.summary.contains(&reason.told()))
    }

    fn is(&self, reason: &Reason) -> bool {
        match (&self.sign, reason) {
            (Sign::Delivery(status), Reason::DeliveryFailed { status: told, .. }) => status == told,
            (Sign::Late, Reason::WebhookLate { .. }) => true,
            (Sign::Step(failed), Reason::Setback(setback)) => {
                failed.is(setback) && follows(setback.at, self.at)
            }
            (Sign::Task(runner, failed), Reason::Setback(setback)) => {
                failed.is(setback) && setback.runner.as_ref() == Some(runner)
            }
            (
                Sign::Execution(execution, status),
                Reason::Execution {
                    execution: named,
                    status: told,
                    ..
                },
            ) => execution == named && status == told,
            _ => false,
        }
    }
}

/// A call that a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// RunTask, which the state machine calls.
    RunTask,
    /// A call of AWS by a function or an agent, or of a function by the state machine.
    Aws,
    GitHub,
}

/// How the step fails that made the call, if it does: a function tries most calls again. `None` if
/// this kind of fault alone neither ends a job nor holds it up for long.
pub fn step_fails(kind: ChaosFault, called: Called) -> Option<Failed> {
    use ChaosFault as Kind;
    Some(match (kind, called) {
        (Kind::NoCapacity | Kind::NoRoom, _) => Failed::With(Outcome::NoCapacity),
        (Kind::TaskNeverStarts, _) => Failed::With(Outcome::TaskNeverStarted),
        (Kind::Ec2Throttles, _) | (Kind::AwsThrottled, Called::RunTask) => {
            Failed::With(Outcome::Throttled)
        }
        (Kind::AwsFails, Called::RunTask) => Failed::Error("ECS.ServerException"),
        (Kind::AwsThrottled, _) => Failed::Fault(Fault::Throttled),
        (Kind::AwsFails | Kind::AwsAnswerLost | Kind::AwsSlow, _) => {
            Failed::Fault(Fault::AwsUnavailable)
        }
        (Kind::FunctionCrashes, _) => Failed::Error("Runtime.ExitError"),
        (Kind::FunctionTimesOut, _) => Failed::Error("Sandbox.Timedout"),
        (Kind::GitHubThrottles | Kind::GitHubRateLimits, _) => {
            Failed::Fault(Fault::GitHubRateLimited)
        }
        (
            Kind::GitHubFails
            | Kind::GitHubAnswerLost
            | Kind::GitHubSlow
            | Kind::GitHubDisconnects
            | Kind::JobNotFound
            | Kind::RepositoryNotFound,
            _,
        ) => Failed::Fault(Fault::GitHubUnavailable),
        (Kind::TableThrottles | Kind::TableFails | Kind::TableAnswerLost | Kind::TableDown, _) => {
            Failed::Table
        }
        // Of the first six, no call of a job's step fails, or the job goes on with a cold task at once. The
        // conditions and webhooks of everybody are no call, and what is done to one task or execution is
        // known from the deed.
        (
            Kind::RunnerNotFound
            | Kind::ListenersRefused
            | Kind::TableSlow
            | Kind::ClaimsRefused
            | Kind::RingsRefused
            | Kind::KeeperRefused
            | Kind::WebhookLost
            | Kind::WebhookDuplicated
            | Kind::WebhookLate
            | Kind::WebhookRefused
            | Kind::TaskKilledIdle
            | Kind::TaskKilledBusy
            | Kind::SpotInterruption
            | Kind::ExecutionAborted
            | Kind::ExecutionTimesOut
            | Kind::RunnerGhosted
            | Kind::AssigningStops
            | Kind::DeleteInGap
            | Kind::BusyUnseen
            | Kind::IdleDropped
            | Kind::ListenersHang
            | Kind::EventsLate
            | Kind::EventsTwice
            | Kind::EventsOutOfOrder
            | Kind::WaitingTaskKilled
            | Kind::WaitingTaskInterrupted
            | Kind::WaitingTaskHangs
            | Kind::NewRevision
            | Kind::JobInterrupted
            | Kind::TakingLost
            | Kind::TakingLate,
            _,
        ) => return None,
    })
}

/// How the attempt ends of a runner to which this was done.
pub fn attempt_ends(kind: ChaosFault) -> Option<Failed> {
    match kind {
        ChaosFault::TaskKilledIdle | ChaosFault::TaskKilledBusy | ChaosFault::WaitingTaskKilled => {
            Some(Failed::Killed)
        }
        ChaosFault::SpotInterruption
        | ChaosFault::JobInterrupted
        | ChaosFault::WaitingTaskInterrupted => Some(Failed::TakenBack),
        ChaosFault::RunnerGhosted => Some(Failed::Unpicked),
        _ => None,
    }
}

/// Whether a text names a job: its id, alone or at the end of a name.
pub fn names(text: &str, job: u64) -> bool {
    let id = job.to_string();
    text.match_indices(&id).any(|(at, _)| {
        let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        let bytes = text.as_bytes();
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        !digit(before) && !digit(bytes.get(at + id.len()))
    })
}

#[cfg(test)]
mod tests {
    use cli::why::{Situation, StepFailure};

    use super::*;

    const AT: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn injected(sign: Sign) -> Injected {
        Injected {
            job: 7,
            what: What::Fault(ChaosFault::NoCapacity),
            at: AT,
            sign,
        }
    }

    fn setback(outcome: Outcome, error: &str, exit_code: Option<i32>) -> Setback {
        Setback {
            began: AT,
            at: AT + Duration::seconds(5),
            execution: "x-7".parse().unwrap(),
            runner: Some("ch-x-7-a2".parse().unwrap()),
            state: "Runner".to_owned(),
            failure: StepFailure {
                error: error.to_owned(),
                message: String::new(),
            },
            outcome,
            stop_code: None,
            exit_code,
            had_task: exit_code.is_some(),
        }
    }

    fn explained(reason: Reason, says_so: bool) -> Explanation {
        Explanation {
            situation: Situation::Completed,
            summary: if says_so {
                reason.told()
            } else {
                "it ran".to_owned()
            },
            next: String::new(),
            change: None,
            reasons: vec![reason],
            facts: Vec::new(),
        }
    }

    #[test]
    fn a_fault_is_named_only_by_its_own_sign() {
        let no_capacity = setback(Outcome::NoCapacity, "ECS.AmazonECSException", None);
        let killed = setback(Outcome::Unknown, "States.TaskFailed", Some(137));
        let step = |failed| injected(Sign::Step(failed));
        let named = |injected: &Injected, reason: &Reason| {
            injected.is_named(&explained(reason.clone(), true))
        };
        let reason = Reason::Setback(no_capacity.clone());
        assert!(named(&step(Failed::With(Outcome::NoCapacity)), &reason));
        assert!(!named(&step(Failed::With(Outcome::Throttled)), &reason));
        assert!(!named(&step(Failed::Killed), &reason));
        // At another time it was something else.
        let before = Injected {
            at: AT - Duration::minutes(2),
            ..step(Failed::With(Outcome::NoCapacity))
        };
        assert!(!named(&before, &reason));
        // Programs and people are both told.
        let silent = explained(reason, false);
        assert!(!step(Failed::With(Outcome::NoCapacity)).is_named(&silent));
        let of = |runner: &str| injected(Sign::Task(runner.parse().unwrap(), Failed::Killed));
        let reason = Reason::Setback(killed);
        assert!(named(&of("ch-x-7-a2"), &reason));
        assert!(!named(&of("ch-x-7"), &reason));
        let reason = Reason::DeliveryFailed {
            status: 403,
            certain: true,
        };
        assert!(named(&injected(Sign::Delivery(403)), &reason));
        assert!(!named(&injected(Sign::Delivery(502)), &reason));
        let reason = Reason::Execution {
            execution: "x-7".parse().unwrap(),
            status: Status::Aborted,
            error: None,
        };
        let of = |status| injected(Sign::Execution("x-7".parse().unwrap(), status));
        assert!(named(&of(Status::Aborted), &reason));
        assert!(!named(&of(Status::TimedOut), &reason));
    }

    #[test]
    fn a_job_is_named_by_its_whole_id() {
        assert!(names(r#"{"name":"seed1-one-42-a2"}"#, 42));
        assert!(names(r#"{"id":42}"#, 42));
        assert!(!names("seed1-one-421", 42));
        assert!(!names("seed1-one-142", 42));
    }

    #[test]
    fn what_is_done_to_a_runner_shows_in_its_attempt_and_nothing_else_does() {
        let of_deeds = ChaosFault::ALL.into_iter().chain(ChaosFault::OF_POOL);
        let of_deeds = of_deeds.filter(|kind| attempt_ends(*kind).is_some());
        for kind in of_deeds {
            assert_eq!(step_fails(kind, Called::Aws), None, "{kind}");
        }
    }
}
