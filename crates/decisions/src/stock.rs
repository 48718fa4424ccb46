//! Warm tasks: who owns a task that waits without a job, and what becomes of it.
//!
//! A *ticket* is a task of the stock that nobody has claimed: whoever deletes it owns its task. A
//! *bell* ([`Bell`]) is how the owner tells the task what to do, and how the task answers. Both are
//! single items with conditional writes, so each race has one winner that everybody can read.
//!
//! - `claim`: what a claiming execution and the waiting task decide.
//! - `keeper`: what becomes of a ticket.
//! - `end`: who is told that an adopted task ended, and what becomes of a task without an owner.

mod claim;
mod end;
mod keeper;

pub use claim::{
    Answer, Bell, ClaimSeen, OnAnswer, OnBell, Start, Ticket, Withdrawn, may_claim, on_answer,
    on_bell, on_withdrawn,
};
pub use end::{
    OnOrphan, OnWait, OnWarmEnd, OrphanSeen, StrandedSeen, WaitOver, WaitSeen, WaitingSeen,
    is_stranded, on_orphan, on_wait, on_warm_task_end, stops_adopted,
};
pub use keeper::{
    Demand, Failures, OnTicket, TaskSeen, TicketSeen, TicketState, Wanted, on_ticket, pause_after,
    wanted,
};
