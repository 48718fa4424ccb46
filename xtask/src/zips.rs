//! Builds handlers and agent for deployment.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use tooling::{Architecture, Checkout, Progress, run};

use crate::{prepare, prerequisites};

/// `cargo xtask zips`: builds into target/lambda, where the CDK app expects them.
pub(crate) fn for_deployment(architecture: Architecture) -> anyhow::Result<()> {
    let (progress, checkout) = (Progress::new(), Checkout::here());
    prepare::build_tools(&progress, &checkout, &prerequisites::python()?)?;
    let directory = checkout.target().join("lambda");
    build(&progress, &checkout, architecture, &directory)?;
    println!("{}", directory.display());
    Ok(())
}

/// Builds `NAME/bootstrap` for each handler into a directory, and the agent. Cargo rebuilds only
/// what has changed.
pub(crate) fn build(
    progress: &Progress,
    checkout: &Checkout,
    architecture: Architecture,
    directory: &Path,
) -> anyhow::Result<()> {
    let step = progress.step(format!("Handlers and agent for {architecture}"));
    let mut build = cargo_lambda(checkout, architecture, directory)?;
    run(&step, &mut build)?;
    for name in checkout.functions()? {
        let program = directory.join(name).join("bootstrap");
        ensure!(program.is_file(), "the build left no {}", program.display());
    }
    // The image's build looks for the agent where cargo puts it. cargo-lambda moves it away.
    let agent = checkout
        .target()
        .join(architecture.triple())
        .join("release/agent");
    let moved = directory.join("agent").join("bootstrap");
    fs::copy(&moved, &agent).with_context(|| format!("copying {}", moved.display()))?;
    step.done("");
    Ok(())
}

/// Builds another package's programs in the same way.
pub(crate) fn build_package(
    progress: &Progress,
    checkout: &Checkout,
    architecture: Architecture,
    directory: &Path,
    package: &str,
) -> anyhow::Result<()> {
    let step = progress.step(format!("{package} for {architecture}"));
    let mut build = cargo_lambda(checkout, architecture, directory)?;
    run(&step, build.args(["--package", package]))?;
    step.done("");
    Ok(())
}

fn cargo_lambda(
    checkout: &Checkout,
    architecture: Architecture,
    directory: &Path,
) -> anyhow::Result<Command> {
    let triple = architecture.triple();
    prerequisites::rust_target(triple)?;
    let tools = checkout.venv("build").join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(tools.clone()).chain(std::env::split_paths(&path));
    // Low priority, because the checks build it concurrently with tests that wait for responses.
    let mut build = Command::new("nice");
    build
        .arg(tools.join("cargo-lambda"))
        .args([
            "lambda",
            "build",
            "--locked",
            "--release",
            "--target",
            triple,
            "--lambda-dir",
        ])
        .arg(directory)
        .args(["--config", &without_unwind_tables(checkout)])
        // With this path, cargo-lambda finds Zig without printing a notice.
        .env("PATH", std::env::join_paths(paths)?)
        .current_dir(checkout.root());
    Ok(build)
}

/// Makes the linker omit what only unwinding needs; the script explains why.
fn without_unwind_tables(checkout: &Checkout) -> String {
    let script = checkout.path("xtask/discard-unwind-tables.ld");
    format!("build.rustflags=['-Clink-arg=-Wl,-T,{}']", script.display())
}
