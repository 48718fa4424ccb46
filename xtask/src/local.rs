//! `cargo xtask local` and `cargo xtask job`: prepare what is needed, then become the local stack.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{bail, ensure};
use clap::Args;
use tooling::{Checkout, Progress};

use crate::{prepare, prerequisites};

/// What `cargo xtask local` can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// End after the jobs; succeed only if all of them did and nothing is left over
    #[arg(long)]
    once: bool,
    /// How many jobs are queued
    #[arg(long, default_value_t = 1)]
    jobs: u32,
    /// Port of the AWS engine; 0 takes a free one
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// Factor on the state machine's waits; at 1 the grace before another attempt takes 90 s
    #[arg(long, default_value_t = 0.2)]
    wait_scale: f64,
}

/// Prepares everything, then shows the jobs.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "the local stack runs ECS tasks as Linux processes; run it on Linux, or in a Linux container"
    );
    prerequisites::port(options.port)?;
    eprintln!("Preparing (the first time takes some minutes)");
    prepare::pieces(&Progress::new(), &Checkout::here(), &prepare::STACK)?;
    let mut stack = Command::new(Checkout::here().program("local-stack"));
    stack.arg("up");
    stack.args(["--jobs", &options.jobs.to_string()]);
    stack.args(["--port", &options.port.to_string()]);
    stack.args(["--wait-scale", &options.wait_scale.to_string()]);
    if options.once {
        stack.arg("--once");
    }
    become_program(&mut stack)
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

/// One process less to pass signals on to.
pub(crate) fn become_program(command: &mut Command) -> anyhow::Result<()> {
    let error = command.exec();
    bail!("{} could not be started: {error}", tooling::shown(command));
}
