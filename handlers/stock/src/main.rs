//! The `stock` Lambda.

use serde_json::Value;
use stock::{Deps, handle};
use time::OffsetDateTime;

fn main() -> std::process::ExitCode {
    runtime::lambda::run(async |settings| {
        let deps = &Deps::from_settings(settings)?;
        runtime::lambda::serve(|event: Value| handle(deps, event, OffsetDateTime::now_utc())).await
    })
}
