//! `cargo xtask test`: all checks, the ones that fail soonest first.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use tooling::{Architecture, Checkout, Progress, Step, run as run_quietly, seconds, shown};

use crate::prepare::{self, Piece, cargo, linted};
use crate::{prerequisites, zips};

/// How a check's progress is shown.
#[derive(Clone, Copy)]
enum Check {
    /// One line; the output of its programs is shown only on failure.
    Quiet(fn(&Checkout, &Step) -> anyhow::Result<()>),
    /// A test runner, which shows its own progress.
    Loud(fn(&Checkout) -> Command),
    /// A test runner beside others: its output is shown when it has ended.
    Silent(fn(&Checkout) -> Command),
    /// A test runner of libtest whose tests share a machine with each other: a few that fail run again, alone, and
    /// the report names them.
    Crowded(fn(&Checkout) -> Command),
}

/// The end-to-end tests mostly wait, so there are more threads than processors: as many as engines.
const THREADS: usize = 4;
/// If more tests than that fail, the cause is not the crowd.
const RUN_AGAIN: usize = 3;

const FAST: [(&str, Check); 6] = [
    ("Format", Check::Quiet(format)),
    ("Unit and contract tests", Check::Loud(unit_and_contract)),
    ("State machine", Check::Quiet(state_machine)),
    ("CDK app: types and format", Check::Quiet(cdk_lint)),
    ("CDK app: tests", Check::Loud(cdk_tests)),
    (
        "CloudFormation templates and their policies",
        Check::Quiet(template),
    ),
];
/// These mostly wait, so they run concurrently with a build.
const WITH_ENGINE: [(&str, Check); 3] = [
    ("AWS engine's tests", Check::Loud(engine_tests)),
    ("End to end on the local stack", Check::Crowded(end_to_end)),
    ("Granted, and never needed", Check::Loud(grants)),
];
/// Mostly waits as well, so it runs beside the end-to-end tests, after the build.
const BESIDE: [(&str, Check); 1] = [("Chaos, three seeds", Check::Silent(chaos))];
/// Needs [`build_deployed`].
const DEPLOYED: [(&str, Check); 2] = [
    (
        "Functions and agent as they are deployed",
        Check::Quiet(deployed),
    ),
    ("A release, without publishing it", Check::Quiet(release)),
];

/// Runs all checks. Fails after the last one if any failed.
pub(crate) fn run(fast: bool) -> anyhow::Result<()> {
    let (progress, checkout) = (Progress::new(), Checkout::here());
    let begun = Instant::now();
    nextest_is_there()?;
    prepare::clippy_driver()?;
    progress.say("Preparing");
    let mut pieces = vec![Piece::Workspace];
    pieces.extend(prepare::CHECKS);
    if fast {
        pieces.retain(|piece| *piece != Piece::Engine);
    }
    prepare::pieces(&progress, &checkout, &pieces)?;

    let mut results = all(&progress, &checkout, &FAST);
    if !fast {
        let (with_engine, built) = thread::scope(|scope| {
            let beside = scope.spawn(|| {
                let built = build_deployed(&checkout);
                (built, all(&progress, &checkout, &BESIDE))
            });
            let mut results = all(&progress, &checkout, &WITH_ENGINE);
            let built = match beside.join() {
                Ok((built, beside)) => {
                    results.extend(beside);
                    built
                }
                Err(_) => Err(anyhow!("the build crashed")),
            };
            (results, built)
        });
        results.extend(with_engine);
        if let Err(error) = built {
            progress.say(&format!("{error:#}"));
        }
        results.extend(all(&progress, &checkout, &DEPLOYED));
    }
    report(&results, begun.elapsed())
}

/// A finished check.
struct Done {
    name: &'static str,
    time: Duration,
    passed: bool,
    /// Tests that passed only when they ran again, alone.
    again: Vec<String>,
}

