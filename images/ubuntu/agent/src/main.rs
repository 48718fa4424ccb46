//! The entry point of a runner's container.

use std::process::ExitCode;

use runtime::settings::Settings;

fn main() -> ExitCode {
    // One thread: nearly all of the agent's time is waiting.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the agent could not start its runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let exit = runtime.block_on(agent::run(&Settings::from_env()));
    ExitCode::from(exit.code())
}
