//! GitHub's own examples of every webhook, delivered with a right signature.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test fail as the test does"
)]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{answer, deliver, deps, machine, request, secret};
use time::OffsetDateTime;
use verify::Deps;

const EXAMPLES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/node_modules/@octokit/webhooks-examples"
);

/// Every example: which GitHub it is of, its event, its payload.
fn examples() -> Vec<(String, String, Value)> {
    let mut examples = Vec::new();
    let servers = fs::read_dir(EXAMPLES).unwrap_or_else(|error| {
        panic!("{EXAMPLES}: {error}; run `npm ci --prefix tests/fixtures` first")
    });
    for server in servers {
        let path = server.unwrap().path();
        let Ok(text) = fs::read_to_string(path.join("index.json")) else {
            continue;
        };
        let events: Vec<Value> = serde_json::from_str(&text).unwrap();
        for event in &events {
            for payload in event["examples"].as_array().unwrap() {
                examples.push((
                    path.file_name().unwrap().to_string_lossy().into_owned(),
                    event["name"].as_str().unwrap().to_owned(),
                    payload.clone(),
                ));
            }
        }
    }
    examples.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    examples
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap()
}

#[tokio::test]
async fn every_event_that_github_sends_is_acknowledged() {
    let examples = examples();
    assert!(examples.len() > 500, "only {} examples", examples.len());
    for (server, event, payload) in examples {
        let (start, describe, _) = machine(&[]);
        let deps = deps(
            &[("ALLOW_PUBLIC_REPOSITORIES", "true")],
            &[&secret(), &start, &describe],
        );
        let request = request(&event, payload.to_string().as_bytes());
        let status = answer(&deps, request, now()).await.status_code;
        assert!(
            matches!(status, 200 | 202),
            "{server} {event}: {status} for {payload}"
        );
    }
}

async fn results(deps: &Deps) -> Vec<(String, Value)> {
    let mut results = Vec::new();
    for (server, event, payload) in examples() {
        if event == "workflow_job" && server == "api.github.com" {
            let (_, body) = deliver(deps, &payload, now()).await;
            let label = payload.pointer("/workflow_job/labels/0").unwrap();
            let text = format!("{} {}", payload["action"], label).replace('"', "");
            results.push((text, body));
        }
    }
    results
}

#[tokio::test]
async fn of_the_examples_of_jobs_only_the_self_hosted_queued_one_starts_an_execution() {
    let (start, describe, asked) = machine(&[]);
    let deps = deps(
        &[("ALLOW_PUBLIC_REPOSITORIES", "true")],
        &[&secret(), &start, &describe],
    );
    let in_hands = json!({"result": "ignored", "reason": "no action depends on a job in the hands of its runner"});
    let completed =
        json!({"result": "ignored", "reason": "no action depends on workflow_job completed"});
    let expected = [
        ("in_progress gpu", in_hands.clone()),
        ("completed ubuntu-latest", completed.clone()),
        ("completed ubuntu-latest", completed),
        ("in_progress ubuntu-latest", in_hands.clone()),
        ("in_progress ubuntu-latest", in_hands),
        (
            "queued ubuntu-latest",
            json!({"result": "ignored", "reason": "the job does not ask for [self-hosted]"}),
        ),
        (
            "queued self-hosted",
            json!({"result": "started", "execution": "elastic-machines-testing-12877621891"}),
        ),
        (
            "waiting self-hosted",
            json!({"result": "ignored", "reason": "no action depends on workflow_job waiting"}),
        ),
    ];
    assert_eq!(
        results(&deps).await,
        expected.map(|(label, body)| (label.to_owned(), body))
    );
    let asked = asked.lock().unwrap();
    let job = &asked[0].1["job"];
    assert_eq!(job["ownerType"], "User");
    assert_eq!(job["private"], false);
    assert_eq!(job["installationId"], 23_154_469);
    // It is years old: something held it back, and its stay in the queue begins now.
    assert_eq!(job["createdAt"], "2023-04-19T21:12:12Z");
    assert_ne!(job["queuedAt"], job["createdAt"]);
    assert_eq!(asked[0].1["recheck"], true);
}

#[tokio::test]
async fn unless_allowed_the_public_one_does_not_start_either() {
    let deps = deps(&[], &[&secret()]);
    let results = results(&deps).await;
    let (_, body) = &results[6];
    assert_eq!(
        body["reason"],
        "lineville/elastic-machines-testing is public, and ALLOW_PUBLIC_REPOSITORIES is false"
    );
}
