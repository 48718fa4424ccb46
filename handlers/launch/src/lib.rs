//! Plans a runner: its name, the path of its registration, and the RunTask request.
//!
//! Makes no calls and handles no secret. The state machine passes the request to `ecs:runTask.sync`
//! unchanged, so only this function decides what a job's task is told ([`request`]).

pub mod request;
pub mod settings;

use decisions::{Attempt, Exposed, Planned, RoleSeen};
use lambda_runtime::Diagnostic;
use protocol::{
    ExecutionName, Fault, Job, Matched, Order, OwnerType, ParameterPath, PlannedRunner, Repository,
    RunnerName,
};
use serde::Deserialize;
use time::OffsetDateTime;
use tracing::info_span;

pub use settings::Config;

/// The input from the state machine.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The execution's input.
    pub order: Order,
    /// The result of `match`.
    #[serde(rename = "match")]
    pub matched: Matched,
    /// The attempt from `cleanup`; `None` for the first one.
    #[serde(default)]
    pub attempt: Option<Attempt>,
    /// The execution's name.
    pub execution: ExecutionName,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The order has a later start time. The message is the delay in seconds, for the Wait state.
    #[error("{0}")]
    Deferred(u64),
    /// No random numbers from the operating system.
    #[error("cannot generate a random parameter path: {0}")]
    Random(#[from] getrandom::Error),
    /// The repository's role would be within reach of other repositories' jobs.
    #[error(
        "{repository} has a role of its own (REPOSITORY_ROLES), and a runner of {family} registers at \
         the organization in the deployment's runner group, where GitHub could give it a job of another \
         repository. Give {family} a runner group that admits only {repository} (tag \
         `GH:runner-group`), or register runners at repositories"
    )]
    RoleExposed {
        repository: Repository,
        family: String,
    },
    /// The request is no JSON.
    #[error("cannot serialize the RunTask request: {0}")]
    Request(#[from] serde_json::Error),
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let fault = match error {
            Error::Deferred(_) => Fault::Deferred,
            Error::Random(_) => Fault::AwsUnavailable,
            Error::RoleExposed { .. } => Fault::BadConfiguration,
            Error::Request(_) => Fault::BadInput,
        };
        Self {
            error_type: fault.name().to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// Plans the attempt's runner.
pub fn handle(config: &Config, input: Input, now: OffsetDateTime) -> Result<Planned, Error> {
    let job = &input.order.job;
    let span = info_span!("launch", job_id = %job.id, run_id = job.run_id, repository = %job.repository, execution = %input.execution);
    span.in_scope(|| plan(config, input, now))
}

fn plan(config: &Config, input: Input, now: OffsetDateTime) -> Result<Planned, Error> {
    let Input {
        order,
        matched,
        attempt,
        execution,
    } = input;
    if let Some(wait) = order
        .not_before
        .map(|at| at - now)
        .filter(|wait| wait.is_positive())
    {
        // Rounded up: a Wait state takes whole seconds, and a second too few would defer again.
        return Err(Error::Deferred(wait.whole_seconds().unsigned_abs() + 1));
    }
    let attempt = attempt.unwrap_or_default();
    let name = RunnerName::new(
        config.placement.deployment.clone(),
        execution,
        attempt.number,
    );
    let runner = PlannedRunner {
        parameter: ParameterPath::mint(&config.prefix, name.clone())?,
        name,
        labels: order.job.labels.clone(),
        group: matched.definition.runner_group.clone(),
    };
    let role = role(config, &order.job, &matched)?;
    let run_task = request::run_task(&config.placement, &order, &matched, &runner, &attempt, role);
    tracing::info!(runner = %runner.name, family = matched.definition.family, attempt = attempt.number, "planned a runner");
    Ok(Planned {
        run_task: serde_json::to_value(run_task)?,
        runner,
        attempt,
    })
}

/// ARN of the role that a job's task has instead of its definition's.
fn role(config: &Config, job: &Job, matched: &Matched) -> Result<Option<String>, Error> {
    let seen = RoleSeen {
        // A user account has no organization to register at.
        at_repository: !config.at_organization || job.owner_type == OwnerType::User,
        own_group: matched.definition.runner_group.is_some(),
    };
    match config.roles.at(&job.repository, seen) {
        Ok(name) => Ok(name.map(|name| format!("{}{name}", config.task_roles))),
        Err(Exposed) => Err(Error::RoleExposed {
            repository: job.repository.clone(),
            family: matched.definition.family.clone(),
        }),
    }
}
