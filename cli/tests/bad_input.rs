//! What the program says where it cannot begin: one sentence with the next step, and an exit code.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};

/// Runs the program with these variables and nothing else; its exit code and what it said.
fn ran(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_fargate-runners"))
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

const REGION: (&str, &str) = ("AWS_REGION", "eu-west-1");
const KEY: (&str, &str) = ("AWS_ACCESS_KEY_ID", "test");
const SECRET: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "test");
/// Nothing listens there.
const NOWHERE: (&str, &str) = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9");

const COMMANDS: [&[&str]; 15] = [
    &["doctor"],
    &["jobs"],
    &["jobs", "--watch"],
    &["why", "1"],
    &["logs", "1"],
    &["cancel", "1"],
    &["redeliver", "1"],
    &["console", "--port", "0"],
    &["setup"],
    &["setup", "--check"],
    &["setup", "--rotate-webhook-secret"],
    &["pause"],
    &["resume"],
    &["drain"],
    &["cost"],
];

#[test]
fn every_command_says_what_it_lacks() {
    // Each waits for its retries, so all at once.
    std::thread::scope(|scope| {
        for command in COMMANDS {
            scope.spawn(move || says_what_it_lacks(command));
        }
    });
}

fn says_what_it_lacks(command: &[&str]) {
    for (variables, code, told) in [
        (&[][..], 3, "give --region, or set AWS_REGION"),
        (&[REGION], 3, "found no AWS credentials"),
        (
            &[REGION, KEY, SECRET, NOWHERE],
            3,
            "cannot reach AWS in region eu-west-1",
        ),
    ] {
        let (exit, said) = ran(command, variables);
        assert_eq!(exit, Some(code), "{command:?}: {said}");
        assert!(
            said.starts_with("error: ") && said.contains(told),
            "{command:?}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_profile_that_is_asked_for_is_the_one_that_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    std::fs::write(&file, "[profile staging]\nregion = eu-west-1\n").unwrap();
    let file = file.to_str().unwrap();
    let profiles = ("AWS_CONFIG_FILE", file);
    let chosen = ("AWS_PROFILE", "stagin");
    for (arguments, variables, told) in [
        (
            &["--profile", "stagin", "jobs"][..],
            &[profiles, REGION, KEY, SECRET, NOWHERE][..],
            "has no profile stagin: did you mean --profile staging?",
        ),
        (
            &["jobs"],
            &[profiles, chosen],
            "did you mean --profile staging?",
        ),
        (&["--profile", "x", "jobs"], &[], "nor any other"),
        // It has no credentials. Those of the environment may be another account's.
        (
            &["--profile", "staging", "jobs"],
            &[profiles, KEY, SECRET, NOWHERE],
            "found no AWS credentials",
        ),
        // What no option asks for comes from the environment first.
        (
            &["jobs"],
            &[profiles, REGION, chosen, KEY, SECRET, NOWHERE],
            "cannot reach AWS",
        ),
    ] {
        let (exit, said) = ran(arguments, variables);
        assert_eq!(exit, Some(3), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
        assert!(said.lines().count() == 1 && said.len() < 300, "{said}");
    }
}

#[test]
fn a_wrong_option_is_named_with_what_is_possible() {
    for (arguments, told) in [
        (
            &["setup", "--scope", "enterprise"][..],
            "repository, organization",
        ),
        (&["setup", "--check", "--remove"], "cannot be used with"),
        (
            &["setup", "--app-id", "1", "--organization", "octo"],
            "cannot be used with",
        ),
        (
            &["setup", "--github-api-url", "http://github.example"],
            "plain HTTP",
        ),
        (&["cost", "--since", "week"], "such as 7d, 12h or 30m"),
        (&["jobs", "--limit", "some"], "invalid value"),
        (&["console", "--port", "70000"], "invalid value"),
        (&["console", "--every", "0"], "1..=60"),
        (&["drain", "--timeout", "soon"], "invalid value"),
        (&["redeliver", "1", "--delivery", "x"], "invalid value"),
        (&["why"], "<JOB>"),
        (
            &["why", "https://github.com/octo/hello/actions/runs/99"],
            "open the job and copy its address",
        ),
        (&["logs", "hello"], "it names no job: give its address"),
        (&["wy", "1"], "unrecognized subcommand 'wy'"),
    ] {
        let (exit, said) = ran(arguments, &[REGION, KEY, SECRET, NOWHERE]);
        assert_eq!(exit, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
}

#[test]
fn what_is_wrong_with_the_arguments_is_json_for_programs() {
    for arguments in [
        &["why", "--json"][..],
        &["wy", "1", "--json"],
        &["--json", "why", "hello"],
        &["--json", "cost", "--since", "week"],
    ] {
        let (exit, said) = ran(arguments, &[]);
        let told: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((exit, &told["exitCode"]), (Some(2), &2.into()), "{said}");
        let text = told["error"].as_str().unwrap();
        assert!(!text.is_empty() && !text.starts_with("error"), "{said}");
    }
}

/// How `completion bash` ends, which prints much and asks nobody, and what it said.
fn printed_to(stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fargate-runners"))
        .args(["completion", "bash"])
        .env_clear()
        .stdout(stdout)
        .stderr(stderr)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

#[test]
fn a_reader_that_has_enough_is_no_failure_and_a_full_disk_is_one() {
    // Nobody reads, as after `| head`.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let (exit, said) = printed_to(writer, Stdio::piped());
    assert_eq!((exit, said.as_str()), (Some(0), ""));
    let full = || std::fs::File::create("/dev/full");
    if let Ok(full) = full() {
        let (exit, said) = printed_to(full, Stdio::piped());
        assert_eq!(exit, Some(1), "{said}");
        assert!(said.contains("cannot write to standard output"), "{said}");
    }
    // Where errors cannot be told either, the exit code tells.
    if let (Ok(stdout), Ok(stderr)) = (full(), full()) {
        assert_eq!(printed_to(stdout, stderr).0, Some(1));
    }
}
