//! The `cleanup` Lambda.

use cleanup::{Deps, handle};
use time::OffsetDateTime;

fn main() -> std::process::ExitCode {
    runtime::lambda::run(async |settings| {
        let deps = &Deps::from_settings(settings)?;
        runtime::lambda::serve(|event| handle(deps, event, OffsetDateTime::now_utc())).await
    })
}
