//! Takes a task of the stock for a registration that was just written.
//!
//! The registration is the same, warm or cold, so whatever fails here costs the job nothing but time:
//! it goes on with a task of its own, [`LIMIT`] later at most. Nothing here is an error of `token`.
//!
//! - [`claim`]: taking a ticket
//! - [`offer`]: ringing its task, and the task's answer

pub mod claim;
pub mod offer;
mod request;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use pool::Pool;
use protocol::{Adopted, Demand, Start};
use runtime::settings::{Settings, Variable};
use runtime::telemetry::{Metric, Metrics};
use tokio::time::Instant;

pub use request::{Cold, Keeper, LIMIT, Request, Stock};

const STOCK_FUNCTION: Variable = Variable::optional(
    "STOCK_FUNCTION",
    "function that keeps the stock of warm tasks, called after each job of a family with a pool",
);

/// Variables of [`Stock::from_settings`], besides the pool's.
pub const VARIABLES: &[Variable] = &[STOCK_FUNCTION];

impl Stock {
    /// The stock of these settings; `None` without a pool.
    pub fn from_settings(settings: &Settings, aws: &aws::SdkConfig) -> Option<Self> {
        let pool = Pool::from_settings(settings, aws)?;
        let aws = pool::impatient(aws);
        Some(Self {
            pool,
            ecs: aws_sdk_ecs::Client::new(&aws),
            keeper: settings.maybe(&STOCK_FUNCTION).map(|function| Keeper {
                lambda: aws_sdk_lambda::Client::new(&aws),
                function,
            }),
        })
    }

    /// Has a warm task take the registration. `None` means that the job goes on with a task of its
    /// own.
    pub async fn adopt(&self, request: &Request<'_>, metrics: &Metrics) -> Option<Adopted> {
        let started = Instant::now();
        let claimed = claim::claim(self, request, started).await;
        // The stock is refilled while the task answers.
        let (result, ()) = match claimed {
            Ok((ticket, task_arn)) => tokio::join!(
                offer::offer(self, request, (&ticket, task_arn), started),
                self.tell_keeper(request, Start::Warm),
            ),
            Err(reason) => {
                self.tell_keeper(request, Start::Cold).await;
                metrics.split(Metric::WarmMisses, 1.0, request.family);
                tracing::info!(family = request.family, runner = %request.runner.name, %reason, "starting a task for the runner");
                return None;
            }
        };
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match result {
            Ok(adopted) => {
                metrics.split(Metric::WarmStarts, 1.0, request.family);
                tracing::info!(family = request.family, runner = %request.runner.name, task = adopted.task_arn, milliseconds, "a warm task took the registration");
                Some(adopted)
            }
            Err(reason) => {
                metrics.split(Metric::WarmTasksLost, 1.0, request.family);
                tracing::warn!(family = request.family, runner = %request.runner.name, %reason, milliseconds, "lost a warm task; starting one for the runner");
                None
            }
        }
    }

    /// Calls the keeper without waiting for it. If that fails, the keeper's schedule refills the stock.
    async fn tell_keeper(&self, request: &Request<'_>, start: Start) {
        let Some(keeper) = &self.keeper else { return };
        let demand = Demand {
            family: request.family.to_owned(),
            repository: request.job.repository.clone(),
            start,
        };
        // The type has only fields that JSON can represent.
        let payload = serde_json::to_vec(&demand).unwrap_or_default();
        let told = keeper
            .lambda
            .invoke()
            .function_name(&keeper.function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(payload))
            .send()
            .await;
        if let Err(error) = told {
            let error = aws::Error::new("lambda:InvokeFunction", &keeper.function, &error);
            tracing::warn!(%error, "cannot call the keeper of the stock");
        }
    }
}
