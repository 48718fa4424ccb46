//! The program behind `cargo xtask release`: makes a release's files from built programs.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use tooling::{Architecture, Checkout, Progress, seconds};

/// What a release is made from
#[derive(Debug, Parser)]
#[command(name = "release")]
struct Options {
    /// Directory for the files; emptied first
    #[arg(long)]
    to: PathBuf,
    /// Functions and agent of a processor, as PROCESSOR=DIRECTORY with NAME/bootstrap in it
    #[arg(long, required = true, value_parser = pair)]
    programs: Vec<(String, String)>,
    /// The command line for a target, as TARGET=FILE
    #[arg(long, value_parser = pair)]
    command_line: Vec<(String, String)>,
    /// The tag that is released, which must be `v` and the version
    #[arg(long)]
    tag: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, path) = text.split_once('=').ok_or("give NAME=PATH")?;
    Ok((name.to_owned(), path.to_owned()))
}

fn main() -> ExitCode {
    tooling::exit(make(&Options::parse()).map(|()| ExitCode::SUCCESS))
}

fn make(options: &Options) -> anyhow::Result<()> {
    let begun = std::time::Instant::now();
    let (progress, checkout) = (Progress::new(), Checkout::here());
    release::check_versions(&checkout)?;
    if let Some(tag) = &options.tag {
        release::check_tag(&checkout, tag)?;
    }
    let to = &options.to;
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("emptying {}", to.display()))?;
    }
    fs::create_dir_all(to)?;
    // Node.js runs in another directory.
    let to = &fs::canonicalize(to)?;

    let step = progress.step("Zips and agents");
    let mut architectures = Vec::new();
    for (name, directory) in &options.programs {
        let architecture: Architecture = name.parse().map_err(anyhow::Error::msg)?;
        ensure!(
            !architectures.contains(&architecture),
            "--programs {architecture} is given twice"
        );
        let directory = PathBuf::from(directory);
        release::functions(&checkout, &directory, architecture, to)?;
        release::agent(&directory, architecture, to)?;
        architectures.push(architecture);
    }
    step.done("");
    for (target, program) in &options.command_line {
        release::command_line(&checkout, program.as_ref(), target, to)?;
    }
    let step = progress.step("npm package");
    release::package(&checkout, &step, to, &architectures)?;
    step.done("");
    let step = progress.step("CloudFormation templates");
    release::templates(&checkout, &step, to, &architectures)?;
    step.done("");
    let list = release::checksums(to)?;

    println!("{}", fs::read_to_string(&list)?.trim_end());
    println!(
        "Version {}, in {}, made in {}",
        release::VERSION,
        to.display(),
        seconds(begun.elapsed())
    );
    Ok(())
}
