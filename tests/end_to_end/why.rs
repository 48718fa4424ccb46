//! The command line against the deployed system: each job is explained as it is.

use std::process::{Command, Output};
use std::time::Instant;

use github_standin::{Job, JobStatus, NewJob};
use local_stack::REGION;
use reqwest::Method;
use serde_json::{Value, json};
use tooling::Checkout;

use crate::harness::{Harness, LIMIT, run, script, untaken};

/// `fargate-runners` as an operator runs it, who sets nothing but the endpoint.
pub(crate) fn program(harness: &Harness) -> Command {
    let mut command = Command::new(Checkout::here().program("fargate-runners"));
    command.env_clear().envs([
        ("AWS_ENDPOINT_URL", harness.engine.endpoint()),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]);
    command
}

/// Runs it to its end.
pub(crate) async fn command(harness: &Harness, arguments: &[&str]) -> Output {
    let mut program = program(harness);
    program.args(arguments);
    let ran = tokio::task::spawn_blocking(move || program.output());
    let output = ran.await.unwrap();
    output.expect("build it: cargo build --workspace --bins")
}

/// What the command prints with `--json`.
async fn told(harness: &Harness, arguments: &[&str]) -> Value {
    let mut arguments = arguments.to_vec();
    arguments.extend(["--stack", "fargate-runners", "--json"]);
    let output = command(harness, &arguments).await;
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{arguments:?}: {error}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// Asks why until the answer is this situation and its summary has these words.
async fn is_told(harness: &Harness, job: &Job, situation: &str, words: &[&str]) -> Value {
    let address = format!(
        "{}/{}/actions/runs/{}/job/{}",
        harness.repository.deployment.github.url(),
        job.repository,
        job.run_id,
        job.id
    );
    let mut last = Value::Null;
    let found = harness
        .repository
        .observer
        .wait(LIMIT, async || {
            let begun = Instant::now();
            last = told(harness, &["why", &address]).await;
            let took = begun.elapsed();
            // A moment after an execution has failed, its error is not shown yet.
            let is_it = last["explanation"]["situation"] == situation
                && words.iter().all(|word| summary(&last).contains(word));
            Ok(is_it.then_some(took))
        })
        .await
        .unwrap();
    let took = found.unwrap_or_else(|| panic!("never {situation}: {last:#}"));
    println!("{situation} was told in {} ms", took.as_millis());
    last
}

fn summary(told: &Value) -> &str {
    told["explanation"]["summary"].as_str().unwrap()
}

#[test]
fn why_tells_a_running_job_from_a_waiting_an_unmatched_and_a_failed_one() {
    run(async |harness| {
        let site = &harness.repository;
        let running = site.queue(script("octo/why-running", "sleep 600"));
        site.reaches(&running, JobStatus::InProgress).await;
        let answer = is_told(harness, &running, "running", &["its own runner"]).await;
        assert!(
            answer["evidence"]["webhooks"]["found"].is_array(),
            "{answer:#}"
        );

        let waiting = site.queue(untaken("octo/why-waiting"));
        site.runner_is_online(&waiting).await;
        is_told(harness, &waiting, "listening", &["still queued"]).await;

        let unmatched = NewJob {
            labels: vec!["self-hosted".to_owned(), "moon".to_owned()],
            ..script("octo/why-unmatched", "true")
        };
        is_told(
            harness,
            &site.queue(unmatched),
            "given-up",
            &["Unmatched", "moon"],
        )
        .await;

        let failed = NewJob {
            labels: vec!["self-hosted".to_owned(), "broken".to_owned()],
            ..script("octo/why-failed", "true")
        };
        is_told(
            harness,
            &site.queue(failed),
            "given-up",
            &["ContainerMissing"],
        )
        .await;

        let strange = NewJob {
            labels: vec!["moon".to_owned()],
            ..script("octo/why-strange", "true")
        };
        is_told(
            harness,
            &site.queue(strange),
            "not-served",
            &["self-hosted"],
        )
        .await;

        for job in [&running, &waiting] {
            site.deployment.github.cancel_job(job.id).unwrap();
        }
        is_told(harness, &running, "completed", &[]).await;
        is_told(harness, &waiting, "cancelled", &[]).await;
        for job in [&running, &waiting] {
            site.nothing_left_of(job).await;
        }
    });
}

#[test]
fn why_tells_how_long_a_job_without_capacity_waits() {
    run(async |harness| {
        let site = &harness.repository;
        let fault = json!({
            "service": "ecs", "operation": "RunTask", "effect": "capacity",
            "match": "octo/why-no-capacity", "times": 1_000,
        });
        harness.control(Method::POST, "/faults", fault).await;
        let job = site.queue(script("octo/why-no-capacity", "true"));
        let answer = is_told(harness, &job, "pausing", &[]).await;
        harness
            .control(
                Method::DELETE,
                "/faults?match=octo/why-no-capacity",
                Value::Null,
            )
            .await;
        assert!(summary(&answer).contains("NoCapacity"), "{answer:#}");
        let next = answer["explanation"]["next"].as_str().unwrap();
        assert!(next.starts_with("Attempt "), "{answer:#}");
        site.ended(&job).await;
    });
}

#[test]
fn a_stack_that_is_not_there_is_answered_with_the_nearest() {
    run(async |harness| {
        let output = command(harness, &["why", "1", "--stack", "fargate-runner"]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(
            said.contains("did you mean --stack fargate-runners?"),
            "{said}"
        );
        let output = command(harness, &["why", "1", "--stack", "fargate-runners"]).await;
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(5), "{said}");
        assert!(said.contains("nothing is known of job 1"), "{said}");
    });
}
