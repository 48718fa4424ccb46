//! Builds what the tests and the local stack need. Each piece is rebuilt only when its source has
//! changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, anyhow, ensure};
use tooling::{Checkout, Progress, run};

use crate::prerequisites;

/// A piece that can be built concurrently with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The AWS engine's Python environment.
    Engine,
    /// The Python environment of the checks on synthesized templates.
    Checks,
    /// The CDK app's packages.
    Cdk,
    /// GitHub's examples and API description.
    Fixtures,
    /// Debian's packages: the browser of the tests of pages, and the forward proxy of another.
    Packages,
    /// Functions, agent and stand-ins for the local stack.
    Programs,
    /// The same with all tests, linted during compilation.
    Workspace,
}

/// Packages of the local stack, besides the functions, and the command line, which explains its jobs.
const PACKAGES: [&str; 4] = ["agent", "cli", "local-stack", "listener-standin"];

/// What the local stack needs.
pub(crate) const STACK: [Piece; 3] = [Piece::Programs, Piece::Engine, Piece::Cdk];
/// What the checks need besides the workspace. Pieces not related to the engine come first.
pub(crate) const CHECKS: [Piece; 5] = [
    Piece::Checks,
    Piece::Cdk,
    Piece::Fixtures,
    Piece::Packages,
    Piece::Engine,
];

/// Builds all pieces.
pub(crate) fn everything() -> anyhow::Result<()> {
    let all = [&[Piece::Programs], &CHECKS[..]].concat();
    pieces(&Progress::new(), &Checkout::here(), &all)
}

/// Builds pieces concurrently.
pub(crate) fn pieces(
    progress: &Progress,
    checkout: &Checkout,
    pieces: &[Piece],
) -> anyhow::Result<()> {
    let python = if pieces.iter().any(|piece| piece.needs_python()) {
        prerequisites::python()?
    } else {
        String::new()
    };
    if pieces.iter().any(|piece| piece.needs_node()) {
        prerequisites::node()?;
    }
    std::thread::scope(|scope| {
        let makers: Vec<_> = pieces
            .iter()
            .map(|piece| scope.spawn(|| piece.make(progress, checkout, &python)))
            .collect();
        // Wait for all, so that a failure leaves no half-built piece of another.
        let results: Vec<_> = makers
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect();
        results
            .into_iter()
            .try_for_each(|made| made.unwrap_or_else(|_| Err(anyhow!("a preparation crashed"))))
    })
}

impl Piece {
    fn needs_python(self) -> bool {
        matches!(self, Self::Engine | Self::Checks)
    }

    fn needs_node(self) -> bool {
        matches!(self, Self::Cdk | Self::Fixtures)
    }

    fn make(self, progress: &Progress, checkout: &Checkout, python: &str) -> anyhow::Result<()> {
        let requirements = |name: &str| checkout.path(&format!("local/engine/{name}"));
        match self {
            Self::Engine => {
                let list = requirements("requirements.txt");
                venv(progress, checkout, python, "engine", &list)
            }
            Self::Checks => {
                let list = requirements("requirements-checks.txt");
                venv(progress, checkout, python, "checks", &list)
            }
            Self::Cdk => npm(progress, &checkout.path("cdk"), "CDK app's packages"),
            Self::Fixtures => npm(
                progress,
                &checkout.path("tests/fixtures"),
                "GitHub's examples and API description",
            ),
            Self::Packages => {
                let step = progress.step("Chromium and tinyproxy");
                prerequisites::packages(&step)?;
                step.done("");
                Ok(())
            }
            Self::Programs => programs(progress, checkout),
            Self::Workspace => workspace(progress, checkout),
        }
    }
}

/// The environment with cargo-lambda and Zig.
pub(crate) fn build_tools(
    progress: &Progress,
    checkout: &Checkout,
    python: &str,
) -> anyhow::Result<()> {
    let list = checkout.path("local/engine/requirements-build.txt");
    venv(progress, checkout, python, "build", &list)
}

