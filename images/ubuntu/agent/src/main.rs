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
    // The runner's hook after a job runs this program, too: `agent summary DIRECTORY`.
    let mut arguments = std::env::args_os().skip(1);
    if let (Some(command), Some(directory)) = (arguments.next(), arguments.next())
        && command == "summary"
    {
        threads.block_on(agent::summary::write(directory.as_ref()));
        return ExitCode::SUCCESS;
    }
    let exit = threads.block_on(agent::run(&Settings::from_env()));
    ExitCode::from(exit.code())
}