fn all(progress: &Progress, checkout: &Checkout, checks: &[(&'static str, Check)]) -> Vec<Done> {
    let one = |(name, check): &(&'static str, Check)| {
        let since = Instant::now();
        let mut again = Vec::new();
        let result = match check {
            Check::Quiet(check) => quietly(progress, checkout, name, *check),
            Check::Loud(check) => loudly(progress, name, &mut check(checkout)),
            Check::Silent(check) => silently(progress, name, &mut check(checkout)),
            Check::Crowded(check) => {
                crowded(progress, name, || check(checkout)).map(|names| again = names)
            }
        };
        if let Err(error) = &result {
            progress.say(&format!("{error:#}"));
        }
        Done {
            name,
            time: since.elapsed(),
            passed: result.is_ok(),
            again,
        }
    };
    checks.iter().map(one).collect()
}

fn quietly(
    progress: &Progress,
    checkout: &Checkout,
    name: &str,
    check: fn(&Checkout, &Step) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let step = progress.step(name);
    let result = check(checkout, &step);
    match &result {
        Ok(()) => step.done(""),
        Err(_) => step.failed(""),
    }
    result
}

fn loudly(progress: &Progress, name: &str, command: &mut Command) -> anyhow::Result<()> {
    progress.say(&format!("── {name}: {}", shown(command)));
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    ensure!(status.success(), "{name} failed ({status})");
    Ok(())
}

fn silently(progress: &Progress, name: &str, command: &mut Command) -> anyhow::Result<()> {
    let tried = command.stdin(Stdio::null()).output();
    let output = tried.with_context(|| format!("cannot start `{}`", shown(command)))?;
    progress.say(&format!("── {name}: {}", shown(command)));
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{name} failed ({})", output.status);
    Ok(())
}

/// Runs a test runner of libtest; returns the tests that passed only when they ran again, alone.
fn crowded(
    progress: &Progress,
    name: &str,
    command: impl Fn() -> Command,
) -> anyhow::Result<Vec<String>> {
    let mut tests = command();
    progress.say(&format!("── {name}: {}", shown(&tests)));
    tests.arg(format!("--test-threads={THREADS}"));
    tests.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut tests = tests
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let mut output = Vec::new();
    for line in BufReader::new(tests.stdout.take().context("no output")?).lines() {
        let line = line?;
        println!("{line}");
        output.push(line);
    }
    let status = tests.wait()?;
    if status.success() {
        return Ok(Vec::new());
    }
    let failed = failed_tests(&output);
    ensure!(
        (1..=RUN_AGAIN).contains(&failed.len()),
        "{name} failed ({status})"
    );
    progress.say(&format!("failed, run again alone: {}", failed.join(", ")));
    let mut alone = command();
    // The check of the grants reads what both runs recorded.
    alone.env("AGAIN", "again");
    alone.arg("--test-threads=1").arg("--exact").args(&failed);
    loudly(progress, name, &mut alone)?;
    Ok(failed)
}

/// The names in the list of failures that ends the output of libtest.
fn failed_tests(output: &[String]) -> Vec<String> {
    let last = output.iter().rposition(|line| line == "failures:");
    let names = last.map_or(&[][..], |last| &output[last + 1..]);
    let names = names.iter().take_while(|line| line.starts_with("    "));
    names.map(|line| line.trim().to_owned()).collect()
}

fn report(results: &[Done], total: Duration) -> anyhow::Result<()> {
    println!("\nChecks, {} in all:", seconds(total));
    for done in results {
        let mark = if done.passed { '✔' } else { '✘' };
        println!("  {mark} {} ({})", done.name, seconds(done.time));
        for test in &done.again {
            println!("    passed only when it ran again, alone: {test}");
        }
    }
    let passed = results.iter().filter(|done| done.passed).count();
    let failed = results.len() - passed;
    println!("\nchecks: {passed} passed, {failed} failed");
    ensure!(failed == 0, "some checks failed; see above");
    Ok(())
}

fn nextest_is_there() -> anyhow::Result<()> {
    let found = Command::new(cargo())
        .args(["nextest", "--version"])
        .output();
    if found.is_ok_and(|found| found.status.success()) {
        return Ok(());
    }
    bail!("cargo-nextest is not installed; install it: cargo install --locked cargo-nextest");
}

fn format(checkout: &Checkout, step: &Step) -> anyhow::Result<()> {
    quiet(checkout, step, cargo(), &["fmt", "--all", "--check"])
}

fn unit_and_contract(checkout: &Checkout) -> Command {
    // The configuration excludes tests that share engines, because nextest runs each test in its
    // own process.
    let arguments = [
        "nextest",
        "run",
        "--workspace",
        "--status-level=slow",
        "--no-fail-fast",
    ];
    linted(in_directory(checkout.root(), cargo(), &arguments))
}

fn state_machine(checkout: &Checkout, step: &Step) -> anyhow::Result<()> {
    let validator = checkout.path("cdk/node_modules/.bin/asl-validator");
    let arguments = ["--json-path", "statemachine/runner.asl.json"];
    quiet(checkout, step, validator, &arguments)
}

fn cdk_lint(checkout: &Checkout, step: &Step) -> anyhow::Result<()> {
    let mut npm = in_directory(&checkout.path("cdk"), "npm", &["run", "lint"]);
    run_quietly(step, &mut npm).map(drop)
}

/// Their temporary directories are below the target directory and emptied here: the toolkit leaves one for
/// each app, and a test that is killed leaves its own.
fn cdk_tests(checkout: &Checkout) -> Command {
    let temporary = checkout.local().join("cdk-tests");
    // What can't be removed or made is told by the tests, which need it.
    let _ = fs::remove_dir_all(&temporary);
    let _ = fs::create_dir_all(&temporary);
    let mut tests = in_directory(&checkout.path("cdk"), "npm", &["test"]);
    tests.env("TMPDIR", temporary);
    tests
}

/// Synthesizes the default app and a deployment of every other kind, and checks their templates and
/// roles.
fn template(checkout: &Checkout, step: &Step) -> anyhow::Result<()> {
    let output = checkout.local().join("synth");
    let handlers = placeholders(checkout)?;
    let mut synth = in_directory(&checkout.path("cdk"), "npx", &["cdk", "synth", "--quiet"]);
    synth
        .args(["-c", "image=registry.example/ubuntu-runner:1"])
        .args(["-c", "allowedOwners=octo", "-c"])
        .arg(format!("handlersDirectory={}", handlers.display()))
        .arg("--output")
        .arg(&output)
        .env("CDK_DISABLE_CLI_TELEMETRY", "1");
    run_quietly(step, &mut synth)?;
    let others = checkout.local().join("synth-variants");
    let mut variants = in_directory(
        &checkout.path("cdk"),
        "npx",
        &["tsx", "scripts/variants.ts"],
    );
    // Any file serves as the agent, because it is never run.
    variants
        .arg(&others)
        .arg(&handlers)
        .arg(handlers.join("verify/bootstrap"));
    run_quietly(step, &mut variants)?;

    let mut templates = vec![output.join("fargate-runners.template.json")];
    for entry in fs::read_dir(&others)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".template.json") {
            templates.push(path);
        }
    }
    ensure!(templates.len() > 1, "{} is empty", others.display());
    let mut lint = Command::new(checkout.venv_program("checks", "cfn-lint"));
    run_quietly(step, lint.args(&templates))?;
    let mut policies = Command::new(checkout.venv_program("checks", "python"));
    policies
        .arg(checkout.path("scripts/check-policies.py"))
        .args(&templates);
    run_quietly(step, &mut policies).map(drop)
}

