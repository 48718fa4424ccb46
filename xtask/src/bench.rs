//! `cargo xtask bench`, `cargo xtask cost` and `cargo xtask simulate`: build what is measured, then run
//! the measuring program.

use std::process::Command;

use tooling::{Architecture, Checkout, Progress, run};

use crate::prepare::{self, cargo};
use crate::{local, prerequisites, zips};

/// Builds and measures the functions, the agent and the empty function.
pub(crate) fn bench(arguments: &[String]) -> anyhow::Result<()> {
    let (progress, checkout) = (Progress::new(), Checkout::here());
    let asks = |text: &str| arguments.iter().any(|argument| argument == text);
    if asks("warm") {
        // It runs on the local stack.
        prepare::pieces(&progress, &checkout, &prepare::STACK)?;
    } else if !asks("--help") {
        prepare::build_tools(&progress, &checkout, &prerequisites::python()?)?;
        let (here, directory) = (Architecture::here(), checkout.target().join("bench"));
        zips::build(&progress, &checkout, here, &directory)?;
        zips::build_package(&progress, &checkout, here, &directory, "empty-handler")?;
    }
    program(&progress, "bench")?;
    local::become_program(Command::new(checkout.program("bench")).args(arguments))
}

/// Prints docs/cost.md, or writes the table of sizes into docs/runs-on.md.
pub(crate) fn cost(sizes: bool) -> anyhow::Result<()> {
    program(&Progress::new(), "cost")?;
    let arguments = sizes.then_some("--sizes");
    local::become_program(Command::new(Checkout::here().program("cost")).args(arguments))
}

/// Writes docs/scale.md.
pub(crate) fn simulate(arguments: &[String]) -> anyhow::Result<()> {
    program(&Progress::new(), "simulate")?;
    local::become_program(Command::new(Checkout::here().program("simulate")).args(arguments))
}

fn program(progress: &Progress, package: &str) -> anyhow::Result<()> {
    let step = progress.step(format!("Program: {package}"));
    let mut build = Command::new(cargo());
    build.args(["build", "--package", package]);
    run(&step, &mut build)?;
    step.done("");
    Ok(())
}
