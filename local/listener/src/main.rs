//! Replaces the runner's `bin/Runner.Listener` on the local stack.
//!
//! It starts, handles signals and prints like the real one
//! ([source](https://github.com/actions/runner/tree/main/src/Runner.Listener)), and runs a job's
//! script. GitHub is the stand-in, with a private protocol.

mod code;
mod command;
mod configure;
mod files;
mod github;
mod home;
mod job;
mod orphans;
mod run;
mod signals;
mod terminal;
mod worker;

use command::Command;
use home::Home;

/// The version that it reports; GitHub rejects old ones.
const VERSION: &str = "2.335.0";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    worker::take_name(&arguments);
    let code = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(execute(&arguments)),
        Err(error) => {
            eprintln!("An error occurred: {error}");
            code::RETRYABLE
        }
    };
    std::process::exit(code);
}

async fn execute(arguments: &[String]) -> i32 {
    let command = Command::read(arguments.get(1..).unwrap_or_default(), std::env::vars());
    let home = match Home::of(arguments.first().map_or("", String::as_str)) {
        Ok(home) => home,
        Err(error) => {
            eprintln!("An error occurred: {error}");
            return code::TERMINATED;
        }
    };
    match command {
        Command::Help => {
            println!("{}", command::USAGE);
            code::SUCCESS
        }
        Command::Version => {
            println!("{VERSION}");
            code::SUCCESS
        }
        // Nothing to compile ahead.
        Command::Warmup => code::SUCCESS,
        Command::Configure(request) => configure::configure(&home, request).await,
        Command::Work => worker::work().await,
        Command::Run { jit_config } => run::run(&home, jit_config.as_deref()).await,
    }
}