/// Creates handlers that are never run, so that templates can be synthesized without a build.
fn placeholders(checkout: &Checkout) -> anyhow::Result<PathBuf> {
    let directory = checkout.local().join("placeholders");
    for name in checkout.functions()? {
        let handler = directory.join(name);
        fs::create_dir_all(&handler).with_context(|| format!("making {}", handler.display()))?;
        fs::write(handler.join("bootstrap"), "#!/bin/false\n")?;
    }
    Ok(directory)
}

fn engine_tests(checkout: &Checkout) -> Command {
    let python = checkout.venv_program("engine", "python");
    let arguments = ["-m", "unittest", "discover", "-s", "local/engine/tests"];
    in_directory(checkout.root(), python, &arguments)
}

fn end_to_end(checkout: &Checkout) -> Command {
    // Uses the whole workspace, because other features would cause recompilation.
    let arguments = ["test", "--workspace", "--test", "end_to_end", "--"];
    linted(in_directory(checkout.root(), cargo(), &arguments))
}

/// Runs small schedules; `cargo xtask chaos` runs larger ones.
fn chaos(checkout: &Checkout) -> Command {
    let arguments = ["--jobs", "20", "--seed", "1..3"];
    in_directory(checkout.root(), checkout.program("chaos"), &arguments)
}

