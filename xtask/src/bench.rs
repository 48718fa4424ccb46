//! `cargo xtask bench` and `cargo xtask cost`: build what is measured, then become the program that
//! measures.

use std::process::Command;

use workshop::{Architecture, Progress, Workshop, run};

use crate::prepare::{self, cargo};
use crate::{local, prerequisites, zips};

/// Builds functions, agent and the empty function, and measures them.
pub(crate) fn bench(arguments: &[String]) -> anyhow::Result<()> {
    let (progress, workshop) = (Progress::new(), Workshop::here());
    let asks_only = arguments.iter().any(|argument| argument == "--help");
    if !asks_only {
        prepare::build_tools(&progress, &workshop, &prerequisites::python()?)?;
        let (here, directory) = (Architecture::here(), workshop.target().join("bench"));
        zips::build(&progress, &workshop, here, &directory)?;
        zips::build_package(&progress, &workshop, here, &directory, "empty-handler")?;
    }
    program(&progress, "bench")?;
    local::become_program(Command::new(workshop.program("bench")).args(arguments))
}

/// Prints docs/cost.md.
pub(crate) fn cost() -> anyhow::Result<()> {
    program(&Progress::new(), "cost")?;
    local::become_program(&mut Command::new(Workshop::here().program("cost")))
}

fn program(progress: &Progress, package: &str) -> anyhow::Result<()> {
    let step = progress.step(format!("Program: {package}"));
    let mut build = Command::new(cargo());
    build.args(["build", "--package", package]);
    run(&step, &mut build)?;
    step.done("");
    Ok(())
}
