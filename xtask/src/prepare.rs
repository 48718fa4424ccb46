//! Making what the tests and the local stack are made of. Each piece is made once and then only when
//! what it is made from has changed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, anyhow};
use workshop::{Architecture, Progress, Workshop, run};

use crate::{prerequisites, zips};

/// A piece that can be made beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The AWS engine's Python environment.
    Engine,
    /// The environment of the checks on the synthesized template.
    Checks,
    /// The CDK app's packages.
    Cdk,
    /// GitHub's examples and API description.
    Fixtures,
    /// Handlers and agent, as they are deployed, for this machine.
    Handlers,
    /// The stack's own programs.
    Programs,
}

/// What the local stack needs.
pub(crate) const STACK: [Piece; 4] = [Piece::Handlers, Piece::Programs, Piece::Engine, Piece::Cdk];
/// What the checks need that get along without an engine.
pub(crate) const FAST: [Piece; 3] = [Piece::Checks, Piece::Cdk, Piece::Fixtures];

/// Makes every piece there is.
pub(crate) fn everything() -> anyhow::Result<()> {
    let all = [&STACK[..], &[Piece::Checks, Piece::Fixtures]].concat();
    pieces(&Progress::new(), &Workshop::here(), &all)
}

/// Makes pieces, side by side.
pub(crate) fn pieces(
    progress: &Progress,
    workshop: &Workshop,
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
            .map(|piece| scope.spawn(|| piece.make(progress, workshop, &python)))
            .collect();
        // All are waited for, so that no half-made piece is left behind by another's failure.
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
        matches!(self, Self::Engine | Self::Checks | Self::Handlers)
    }

    fn needs_node(self) -> bool {
        matches!(self, Self::Cdk | Self::Fixtures)
    }

    fn make(self, progress: &Progress, workshop: &Workshop, python: &str) -> anyhow::Result<()> {
        let requirements = |name: &str| workshop.path(&format!("local/engine/{name}"));
        match self {
            Self::Engine => {
                let list = requirements("requirements.txt");
                venv(progress, workshop, python, "engine", &list)
            }
            Self::Checks => {
                let list = requirements("requirements-checks.txt");
                venv(progress, workshop, python, "checks", &list)
            }
            Self::Cdk => npm(progress, &workshop.path("cdk"), "CDK app's packages"),
            Self::Fixtures => npm(
                progress,
                &workshop.path("tests/fixtures"),
                "GitHub's examples and API description",
            ),
            Self::Handlers => {
                build_tools(progress, workshop, python)?;
                zips::build(
                    progress,
                    workshop,
                    Architecture::here(),
                    &workshop.handlers(),
                )
            }
            Self::Programs => programs(progress),
        }
    }
}

/// The environment with cargo-lambda and Zig.
pub(crate) fn build_tools(
    progress: &Progress,
    workshop: &Workshop,
    python: &str,
) -> anyhow::Result<()> {
    let list = workshop.path("local/engine/requirements-build.txt");
    venv(progress, workshop, python, "build", &list)
}

fn venv(
    progress: &Progress,
    workshop: &Workshop,
    python: &str,
    name: &str,
    requirements: &Path,
) -> anyhow::Result<()> {
    let place = workshop.venv(name);
    once(&place.join("made-from"), requirements, || {
        let step = progress.step(format!("Python environment: {name}"));
        // One that was left half-made can't be mended by installing over it.
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

fn programs(progress: &Progress) -> anyhow::Result<()> {
    let step = progress.step("Local stack and stand-ins");
    let mut cargo = Command::new(cargo());
    cargo.args([
        "build",
        "--package=local-stack",
        "--package=listener-standin",
    ]);
    run(&step, &mut cargo)?;
    step.done("");
    Ok(())
}

/// Makes something unless the stamp says that it was made from the very same source.
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

/// The cargo that runs us.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
