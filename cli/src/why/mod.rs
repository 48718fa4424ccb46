//! `why JOB`: collects evidence, explains it, shows both.
//!
//! | part | what it does |
//! |---|---|
//! | [`collect`] | asks AWS and GitHub, within a bound |
//! | [`evidence`] | what was found, typed |
//! | [`explain`] | the explanation, a pure function of it |
//! | [`reasons`] | what held the job up or ended it, for programs too |
//! | [`history`], [`setbacks`], [`log`] | read an execution's history and `verify`'s log, pure |

pub mod collect;
pub mod evidence;
pub mod explain;
mod facts;
pub mod history;
pub mod log;
pub mod reasons;
pub mod setbacks;

pub use collect::{AWS_CALLS, GITHUB_CALLS, collect};
pub use evidence::{
    Answer, DeliverySeen, Evidence, ExecutionSeen, Host, JobSeen, Refused, RefusedKind, Seen,
    TaskSeen, WebhookSeen,
};
pub use explain::{Explanation, Fact, Situation, explain, span};
pub use history::{Course, Pause, Reader, StepFailure};
pub use log::Line;
pub use reasons::Reason;
pub use setbacks::Setback;
