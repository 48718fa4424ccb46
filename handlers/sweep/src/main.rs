//! The `sweep` Lambda.

use fleet::Fleet;
use lambda_runtime::{LambdaEvent, service_fn};
use runtime::settings::Settings;
use serde_json::Value;
use sweep::{Config, Deps, Releases, handle};
use time::OffsetDateTime;

/// How often one AWS call is tried. The next sweep comes in five minutes.
const AWS_ATTEMPTS: u32 = 4;

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
        releases: Releases::default(),
    };
    lambda_runtime::run(service_fn(move |_: LambdaEvent<Value>| {
        handle(deps, OffsetDateTime::now_utc())
    }))
    .await
}
