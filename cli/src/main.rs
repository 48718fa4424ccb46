//! `fargate-runners`: the command line of a deployment.

use std::process::ExitCode;

use clap::Parser as _;
use cli::command::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let exit = match runtime {
        Ok(runtime) => runtime.block_on(cli.run()),
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            cli::Exit::Failed
        }
    };
    ExitCode::from(exit.code())
}
