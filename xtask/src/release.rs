//! `cargo xtask release`: builds what a release consists of, and makes its files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure};
use clap::Parser;
use tooling::{Architecture, Checkout, Progress, run};

use crate::prepare::{self, cargo};
use crate::{prerequisites, zips};

/// What a release has for each of these.
const ARCHITECTURES: [Architecture; 2] = [Architecture::Arm64, Architecture::X86_64];
/// Package and program of the command line.
const COMMAND_LINE: (&str, &str) = ("cli", "fargate-runners");

/// Makes a release's files in target/dist
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Make the files and publish nothing; publishing is the release workflow's
    #[arg(long)]
    dry_run: bool,
    /// The tag that is released, which must be `v` and the version
    #[arg(long)]
    tag: Option<String>,
    /// Processors of functions and agent, and of the command line for Linux; both if none is named
    #[arg(long)]
    arch: Vec<Architecture>,
    /// A command line built elsewhere, as TARGET=FILE, to be packed too
    #[arg(long)]
    command_line: Vec<String>,
    /// Leave the command line for Linux out
    #[arg(long)]
    without_command_line: bool,
    /// Built functions and agent as NAME/bootstrap, in place of a build; needs one --arch
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Directory for the files, in place of target/dist
    #[arg(long)]
    to: Option<PathBuf>,
}

pub(crate) fn release(options: &Options) -> anyhow::Result<()> {
    if !options.dry_run {
        bail!(
            "give --dry-run: it makes all files. A release is published by .github/workflows/release.yml, \
             which a tag starts"
        );
    }
    let (progress, checkout) = (Progress::new(), Checkout::here());
    let architectures = if options.arch.is_empty() {
        ARCHITECTURES.to_vec()
    } else {
        options.arch.clone()
    };
    ensure!(
        options.programs.is_none() || architectures.len() == 1,
        "give one --arch with --programs: the processor that they are built for"
    );
    prepare::pieces(&progress, &checkout, &[prepare::Piece::Cdk])?;
    let to = options
        .to
        .clone()
        .unwrap_or_else(|| checkout.target().join("dist"));
    let mut arguments = vec!["--to".to_owned(), shown(&to)];
    if let Some(tag) = &options.tag {
        arguments.extend(["--tag".to_owned(), tag.clone()]);
    }
    for built in &options.command_line {
        arguments.extend(["--command-line".to_owned(), built.clone()]);
    }
    let builds = options.programs.is_none() || !options.without_command_line;
    if builds {
        prepare::build_tools(&progress, &checkout, &prerequisites::python()?)?;
    }
    for architecture in architectures {
        let built = checkout
            .target()
            .join("release-programs")
            .join(architecture.to_string());
        let programs = options.programs.as_ref().unwrap_or(&built);
        if options.programs.is_none() {
            zips::build(&progress, &checkout, architecture, &built)?;
        }
        arguments.extend([
            "--programs".to_owned(),
            format!("{architecture}={}", shown(programs)),
        ]);
        if !options.without_command_line {
            let (package, program) = COMMAND_LINE;
            zips::build_package(&progress, &checkout, architecture, &built, package)?;
            let file = built.join(program).join("bootstrap");
            arguments.extend([
                "--command-line".to_owned(),
                format!("{}={}", architecture.triple(), shown(&file)),
            ]);
        }
    }
    let step = progress.step("Program: release");
    let mut build = Command::new(cargo());
    build.args(["build", "--package", "release"]);
    run(&step, &mut build)?;
    step.done("");
    crate::local::become_program(Command::new(checkout.program("release")).args(arguments))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
