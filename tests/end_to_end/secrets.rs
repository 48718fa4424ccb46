//! Secrets appear only where they must.

use std::collections::BTreeMap;
use std::path::Path;

use local_stack::Visit;
use protocol::State;
use serde_json::{Value, json};

use crate::harness::{Site, run, script};

/// Minimum length: long enough not to be found by chance, and shorter than all our secrets.
const SHORTEST: usize = 20;

/// All secrets, by description.
fn secrets(site: &Site) -> BTreeMap<String, String> {
    let mut secrets = BTreeMap::new();
    secrets.insert(
        "the webhook's secret".to_owned(),
        site.deployment.github.webhook_secret(),
    );
    let key = github_standin::APP_PRIVATE_KEY
        .lines()
        .nth(3)
        .expect("a line of the key");
    secrets.insert("the App's key".to_owned(), key.to_owned());
    for exchange in site.recorder.exchanges() {
        for field in ["token", "encoded_jit_config"] {
            if let Some(secret) = exchange.response[field].as_str() {
                secrets.insert(format!("{field} of {}", exchange.path), secret.to_owned());
            }
        }
    }
    secrets
}

fn search(place: &str, text: &str, secrets: &BTreeMap<String, String>) {
    for (name, secret) in secrets {
        assert!(secret.len() >= SHORTEST, "{name} is no secret: {secret:?}");
        assert!(!text.contains(secret.as_str()), "{name} is in {place}");
        // The beginning also finds a truncated or wrapped copy.
        let beginning: String = secret.chars().take(60).collect();
        assert!(
            !text.contains(&beginning),
            "the beginning of {name} is in {place}"
        );
    }
}

/// All log files below a directory.
fn logs(directory: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.ends_with("logs") {
            found.extend(logs(&path));
        } else if path.extension().is_some_and(|extension| extension == "log") {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            found.push((path.display().to_string(), text));
        }
    }
    found
}

/// The logs of all functions.
async fn function_logs(site: &Site) -> Vec<(String, String)> {
    let aws = &site.observer.aws;
    let groups = aws.logs("DescribeLogGroups", json!({})).await.unwrap();
    let mut found = Vec::new();
    for group in groups["logGroups"].as_array().unwrap() {
        let name = group["logGroupName"].as_str().unwrap();
        let events = aws
            .logs("FilterLogEvents", json!({ "logGroupName": name }))
            .await
            .unwrap();
        found.push((name.to_owned(), events["events"].to_string()));
    }
    found
}

#[test]
fn no_secret_is_in_history_overrides_logs_or_the_jobs_environment() {
    run(async |harness| {
        let site = &harness.repository;
        let (job, execution) = site
            .run(script("octo/secrets", "env; cat /proc/self/environ"))
            .await;
        assert_eq!(
            job.conclusion.as_deref(),
            Some("success"),
            "{:?}",
            execution.cause
        );
        let secrets = secrets(site);
        let kinds = ["encoded_jit_config", "token of"];
        assert!(
            kinds
                .iter()
                .all(|kind| secrets.keys().any(|name| name.contains(kind))),
            "{:?}",
            secrets.keys()
        );

        search(
            "the execution's history",
            &serde_json::to_string(&execution.events).unwrap(),
            &secrets,
        );

        let task = execution.visits.iter().find_map(Visit::task).unwrap();
        let input = json!({ "cluster": site.observer.cluster, "tasks": [task] });
        let described = site.observer.aws.ecs("DescribeTasks", input).await.unwrap();
        let overrides = described["tasks"][0]["overrides"].to_string();
        assert!(overrides.contains("AGENT_PARAMETER"), "{overrides}");
        search("the task's overrides", &overrides, &secrets);

        let files = logs(harness.engine.directory());
        assert!(files.len() >= 2, "no logs were found: {files:?}");
        let functions = function_logs(site).await;
        let token = functions
            .iter()
            .find(|(name, _)| name.ends_with("fargate-runners-token"))
            .unwrap();
        assert!(
            token.1.contains("octo/secrets"),
            "the functions' logs are empty"
        );
        for (place, text) in files.iter().chain(&functions) {
            search(place, text, &secrets);
        }

        assert!(job.output.contains("PATH="), "{}", job.output);
        search("the job's environment", &job.output, &secrets);
        let launched = execution
            .visits
            .iter()
            .find(|visit| visit.state == State::Launch.as_str())
            .unwrap();
        let path =
            launched.result.as_ref().map_or(
                &Value::Null,
                |result| &result["Payload"]["runner"]["parameter"],
            );
        let random = path.as_str().unwrap().rsplit('/').next().unwrap();
        assert!(random.len() >= 32, "{path}");
        assert!(
            !job.output.contains(random),
            "the parameter's path is in the job's environment"
        );
    });
}
