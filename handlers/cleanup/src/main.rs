//! The `cleanup` Lambda.

use cleanup::{Config, Deps, handle};
use fleet::Fleet;
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::settings::Settings;
use serde_json::Value;
use time::OffsetDateTime;

/// How often one AWS call is tried: an attempt's end may wait a little, and must not be lost.
const AWS_ATTEMPTS: u32 = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::from_env();
    runtime::telemetry::init(&settings)?;
    let fleet = Fleet::from_settings(&settings, &aws::sdk_config(&settings, AWS_ATTEMPTS)?)?;
    let github = github::secrets::connect(&settings, fleet.ssm.clone())?;
    let deps = &Deps {
        fleet,
        github,
        config: Config::from_settings(&settings)?,
    };
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        handle(deps, event.payload, OffsetDateTime::now_utc())
    }))
    .await
}
