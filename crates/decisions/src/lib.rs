//! Decisions about attempts, jobs and runners. Pure: no calls.
//!
//! - [`AgentExit`]: the agent's exit codes.
//! - [`Ended`] reads an attempt's [`Outcome`] from its task's end or its error.
//! - [`judge`] decides from the outcome and the job's [`JobStatus`] whether the execution ends,
//!   continues with another [`Attempt`], or gives up ([`GiveUp`]).
//! - [`on_not_found`] decides what a 404 about a job means, [`on_note`] whether GitHub is asked at all.
//! - [`on_queued`], [`on_queued_again`], [`on_unannounced`], [`checks_displaced`], [`attend`],
//!   [`restart`](restart()) and [`counts_as_failure`] decide which execution owns a job.
//! - [`retire`](retire()), [`may_stop`], [`on_absent`], [`on_cancel`] and [`cleans_after_task`]
//!   decide what may be stopped or deleted.
//! - [`may_claim`], [`on_answer`], [`on_withdrawn`], [`on_bell`], [`on_ticket`], [`wanted`](wanted()),
//!   [`pause_after`], [`on_warm_task_end`], [`on_wait`], [`on_orphan`] and [`stops_adopted`] decide
//!   about warm tasks.
//! - [`on_slot`], [`release_slot`] and [`repair_slots`] decide who may run while the number of runners is
//!   capped.
//! - [`loss`], [`lost_job`], [`on_lost_jobs`] and [`keeps_off_spot`] give a job that Spot took away a
//!   second chance.
//! - [`cost`] estimates what a task costs, [`size`] decides which size it gets, and
//!   [`RepositoryRoles`] under which role it runs.
//! - [`Planned`], [`SlotAwaited`], [`NextAttempt`], [`GivenUp`] and [`ExecutionOutput`] are results of steps.
//!
//! The handlers collect the facts and carry out the decisions. `tests/model` explores the decisions
//! in every interleaving of small worlds.

mod absence;
mod answers;
mod attempt;
mod classify;
pub mod cost;
mod ending;
mod exit;
mod give_up;
mod job;
mod note;
mod outcome;
mod outcomes;
mod ownership;
mod rerun;
mod role;
mod rules;
pub mod size;
mod slots;
mod stock;
mod task;

pub use absence::{Look, NotFound, OnNotFound, on_not_found};
pub use answers::{ExecutionOutput, GivenUp, LogStream, NextAttempt, Planned, SlotAwaited};
pub use attempt::Attempt;
pub use ending::{
    AbsentRunner, Deletion, OnAbsent, OnCancel, Retire, RunnerSeen, cleans_after_task, may_stop,
    on_absent, on_cancel, retire,
};
pub use exit::AgentExit;
pub use give_up::{Failure, GiveUp, UnknownReason};
pub use job::JobStatus;
pub use note::{NoteSeen, OnNote, on_note};
pub use outcome::{Ended, StepError};
pub use outcomes::{Outcome, OutcomeClass};
pub use ownership::{
    Attend, OnQueued, OnQueuedAgain, OnUnannounced, Restart, Status, attend, checks_displaced,
    counts_as_failure, on_queued, on_queued_again, on_unannounced, restart,
};
pub use rerun::{
    Loss, LostJob, OnLostJobs, RERUNS, RunOfLost, TakenJob, keeps_off_spot, loss, lost_job,
    on_lost_jobs,
};
pub use role::{Exposed, RepositoryRoles, RoleSeen, RolesError};
pub use rules::{Budget, Situation, Verdict, judge};
pub use slots::{
    Awaited, Cap, Caps, InLine, Lease, OnSlot, Place, Seeker, Slots, on_slot, release_slot,
    repair_slots,
};
pub use stock::{
    Answer, Bell, ClaimSeen, Demand, Failures, OnAnswer, OnBell, OnOrphan, OnTicket, OnWait,
    OnWarmEnd, OrphanSeen, Start, StrandedSeen, TaskSeen, Ticket, TicketSeen, TicketState,
    WaitOver, WaitSeen, WaitingSeen, Wanted, Withdrawn, is_stranded, may_claim, on_answer, on_bell,
    on_orphan, on_ticket, on_wait, on_warm_task_end, on_withdrawn, pause_after, stops_adopted,
    wanted,
};
pub use task::{EndedContainer, EndedTask, Overrides, TASK_FAILED};
