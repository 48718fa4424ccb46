//! Finds a deployment's executions, tasks and registrations by name.
//!
//! Nothing else stores them. An execution is named after its job, and a parameter's path after its
//! runner; an execution's history names its task, and a task's overrides and tags name its runner.
//! So [`Fleet`] finds each from the other. Only the wait for a warm task's end and the leases of caps are in a table. Every operation that ends something is idempotent:
//! "already gone" is success.

mod adopted;
mod executions;
mod history;
mod registrations;
mod restart;
mod retire;
mod slots;
mod tasks;

use aws::Late;
use aws::executions::Executions;
use pool::{Capped, Pool, Reruns};
use protocol::DeploymentId;
use runtime::settings::Variable;
use runtime::settings::shared::{CLUSTER, DEPLOYMENT, PREFIX, STATE_MACHINE_ARN};

pub use adopted::{DescribedTask, Stopped};
pub use aws::executions::Started;
pub use executions::{Execution, Status};
pub use history::Position;
pub use restart::restart_if_queued;
pub use retire::{Retired, retire};
pub use tasks::{RunningTask, RunningTasks, WarmTask};

/// Variables of [`Fleet::from_settings`].
pub const VARIABLES: &[Variable] = &[
    DEPLOYMENT,
    PREFIX,
    CLUSTER,
    STATE_MACHINE_ARN,
    pool::TABLE,
    pool::CAPS,
    pool::RERUNS,
];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An AWS call failed. Boxed, because it would make every result large.
    #[error(transparent)]
    Aws(Box<aws::Error>),
    /// A call of the pool's table failed.
    #[error(transparent)]
    Pool(#[from] pool::Error),
    /// A GitHub call failed.
    #[error(transparent)]
    GitHub(Box<github::Error>),
    /// Someone else started the execution, with another form of input.
    #[error("execution {name} has an input that is not an order of this system: {problem}")]
    ForeignInput { name: String, problem: String },
    #[error(transparent)]
    Name(#[from] protocol::NameError),
}

impl From<aws::Error> for Error {
    fn from(error: aws::Error) -> Self {
        Self::Aws(Box::new(error))
    }
}

impl From<github::Error> for Error {
    fn from(error: github::Error) -> Self {
        Self::GitHub(Box::new(error))
    }
}

impl Error {
    /// The fault name for the state machine.
    pub fn fault(&self) -> protocol::Fault {
        match self {
            Self::Aws(error) => error.fault(),
            Self::Pool(error) => error.aws().fault(),
            Self::GitHub(error) => error.fault(),
            Self::ForeignInput { .. } | Self::Name(_) => protocol::Fault::BadInput,
        }
    }

    /// The delay that GitHub's rate limit requires.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::GitHub(error) => error.retry_after(),
            _ => None,
        }
    }
}

/// One deployment's executions, tasks and registrations.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub executions: Executions,
    pub ecs: Late<aws_sdk_ecs::Client>,
    pub ssm: aws_sdk_ssm::Client,
    /// The cluster's name or ARN.
    pub cluster: String,
    /// The first segment of SSM paths.
    pub prefix: String,
    pub deployment: DeploymentId,
    /// Its warm tasks, if it keeps some.
    pub pool: Option<Pool>,
    /// Its caps, if the number of its runners is capped.
    pub capped: Option<Capped>,
    /// Its notes of jobs to re-run, if a runner opted in.
    pub reruns: Option<Reruns>,
}

impl Fleet {
    /// The fleet of these settings.
    pub fn from_settings(
        settings: &runtime::settings::Settings,
        aws: &aws::SdkConfig,
    ) -> Result<Self, runtime::settings::Error> {
        Ok(Self {
            executions: Executions::new(aws, settings.parsed(&STATE_MACHINE_ARN)?),
            ecs: Late::new(aws, aws_sdk_ecs::Client::new),
            ssm: aws_sdk_ssm::Client::new(aws),
            cluster: settings.text(&CLUSTER)?,
            prefix: settings.text(&PREFIX)?,
            deployment: settings.parsed(&DEPLOYMENT)?,
            pool: Pool::from_settings(settings, aws),
            capped: Capped::from_settings(settings, aws)?,
            reruns: Reruns::from_settings(settings, aws),
        })
    }
}
