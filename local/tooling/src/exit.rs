//! How a tool ends.

use std::process::{ExitCode, Termination};

/// What `main` returns: success, or whatever else the work says; an error is told with its causes, as
/// the last line on standard error.
pub fn exit<T: Termination>(result: anyhow::Result<T>) -> ExitCode {
    match result {
        Ok(done) => done.report(),
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
