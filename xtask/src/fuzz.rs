//! `cargo xtask fuzz`: runs each target of tests/fuzz under libFuzzer for some minutes.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use tooling::{Checkout, Progress, run};

use crate::prepare::cargo;

/// What to fuzz, and how long
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Targets from tests/fuzz/README.md; all if none is named
    targets: Vec<String>,
    /// Minutes per target
    #[arg(long, default_value_t = 10)]
    minutes: u32,
}

/// Builds the driver and runs it for each target in turn.
pub(crate) fn run_targets(options: &Options) -> anyhow::Result<()> {
    let (progress, checkout) = (Progress::new(), Checkout::here());
    let all = targets(&checkout)?;
    for target in &options.targets {
        ensure!(
            all.contains(target),
            "there is no target {target:?}; there are {}",
            all.join(", ")
        );
    }
    let step = progress.step("Fuzzing: instrumented build");
    let mut build = Command::new(cargo());
    build
        .args(["build", "--release"])
        .current_dir(checkout.path("tests/fuzz/driver"));
    run(&step, &mut build)?;
    step.done("");
    let programs = programs(&checkout)?;
    for target in all {
        if options.targets.is_empty() || options.targets.contains(&target) {
            let step = progress.step(format!("Fuzzing: {target}"));
            let found = fuzz(&checkout, &programs.join(&target), &target, options.minutes)?;
            step.done(&found);
        }
    }
    Ok(())
}

/// The targets, which are named after their corpora.
fn targets(checkout: &Checkout) -> anyhow::Result<Vec<String>> {
    let corpus = checkout.path("tests/fuzz/corpus");
    let mut names = Vec::new();
    for entry in fs::read_dir(&corpus).with_context(|| format!("reading {}", corpus.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Directory of the driver's programs, in this machine's target directory.
fn programs(checkout: &Checkout) -> anyhow::Result<std::path::PathBuf> {
    let built = checkout.target().join("fuzz");
    for entry in fs::read_dir(&built)? {
        let release = entry?.path().join("release");
        if release.join("verify").is_file() {
            return Ok(release);
        }
    }
    bail!("cannot find the driver's programs in {}", built.display())
}

/// Fuzzes one target. Returns how much was tried.
fn fuzz(checkout: &Checkout, program: &Path, target: &str, minutes: u32) -> anyhow::Result<String> {
    let output = checkout.target().join("fuzz-output");
    // libFuzzer adds inputs that reach new code to the first directory and only reads the second.
    let found = output.join(target);
    fs::create_dir_all(&found)?;
    let log = output.join(format!("{target}.log"));
    let status = Command::new(program)
        .arg(&found)
        .arg(checkout.path("tests/fuzz/corpus").join(target))
        .args([
            &format!("-max_total_time={}", minutes * 60),
            "-timeout=30",
            "-max_len=16384",
            "-print_final_stats=1",
        ])
        .arg(format!(
            "-artifact_prefix={}/finding-{target}-",
            output.display()
        ))
        // Discards the handlers' logs and metrics.
        .stdout(Stdio::null())
        .stderr(File::create(&log)?)
        .status()
        .with_context(|| format!("starting {}", program.display()))?;
    let text = fs::read_to_string(&log)?;
    if !status.success() {
        let last: Vec<_> = text.lines().rev().take(30).collect();
        let last: Vec<_> = last.into_iter().rev().collect();
        bail!(
            "{target} broke a promise; the input is beside {}. Mend it, and keep the input in \
             tests/fuzz/corpus/{target} by a name that says what it shows.\n{}",
            log.display(),
            last.join("\n")
        );
    }
    let figure = |name: &str| {
        let line = text.lines().rev().find_map(|line| line.strip_prefix(name));
        line.map_or("?", |rest| rest.trim_start_matches(':').trim())
            .to_owned()
    };
    Ok(format!(
        "{} inputs tried, {} kept",
        figure("stat::number_of_executed_units"),
        figure("stat::new_units_added")
    ))
}
