//! Issues a runner's registration at GitHub and writes it to SSM, where the runner takes it from.
//!
//! Last before the runner's task, because a registration expires; first to ask GitHub whether the
//! job is still queued, where the order is not sure of it. With warm caches it makes one call to
//! GitHub and one to SSM. The registration appears in nothing but that parameter: not in the answer,
//! not in an error, not in a log.
//!
//! - [`slot`]: one of the slots that caps leave
//! - [`issue`]: the registration, by the two ways GitHub has ([`Mode`])
//! - [`deposit`]: the parameter
//! - [`source`]: whether the job's code may come from where it does
//! - [`warm`]: a task of the stock that takes the registration at once

pub mod deposit;
mod deps;
mod error;
mod input;
pub mod issue;
pub mod settings;
pub mod slot;
pub mod source;
pub mod warm;

use decisions::{Attempt, JobStatus};
use github::{Access, Installation};
use protocol::{Job, Registered};
use runtime::telemetry::Metric;
use serde_json::Value;
use time::OffsetDateTime;
use tracing::{Instrument, info_span};

pub use deps::Deps;
pub use error::Error;
pub use input::Input;
pub use settings::{Config, Mode};

/// Registers the attempt's runner.
pub async fn handle(deps: &Deps, payload: Value) -> Result<Registered, Error> {
    let input: Input = serde_json::from_value(payload)?;
    let job = &input.order.job;
    let span = info_span!("token", job_id = %job.id, run_id = job.run_id, repository = %job.repository, execution = %input.runner.name.execution());
    let result = register(deps, &input).instrument(span).await;
    if let Some(left) = deps.github.rate_limit_remaining() {
        // Far below 2^52, where a float would begin to round.
        #[allow(clippy::cast_precision_loss)]
        deps.metrics()
            .emit(Metric::GitHubRateLimitRemaining, left as f64);
    }
    if result.is_ok() {
        deps.metrics().emit(Metric::Launches, 1.0);
    }
    result
}

async fn register(deps: &Deps, input: &Input) -> Result<Registered, Error> {
    let Input { order, runner, .. } = input;
    let job = &order.job;
    if let Some(capped) = &deps.capped {
        slot::take(capped, input, &deps.metrics(), OffsetDateTime::now_utc()).await?;
    }
    let scope = deps.config.scope.at(job);
    let doubted = is_doubted(input);
    let access = if doubted {
        Access::jobs(&job.repository)
    } else {
        Access::runners(&scope)
    };
    let installation = deps
        .github
        .serving(&job.repository, job.installation_id, &access)
        .await?;
    // Independent of each other; that the job needs no runner weighs more than a missing group.
    let (wanted, group) = tokio::join!(
        still_queued(job, &installation, doubted),
        installation.runner_group(&scope, deps.config.group_of(runner)),
    );
    wanted?;
    source::admit_visibility(deps, &installation, job, doubted).await?;
    source::admit_run(deps, &installation, job).await?;
    let issued = issue::issue(deps, &installation, &scope, runner, group?).await?;
    if let Err(error) = deposit::deposit(deps, job, runner, &issued.registration).await {
        if let Some(id) = issued.runner_id {
            // No task will start this runner. `cleanup` deletes it too, but later.
            let withdrawn = installation.delete_runner(&scope, id).await;
            tracing::warn!(runner = %runner.name, id, ?withdrawn, "withdrew the registration");
        }
        return Err(error);
    }
    tracing::info!(runner = %runner.name, id = issued.runner_id, %scope, "runner registered");
    let warm = match (&deps.stock, warm::Request::of(input)) {
        // Boxed: it is larger than all the rest, and most jobs need none of it.
        (Some(stock), Some(request)) => Box::pin(stock.adopt(&request, &deps.metrics())).await,
        _ => None,
    };
    Ok(Registered {
        runner_id: issued.runner_id,
        installation_id: installation.id(),
        warm,
    })
}

/// Whether the order or the attempt is not sure that the job still wants a runner, or it has waited for
/// a slot since.
fn is_doubted(input: &Input) -> bool {
    input.order.recheck
        || input.slot.is_some()
        || input.attempt.as_ref().is_some_and(Attempt::rechecks)
}

/// Asks GitHub whether the job still wants a runner, where that is doubted.
async fn still_queued(job: &Job, installation: &Installation, doubted: bool) -> Result<(), Error> {
    if !doubted {
        return Ok(());
    }
    let state = match installation.job(job).await? {
        JobStatus::Queued => return Ok(()),
        JobStatus::Waiting => "waiting (its webhook follows when it is queued again)".to_owned(),
        JobStatus::InProgress { runner, .. } => {
            format!(
                "in progress on {}",
                runner.as_deref().unwrap_or("another runner")
            )
        }
        JobStatus::Completed { conclusion, .. } => {
            format!(
                "completed ({})",
                conclusion.as_deref().unwrap_or("no conclusion")
            )
        }
        JobStatus::Absent => "gone (its run was deleted)".to_owned(),
    };
    Err(Error::JobNotQueued { job: job.id, state })
}
