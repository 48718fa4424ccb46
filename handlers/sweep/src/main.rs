//! The `sweep` Lambda.

use serde_json::Value;
use sweep::{Deps, handle};
use time::OffsetDateTime;

fn main() -> std::process::ExitCode {
    runtime::lambda::run(async |settings| {
        let deps = &Deps::from_settings(settings)?;
        runtime::lambda::serve(|_: Value| handle(deps, OffsetDateTime::now_utc())).await
    })
}
