//! The `launch` Lambda.

use lambda_runtime::{LambdaEvent, service_fn};
use launch::{Config, Input, handle};
use runtime::settings::Settings;
use time::OffsetDateTime;
use tracing::{Instrument, info_span};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::from_env();
    runtime::telemetry::init(&settings)?;
    let config = &Config::from_settings(&settings)?;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Input>| {
        let job = &event.payload.order.job;
        let span = info_span!("launch", job_id = %job.id, run_id = job.run_id, repository = %job.repository, execution = %event.payload.execution);
        async move { handle(config, event.payload, OffsetDateTime::now_utc()) }.instrument(span)
    }))
    .await
}
