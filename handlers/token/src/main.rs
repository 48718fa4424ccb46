//! The `token` Lambda.

use token::{Deps, handle};

fn main() -> std::process::ExitCode {
    runtime::lambda::run(async |settings| {
        let deps = &Deps::from_settings(settings)?;
        // Boxed: the futures of the SDK inside the runtime's are too deep for the compiler.
        runtime::lambda::serve(|event| Box::pin(handle(deps, event))).await
    })
}