fn venv(
    progress: &Progress,
    checkout: &Checkout,
    python: &str,
    name: &str,
    requirements: &Path,
) -> anyhow::Result<()> {
    let place = checkout.venv(name);
    once(&place.join("made-from"), requirements, || {
        let step = progress.step(format!("Python environment: {name}"));
        // Installing over a half-built environment does not repair it.
        if place.exists() {
            fs::remove_dir_all(&place).with_context(|| format!("removing {}", place.display()))?;
        }
        run(&step, Command::new(python).args(["-m", "venv"]).arg(&place))?;
        let mut pip = Command::new(place.join("bin/python"));
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "-r"]);
        run(&step, pip.arg(requirements))?;
        step.done("");
        Ok(())
    })
}

fn npm(progress: &Progress, directory: &Path, label: &str) -> anyhow::Result<()> {
    let lock = directory.join("package-lock.json");
    once(&directory.join("node_modules/.made-from"), &lock, || {
        let step = progress.step(label);
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]);
        run(&step, npm.current_dir(directory))?;
        step.done("");
        Ok(())
    })
}

/// Compiles without optimization, which is quick; the source is the deployed one. `cargo xtask
/// zips` builds what is deployed.
fn programs(progress: &Progress, checkout: &Checkout) -> anyhow::Result<()> {
    let step = progress.step("Functions, agent and stand-ins");
    let mut build = Command::new(cargo());
    build.arg("build");
    for name in checkout.functions()? {
        let package = checkout.package(&format!("handlers/{name}"))?;
        build.args(["--package", &package]);
    }
    for package in PACKAGES {
        build.args(["--package", package]);
    }
    run(&step, &mut build)?;
    stage(checkout)?;
    step.done("");
    Ok(())
}

/// Compiles the whole workspace with its tests once, for all later checks.
fn workspace(progress: &Progress, checkout: &Checkout) -> anyhow::Result<()> {
    let step = progress.step("Workspace and its tests, linted by Clippy");
    let arguments = ["build", "--workspace", "--bins", "--tests"];
    let mut build = Command::new(cargo());
    build.args(arguments);
    run(&step, &mut linted(build))?;
    stage(checkout)?;
    step.done("");
    Ok(())
}

/// Lints what this command compiles. Clippy's driver is the compiler plus lints, so nothing is
/// compiled twice.
pub(crate) fn linted(mut command: Command) -> Command {
    if let Ok(driver) = clippy_driver() {
        command
            .env("RUSTC_WORKSPACE_WRAPPER", driver)
            .env("CLIPPY_ARGS", "--deny=warnings__CLIPPY_HACKERY__");
    }
    command
}

/// Path of Clippy's driver.
pub(crate) fn clippy_driver() -> anyhow::Result<PathBuf> {
    let answer = Command::new("rustc").args(["--print", "sysroot"]).output();
    let answer = answer.context("cannot start `rustc`")?;
    let sysroot = String::from_utf8(answer.stdout).context("rustc's sysroot is not UTF-8")?;
    let driver = Path::new(sysroot.trim()).join("bin/clippy-driver");
    ensure!(
        driver.is_file(),
        "Clippy lints what is compiled and is not installed: rustup component add clippy"
    );
    Ok(driver)
}

/// Copies functions and agent to where the CDK app and the engine expect them.
fn stage(checkout: &Checkout) -> anyhow::Result<()> {
    let functions = checkout.functions()?.into_iter();
    for name in functions.chain(["agent".to_owned()]) {
        let place = checkout.handlers().join(&name);
        fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
        let (from, to) = (checkout.program(&name), place.join("bootstrap"));
        // Without symbols, zipping and unzipping takes half the time.
        let stripped = Command::new("strip").arg("-o").arg(&to).arg(&from).status();
        if !stripped.is_ok_and(|status| status.success()) {
            fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
        }
    }
    Ok(())
}

/// Builds something unless the stamp equals its source.
fn once(
    stamp: &Path,
    source: &Path,
    make: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let wanted = fs::read(source).with_context(|| format!("reading {}", source.display()))?;
    if fs::read(stamp).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    make()?;
    fs::write(stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
