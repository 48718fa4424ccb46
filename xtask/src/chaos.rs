//! `cargo xtask chaos`: builds the stack, then runs the chaos program.

use std::process::Command;

use tooling::{Checkout, Progress, run};

use crate::local;
use crate::prepare::{self, cargo};

pub(crate) fn chaos(arguments: &[String]) -> anyhow::Result<()> {
    let (progress, checkout) = (Progress::new(), Checkout::here());
    if !arguments.iter().any(|argument| argument == "--help") {
        prepare::pieces(&progress, &checkout, &prepare::STACK)?;
    }
    let step = progress.step("Program: chaos");
    run(
        &step,
        Command::new(cargo()).args(["build", "--package", "chaos"]),
    )?;
    step.done("");
    local::become_program(Command::new(checkout.program("chaos")).args(arguments))
}