/// Builds what is deployed, concurrently with other checks. Shows output only on failure.
fn build_deployed(checkout: &Checkout) -> anyhow::Result<()> {
    let python = prerequisites::python()?;
    let progress = Progress::hidden();
    prepare::build_tools(&progress, checkout, &python)?;
    zips::build(
        &progress,
        checkout,
        Architecture::here(),
        &checkout.deployed(),
    )
}

/// Checks the sizes of what is deployed.
fn deployed(checkout: &Checkout, step: &Step) -> anyhow::Result<()> {
    let arguments = ["test", "--workspace", "--test", "deployed"];
    let mut tests = linted(in_directory(checkout.root(), cargo(), &arguments));
    run_quietly(step, &mut tests).map(drop)
}

/// Makes the files of a release from what was built for this processor, with the program behind
/// `cargo xtask release`.
fn release(checkout: &Checkout, step: &Step) -> anyhow::Result<()> {
    let programs = format!("{}={}", Architecture::here(), checkout.deployed().display());
    let mut release = Command::new(checkout.program("release"));
    release.args(["--programs", &programs, "--to"]);
    let files = checkout.local().join("release");
    run_quietly(step, release.arg(&files))?;
    let mut templates = Vec::new();
    for entry in fs::read_dir(&files)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".template.json") {
            templates.push(path);
        }
    }
    ensure!(!templates.is_empty(), "{} has no template", files.display());
    let mut lint = Command::new(checkout.venv_program("checks", "cfn-lint"));
    run_quietly(step, lint.args(&templates)).map(drop)
}

/// Checks the permissions that the engines of the end-to-end tests recorded.
fn grants(checkout: &Checkout) -> Command {
    let recorded = checkout.local().join("engines-of-tests");
    let mut python = Command::new(checkout.venv_program("checks", "python"));
    python
        .arg(checkout.path("scripts/check-grants.py"))
        .arg(recorded)
        .arg(checkout.path("tests/unused-grants.toml"));
    python
}

fn quiet(
    checkout: &Checkout,
    step: &Step,
    program: impl AsRef<OsStr>,
    arguments: &[&str],
) -> anyhow::Result<()> {
    run_quietly(step, &mut in_directory(checkout.root(), program, arguments)).map(drop)
}

fn in_directory(directory: &Path, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory);
    command
}

#[cfg(test)]
mod tests {
    use super::failed_tests;

    #[test]
    fn the_list_at_the_end_of_the_output_names_the_failed_tests() {
        let output = "test a::one ... ok\ntest b::two ... FAILED\n\nfailures:\n\n---- b::two stdout ----\n    left: 1\n\n\
                      failures:\n    b::two\n    b::three\n\ntest result: FAILED. 1 passed";
        let lines: Vec<_> = output.lines().map(str::to_owned).collect();
        assert_eq!(failed_tests(&lines), ["b::two", "b::three"]);
        assert!(failed_tests(&[]).is_empty());
    }
}
