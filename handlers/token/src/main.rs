//! The `token` Lambda.

use lambda_runtime::{LambdaEvent, service_fn};
use runtime::settings::Settings;
use serde_json::Value;
use token::{Deps, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::from_env();
    runtime::telemetry::init(&settings)?;
    let deps = &Deps::from_settings(&settings)?;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        handle(deps, event.payload)
    }))
    .await
}
