//! The RunTask requests that `launch` builds, held against AWS's own model of ECS.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use launch::{Config, Input, handle};
use runtime::settings::Settings;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tooling::Checkout;

/// The model as botocore ships it, in the environment of the checks.
fn model() -> Value {
    let libraries = Checkout::here().venv("checks").join("lib");
    let models: Vec<PathBuf> = fs::read_dir(&libraries)
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}; make it: cargo xtask prepare",
                libraries.display()
            )
        })
        .map(|python| python.unwrap().path())
        .map(|python| python.join("site-packages/botocore/data/ecs/2014-11-13/service-2.json.gz"))
        .filter(|model| model.is_file())
        .collect();
    let model = models
        .first()
        .unwrap_or_else(|| panic!("{} has no botocore", libraries.display()));
    let mut text = String::new();
    GzDecoder::new(fs::File::open(model).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Collects what of a value doesn't fit a shape. The state machine spells members with a capital.
fn walk(model: &Value, shape: &str, value: &Value, at: &str, problems: &mut Vec<String>) {
    let described = &model["shapes"][shape];
    let kind = described["type"].as_str().unwrap();
    let fits = match kind {
        "structure" | "map" => value.is_object(),
        "list" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" | "long" => value.is_i64(),
        other => panic!("{at} is of a kind that this test doesn't know: {other}"),
    };
    if !fits {
        problems.push(format!("{at} is no {kind}: {value}"));
        return;
    }
    match kind {
        "structure" => {
            let members = described["members"].as_object().unwrap();
            for (name, value) in value.as_object().unwrap() {
                let member = members.iter().find(|(member, _)| capital(member) == *name);
                match member {
                    Some((_, member)) => {
                        let shape = member["shape"].as_str().unwrap();
                        walk(model, shape, value, &format!("{at}.{name}"), problems);
                    }
                    None => problems.push(format!("{at} has no {name}")),
                }
            }
            for required in described["required"].as_array().into_iter().flatten() {
                let name = capital(required.as_str().unwrap());
                if value.get(&name).is_none() {
                    problems.push(format!("{at} lacks {name}"));
                }
            }
        }
        "list" => {
            let shape = described["member"]["shape"].as_str().unwrap();
            for (index, item) in value.as_array().unwrap().iter().enumerate() {
                walk(model, shape, item, &format!("{at}[{index}]"), problems);
            }
        }
        "string" => {
            let text = value.as_str().unwrap();
            let allowed = described["enum"].as_array();
            if allowed.is_some_and(|allowed| !allowed.contains(value)) {
                problems.push(format!("{at} can't be {text:?}"));
            }
            let length = u64::try_from(text.chars().count()).unwrap();
            let limit = |name: &str| described[name].as_u64();
            if limit("max").is_some_and(|max| length > max)
                || limit("min").is_some_and(|min| length < min)
            {
                problems.push(format!("{at} has {length} characters"));
            }
        }
        "integer" | "long" => {
            let number = value.as_i64().unwrap();
            let beyond = described["max"].as_i64().is_some_and(|max| number > max)
                || described["min"].as_i64().is_some_and(|min| number < min);
            if beyond {
                problems.push(format!("{at} can't be {number}"));
            }
        }
        _ => {}
    }
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect()
}

fn problems(request: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    walk(
        &model(),
        "RunTaskRequest",
        request,
        "RunTask",
        &mut problems,
    );
    problems
}

fn request(capacity: &str, repository: &str, workflow: &str, attempt: &Value) -> Value {
    let settings = Settings::from_pairs([
        ("DEPLOYMENT", "fr"),
        ("PREFIX", "fargate-runners"),
        ("CLUSTER", "runners"),
        ("SUBNETS", "subnet-a,subnet-b,subnet-c"),
        ("SECURITY_GROUPS", "sg-1"),
        ("ASSIGN_PUBLIC_IP", "true"),
        ("CAPACITY", capacity),
        ("REPOSITORY_ROLES", r#"{ "octo/*": "deploy" }"#),
        (
            "TASK_ROLES",
            "arn:aws:iam::111111111111:role/fargate-runners/tasks/",
        ),
    ]);
    let input: Input = serde_json::from_value(json!({
        "order": { "job": {
            "id": u64::MAX, "runId": 99, "runAttempt": 1, "name": "build (☃, 🦀)", "workflow": workflow,
            "repository": repository, "ownerType": "Organization", "private": true,
            "labels": ["linux", "self-hosted"], "installationId": null, "queuedAt": "2026-01-01T00:00:00Z"
        }},
        "match": {
            "family": "fargate-runners-ubuntu-x64", "offered": ["linux", "self-hosted", "x64"],
            "capacity": [], "cpu": 4096, "memory": 16384, "architecture": "X86_64", "shell": true,
            "size": { "cpu": 4096, "memory": 16384, "disk": 100, "containerMemory": 15872 }
        },
        "attempt": attempt,
        "execution": "hello-4242"
    }))
    .unwrap();
    let config = Config::from_settings(&settings).unwrap();
    handle(&config, input, OffsetDateTime::UNIX_EPOCH)
        .unwrap()
        .run_task
}

#[test]
fn every_runtask_request_fits_awss_own_model() {
    let later = json!({ "number": 7, "faults": 2, "refusals": 3, "unpicked": 0, "capacityStep": 5, "subnetStep": 4, "recheck": true });
    let long = format!("{}/{}", "o".repeat(39), "r".repeat(100));
    for capacity in ["FARGATE", "FARGATE_SPOT FARGATE", "own-provider"] {
        for repository in ["octo/hello", "o/r", long.as_str()] {
            for workflow in ["CI", "", "Überprüfung 🦀 <release> & more"] {
                for attempt in [&Value::Null, &later] {
                    let request = request(capacity, repository, workflow, attempt);
                    assert_eq!(problems(&request), Vec::<String>::new(), "{request:#}");
                    assert_eq!(request["Overrides"]["Cpu"], "4096");
                    let role = request["Overrides"].get("TaskRoleArn");
                    assert_eq!(role.is_some(), repository == "octo/hello");
                }
            }
        }
    }
}

#[test]
fn a_request_that_does_not_fit_is_found() {
    let mut request = request("FARGATE", "octo/hello", "CI", &Value::Null);
    request["Cluser"] = json!("runners");
    request["LaunchType"] = json!("MOON");
    request["Overrides"]["ContainerOverrides"][0]["Environment"][0]["Value"] = json!(1);
    request.as_object_mut().unwrap().remove("TaskDefinition");
    let found = problems(&request).join("\n");
    for expected in [
        "has no Cluser",
        "LaunchType can't be \"MOON\"",
        "Value is no string",
        "lacks TaskDefinition",
    ] {
        assert!(found.contains(expected), "{found}");
    }
}
