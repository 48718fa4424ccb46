//! Plans a runner: its name, the path of its registration, and the whole RunTask request.
//!
//! It makes no call and holds no secret. The state machine hands the request to
//! `ecs:runTask.sync` as it is, so what a runner's task looks like is decided here and nowhere else
//! ([`request`]).

pub mod request;
pub mod settings;

use decisions::{Attempt, Planned};
use lambda_runtime::Diagnostic;
use protocol::{ExecutionName, Fault, Matched, Order, ParameterPath, PlannedRunner, RunnerName};
use serde::Deserialize;
use time::OffsetDateTime;
use tracing::info_span;

pub use settings::Config;

/// What the state machine gives.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The execution's input.
    pub order: Order,
    /// What `match` found.
    #[serde(rename = "match")]
    pub matched: Matched,
    /// The attempt that `cleanup` decided on; none at first.
    #[serde(default)]
    pub attempt: Option<Attempt>,
    /// The execution's name.
    pub execution: ExecutionName,
}

/// Why nothing was planned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The order is for later. The message is the seconds to wait, for the Wait state.
    #[error("{0}")]
    Deferred(u64),
    /// The operating system gave no random numbers.
    #[error("no random path could be minted: {0}")]
    Random(#[from] getrandom::Error),
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let fault = match error {
            Error::Deferred(_) => Fault::Deferred,
            Error::Random(_) => Fault::AwsUnavailable,
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
        // Rounded up: a Wait state takes whole seconds, and one too few would defer again.
        return Err(Error::Deferred(wait.whole_seconds().unsigned_abs() + 1));
    }
    let attempt = attempt.unwrap_or_default();
    let name = RunnerName::new(config.deployment.clone(), execution, attempt.number);
    let runner = PlannedRunner {
        parameter: ParameterPath::mint(&config.prefix, name.clone())?,
        name,
        labels: order.job.labels.clone(),
        group: matched.definition.runner_group.clone(),
    };
    let run_task = request::run_task(config, &order, &matched, &runner, &attempt);
    tracing::info!(runner = %runner.name, family = matched.definition.family, attempt = attempt.number, "runner planned");
    Ok(Planned {
        run_task,
        runner,
        attempt,
    })
}
