//! Changes by an operator at run time: secrets, and the deployment itself.

use std::collections::BTreeSet;
use std::fs;

use github_standin::{APP_PRIVATE_KEY, JobStatus};
use local_stack::{Plan, synthesize};
use reqwest::Method;
use serde_json::{Value, json};
use tooling::{Checkout, Progress};

use crate::faults::is_over;
use crate::happy::latest_call;
use crate::harness::{Harness, LIMIT, Site, assert_succeeded, deployed, run, script};

/// Another private key of the App.
const ROTATED_KEY: &str = include_str!("../../crates/github/tests/keys/rotated.pem");

async fn is_served(site: &Site, repository: &str) {
    let (job, execution) = site.run(script(repository, "true")).await;
    assert_succeeded(&execution);
    is_over(site, &job).await;
}

async fn write_secret(site: &Site, name: &str, value: &str) {
    let name = site.deployment.secret_name(name);
    site.observer.aws.put_secret(&name, value).await.unwrap();
}

/// Waits until a new secret is in use. A recently read secret is cached, so GitHub sends pings
/// until one is accepted; an operator can do the same.
async fn pings_are_taken(site: &Site) {
    let github = &site.deployment.github;
    let taken = site
        .observer
        .wait(LIMIT, async || {
            github.ping();
            github.wait_for_deliveries(LIMIT).await;
            let pings = github
                .deliveries()
                .into_iter()
                .filter(|one| one.event == "ping");
            let last = pings.max_by_key(|one| one.id);
            Ok(last.filter(|one| one.status_code < 300))
        })
        .await
        .unwrap();
    assert!(taken.is_some(), "the new secret is not taken");
}

#[test]
fn webhook_secret_and_app_key_are_rotated_without_a_failed_job() {
    run(async |harness| {
        let site = deployed(&harness.engine, Plan::new("rotating", "ro")).await;
        let github = &site.deployment.github;
        is_served(&site, "octo/before").await;

        // Both secrets are accepted while GitHub and Parameter Store are changed one after the
        // other.
        let (old, new) = (
            github.webhook_secret(),
            "The next one, as long and as random",
        );
        write_secret(&site, "webhook-secret", &format!("{new}\n{old}")).await;
        is_served(&site, "octo/both-known").await;
        github.set_webhook_secret(new);
        pings_are_taken(&site).await;
        is_served(&site, "octo/new-signs").await;
        write_secret(&site, "webhook-secret", new).await;
        is_served(&site, "octo/old-gone").await;

        // GitHub accepts both keys until the old one is deleted there.
        github.add_app_key(ROTATED_KEY).unwrap();
        write_secret(&site, "private-key", ROTATED_KEY).await;
        is_served(&site, "octo/both-keys").await;
        github.delete_app_key(APP_PRIVATE_KEY).unwrap();
        // Tokens created with the old key become invalid.
        github.expire_tokens();
        is_served(&site, "octo/old-key-gone").await;

        for delivery in github.deliveries() {
            let taken = delivery.status_code < 300;
            assert!(taken || delivery.event == "ping", "{delivery:?}");
        }
    });
}

#[test]
fn a_job_that_runs_during_a_deployment_is_finished_by_the_version_that_began_it() {
    run(async |harness| {
        let (checkout, progress) = (Checkout::here(), Progress::new());
        let plan = Plan::new("upgraded", "up").below(harness.engine.directory());
        let site = deployed(&harness.engine, plan.clone()).await;
        let signal = harness.engine.directory().join("upgraded-may-end");
        let waits = format!(
            "for i in $(seq 1200); do [ -e '{}' ] && exit 0; sleep 0.1; done; exit 1",
            signal.display()
        );
        let first = latest_call(harness).await;
        let job = site.queue(script("octo/upgraded", &waits));
        site.reaches(&job, JobStatus::InProgress).await;

        // The second version: functions with other settings, and a state machine with another
        // definition.
        let definition = harness.engine.directory().join("upgraded.asl.json");
        let text = fs::read_to_string(checkout.path("statemachine/runner.asl.json")).unwrap();
        let mut machine: Value = serde_json::from_str(&text).unwrap();
        machine["Comment"] = "The second version.".into();
        fs::write(&definition, machine.to_string()).unwrap();
        let next_plan = plan
            .with("logLevel", "debug")
            .with("definitionFile", &definition.display().to_string());
        let step = progress.step("deploying over a running job");
        synthesize(&checkout, &step, &next_plan, &site.recorder.url).unwrap();
        site.deployment
            .update(&checkout, &step, &harness.engine)
            .unwrap();
        step.done("");

        fs::write(&signal, "").unwrap();
        let execution = site.ended(&job).await;
        assert_succeeded(&execution);
        is_over(&site, &job).await;
        assert_eq!(site.job(&job).conclusion.as_deref(), Some("success"));

        let second = latest_call(harness).await;
        let (next, after) = site.run(script("octo/upgraded", "true")).await;
        assert_succeeded(&after);
        is_over(&site, &next).await;
        let (before, after) = (
            functions_of(harness, "upgraded", first, second).await,
            functions_of(harness, "upgraded", second, u64::MAX).await,
        );
        assert_eq!(before.len(), 4, "each by one version: {before:?}");
        assert_eq!(after.len(), 4, "each by one version: {after:?}");
        assert!(before.is_disjoint(&after), "{before:?} {after:?}");
    });
}

/// The functions with versions that a deployment's state machine invoked between two AWS calls.
async fn functions_of(
    harness: &Harness,
    machine: &str,
    since: u64,
    until: u64,
) -> BTreeSet<String> {
    let path = format!("/calls?service=lambda&operation=Invoke&since={since}");
    let answer = harness.control(Method::GET, &path, json!({})).await;
    let calls = answer["calls"].as_array().unwrap().iter();
    calls
        .filter(|call| {
            call["number"]
                .as_u64()
                .is_some_and(|number| number <= until)
        })
        .filter(|call| call["caller"]["kind"] == "state-machine")
        .filter(|call| call["caller"]["name"] == machine)
        .filter_map(|call| call["resource"].as_str())
        .map(str::to_owned)
        .collect()
}
