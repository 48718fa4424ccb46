//! What became of an attempt, and what follows from it. Pure: no call is made here.
//!
//! - [`AgentExit`]: how the agent says by its exit code what became of its runner.
//! - [`Ended`] reads an attempt's [`Outcome`] from its task's end or its error.
//! - [`judge`] decides from the outcome and GitHub's word about the job whether the execution ends,
//!   goes on with another [`Attempt`], or gives up.
//! - [`retire`](retire()) and [`restart`](restart()) decide what may be ended, and what is begun again.

mod attempt;
mod exit;
mod outcome;
mod rules;
mod task;

pub use attempt::Attempt;
pub use exit::AgentExit;
pub use outcome::{Ended, Kind, Outcome, StepError};
pub use rules::{
    Budget, JobStatus, Restart, Retire, RunnerSeen, Situation, Verdict, check_displaced, judge,
    restart, retire,
};
pub use task::{EndedTask, Overrides};
