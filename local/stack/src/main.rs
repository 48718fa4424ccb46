//! The program behind `cargo xtask local` and `cargo xtask job`.

mod console;
mod follow;
mod job;
mod state_file;
mod up;

use clap::{Parser, Subcommand};
use tooling::StackOptions;

#[derive(Debug, Parser)]
#[command(
    name = "local-stack",
    about = "The local stack; `cargo xtask local` prepares and starts it"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts everything, queues jobs and shows them
    Up(StackOptions),
    /// Queues a job on the running stack
    Job(job::Options),
}

fn main() -> std::process::ExitCode {
    let result = tokio::runtime::Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let result = runtime.block_on(run(Cli::parse().command));
            // Unfinished preparations are not awaited after a failure.
            runtime.shutdown_background();
            result
        });
    tooling::exit(result.map(|well| std::process::ExitCode::from(u8::from(!well))))
}

async fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Up(options) => up::run(&options).await,
        Command::Job(options) => job::run(&options).await,
    }
}
