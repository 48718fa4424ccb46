//! Starts a Lambda function and serves its events.

use std::fmt::Debug;
use std::process::ExitCode;

pub use lambda_runtime::Error;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::settings::Settings;
use crate::{program, telemetry};

/// Runs a function: starts the log, then `start`, which creates the clients and calls [`serve`]. A
/// failed start is the last line of its log.
pub fn run(start: impl AsyncFnOnce(&Settings) -> Result<(), Error>) -> ExitCode {
    let settings = Settings::from_env();
    let run = || {
        telemetry::init(&settings)?;
        // One thread: a sandbox serves one event at a time.
        let mut threads = tokio::runtime::Builder::new_current_thread();
        threads.enable_all().build()?.block_on(start(&settings))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            program::report(&*error);
            ExitCode::FAILURE
        }
    }
}

/// Serves events one after the other until Lambda ends the sandbox.
pub async fn serve<In, Out, Failure, Work>(handle: impl Fn(In) -> Work) -> Result<(), Error>
where
    In: DeserializeOwned,
    Out: Serialize,
    Failure: Into<Diagnostic> + Debug,
    Work: Future<Output = Result<Out, Failure>>,
{
    lambda_runtime::run(service_fn(|event: LambdaEvent<In>| handle(event.payload))).await
}
