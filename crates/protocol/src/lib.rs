//! Data that flows between the steps.
//!
//! - [`Job`] is a job, [`Order`] an execution's input.
//! - [`ExecutionName`] and [`RunnerName`] are derived from the job and parse back, so that a name
//!   alone finds an execution, a runner, a task and a parameter.
//! - [`LabelSet`] is what a job requests and what a task definition offers.
//! - [`Matched`], [`PlannedRunner`] and [`Registered`] are results of `match`, `launch` and
//!   `token`; [`Handoff`] is a message from `verify` to `cleanup`.
//! - [`Registration`] is what a runner reads from SSM, [`ParameterPath`] its path.
//! - [`Fault`] names the errors of the steps, [`State`] the steps.
//! - [`Warm`] tells of a family's pool, [`Adopted`] of a warm task that serves a job; [`bell`] is how
//!   such a task is told.
//! - [`sanitize`] adapts text to what ECS accepts.

pub mod bell;
mod fault;
mod handoff;
mod labels;
mod matched;
mod name;
mod order;
mod random;
mod registration;
mod repository;
pub mod sanitize;
mod state;
pub mod text;
mod warm;

pub use bell::{BellKey, BellKeyError};
pub use fault::{Class, Fault};
pub use handoff::Handoff;
pub use labels::{EmptyLabel, Label, LabelSet, SELF_HOSTED};
pub use matched::{CONTAINER, Definition, Matched, SizeOverride};
pub use name::{DeploymentId, ExecutionName, NameError, RunnerName};
pub use order::{Job, JobId, Order, OwnerType, queued_since};
pub use registration::{
    EncodeError, ParameterPath, PathError, PlannedRunner, Registered, Registration,
    RegistrationError, Secret, TokenRegistration,
};
pub use repository::{Repository, RepositoryError};
pub use state::{State, UnknownState};
pub use warm::{Adopted, Demand, MAX_SLOTS, Start, Warm, WarmError};

/// Prefix of every tag that a deployment puts on a task.
pub const TAG_PREFIX: &str = "fargate-runners";

/// Tag with the repository of the task's job.
pub const REPOSITORY_TAG: &str = "fargate-runners:repository";

/// Tag with the name of the task's runner.
pub const RUNNER_TAG: &str = "fargate-runners:runner";

/// The parameter that is there while the deployment of this prefix is paused.
pub fn paused_parameter(prefix: &str) -> String {
    format!("/{}/paused", prefix.trim_matches('/'))
}
