//! The entry point of a runner's container.

use std::process::ExitCode;

use runtime::settings::Settings;

fn main() -> ExitCode {
    // One thread: nearly all of the agent's time is waiting.
    let threads = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(threads) => threads,
        Err(error) => {
            runtime::program::report(&error);
            return ExitCode::FAILURE;
        }
    };
    let exit = threads.block_on(agent::run(&Settings::from_env()));
    ExitCode::from(exit.code())
}
