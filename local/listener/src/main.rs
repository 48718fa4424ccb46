//! Takes the place of the runner's `bin/Runner.Listener` on the local stack.
//!
//! It is started, spoken to by signals, and listened to as the real one is
//! ([source](https://github.com/actions/runner/tree/main/src/Runner.Listener)), and it runs a job's
//! script. GitHub is the stand-in, over a protocol of their own.

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

/// What this listener calls itself. GitHub refuses runners that are too old.
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
        // There is nothing to compile ahead here.
        Command::Warmup => code::SUCCESS,
        Command::Configure(request) => configure::configure(&home, request).await,
        Command::Work => worker::work().await,
        Command::Run { jit_config } => run::run(&home, jit_config.as_deref()).await,
    }
}
