//! The `launch` Lambda.

use launch::{Config, handle};
use time::OffsetDateTime;

fn main() -> std::process::ExitCode {
    runtime::lambda::run(async |settings| {
        let config = &Config::from_settings(settings)?;
        runtime::lambda::serve(async |input| handle(config, input, OffsetDateTime::now_utc())).await
    })
}
