//! A workflow job and the names that everything about it carries.
//!
//! - [`Job`] is what the state machine knows of a job; [`Order`] is an execution's input.
//! - [`ExecutionName`] and [`RunnerName`] are made from the job and read back from it, so that an
//!   execution, a runner, a task and a parameter are all found again from a name alone.
//! - [`sink`] fits text to what ECS accepts, [`text`] what GitHub sends to what can be read.

mod matched;
mod name;
mod order;
mod repository;
pub mod sink;
pub mod text;

pub use matched::{CONTAINER, Matched};
pub use name::{DeploymentId, ExecutionName, NameError, RunnerName};
pub use order::{Job, JobId, Order, OwnerType, queued_since};
pub use repository::{Repository, RepositoryError};

/// What every tag that a deployment puts on a task begins with.
pub const TAG_PREFIX: &str = "fargate-runners";

/// The tag that names the repository of the job a task was launched for.
pub const REPOSITORY_TAG: &str = "fargate-runners:repository";

/// The tag that names the runner a task runs.
pub const RUNNER_TAG: &str = "fargate-runners:runner";
