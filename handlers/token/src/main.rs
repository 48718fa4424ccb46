//! The `token` Lambda.

use token::{Deps, handle};

fn main() -> std::process::ExitCode {
    runtime::lambda::run(async |settings| {
        let deps = &Deps::from_settings(settings)?;
        runtime::lambda::serve(|event| handle(deps, event)).await
    })
}
