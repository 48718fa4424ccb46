//! What flows between the steps, defined once: the job and its order, names, labels, faults, and what a
//! runner needs.
//!
//! - [`Job`] is what the state machine knows of a job; [`Order`] is an execution's input.
//! - [`ExecutionName`] and [`RunnerName`] are made from the job and read back from it, so that an
//!   execution, a runner, a task and a parameter are all found again from a name alone.
//! - [`LabelSet`] is what a job asks for and what a task definition offers.
//! - [`Matched`], [`PlannedRunner`] and [`Registered`] are what `match`, `launch` and `token` find, plan
//!   and register; [`Handoff`] is what `verify` hands on to `cleanup`.
//! - [`Registration`] is what a runner takes from SSM, [`ParameterPath`] is where it lies.
//! - [`Fault`] names everything that can go wrong in a step, [`State`] the steps themselves.
//! - [`sanitize`] fits text to what ECS accepts.

mod fault;
mod handoff;
mod labels;
mod matched;
mod name;
mod order;
mod registration;
mod repository;
pub mod sanitize;
mod state;
pub mod text;

pub use fault::{Class, Fault};
pub use handoff::Handoff;
pub use labels::{EmptyLabel, Label, LabelSet, SELF_HOSTED};
pub use matched::{CONTAINER, Definition, Matched};
pub use name::{DeploymentId, ExecutionName, NameError, RunnerName};
pub use order::{Job, JobId, Order, OwnerType, queued_since};
pub use registration::{
    EncodeError, ParameterPath, PathError, PlannedRunner, Registered, Registration,
    RegistrationError, Secret, TokenRegistration,
};
pub use repository::{Repository, RepositoryError};
pub use state::{State, UnknownState};

/// What every tag that a deployment puts on a task begins with.
pub const TAG_PREFIX: &str = "fargate-runners";

/// The tag that names the repository of the job a task was launched for.
pub const REPOSITORY_TAG: &str = "fargate-runners:repository";

/// The tag that names the runner a task runs.
pub const RUNNER_TAG: &str = "fargate-runners:runner";
