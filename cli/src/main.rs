//! `fargate-runners`: the command line of a deployment.

use std::io::Write as _;
use std::process::ExitCode;

use cli::command::Cli;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(exit) => return ExitCode::from(exit.code()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let exit = match runtime {
        Ok(runtime) => runtime.block_on(cli.run()),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: cannot start: {error}");
            cli::Exit::Failed
        }
    };
    ExitCode::from(exit.code())
}
