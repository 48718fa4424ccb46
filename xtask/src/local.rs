//! `cargo xtask local` and `cargo xtask job`: prepare, then run the local stack's program.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{bail, ensure};
use tooling::{Checkout, Progress, StackOptions};

use crate::{prepare, prerequisites};

/// Prepares everything, then starts the stack.
pub(crate) fn run(options: &StackOptions) -> anyhow::Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "the local stack runs ECS tasks as Linux processes; run it on Linux, or in a Linux container"
    );
    prerequisites::port(options.port, "--port 4666")?;
    if !options.once {
        prerequisites::port(options.console_port, "--console-port 0")?;
    }
    eprintln!("Preparing (the first time takes some minutes)");
    prepare::pieces(&Progress::new(), &Checkout::here(), &prepare::STACK)?;
    let mut stack = Command::new(Checkout::here().program("local-stack"));
    // The program parses the same options, so it gets everything after `local` unchanged.
    become_program(stack.arg("up").args(std::env::args_os().skip(2)))
}

/// Queues a job on the running stack.
pub(crate) fn job(arguments: &[String]) -> anyhow::Result<()> {
    let program = Checkout::here().program("local-stack");
    ensure!(
        program.is_file(),
        "no local stack was ever started here; do that first: cargo xtask local"
    );
    become_program(Command::new(program).arg("job").args(arguments))
}

/// Replaces this process, so that signals need no forwarding.
pub(crate) fn become_program(command: &mut Command) -> anyhow::Result<()> {
    let error = command.exec();
    bail!("cannot start {}: {error}", tooling::shown(command));
}
