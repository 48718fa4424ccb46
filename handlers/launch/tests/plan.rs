//! What `launch` plans for an order.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use launch::{Config, Error, Input, handle};
use runtime::settings::Settings;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-01-01 00:00:30 UTC);

fn config() -> Config {
    config_with(&[])
}

fn config_with(variables: &[(&str, &str)]) -> Config {
    Config::from_settings(&settings(variables)).unwrap()
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let ours = [
        ("DEPLOYMENT", "fr"),
        ("PREFIX", "fargate-runners"),
        ("CLUSTER", "runners"),
        ("SUBNETS", "subnet-a,subnet-b"),
        ("SECURITY_GROUPS", "sg-1"),
        ("CAPACITY", "FARGATE_SPOT FARGATE"),
    ];
    Settings::from_pairs(ours.into_iter().chain(variables.iter().copied()))
}

fn input(attempt: impl serde::Serialize) -> Input {
    serde_json::from_value(json!({
        "order": { "job": {
            "id": 4242, "runId": 99, "runAttempt": 1, "name": "build 🦀", "workflow": "CI",
            "repository": "octo/hello", "ownerType": "Organization", "private": true,
            "labels": ["linux", "self-hosted"], "installationId": 77, "queuedAt": "2026-01-01T00:00:00Z"
        }},
        "match": { "family": "fargate-runners-ubuntu-x64", "offered": ["linux", "self-hosted", "x64"], "capacity": [], "cpu": null, "memory": null, "architecture": null },
        "attempt": attempt,
        "execution": "hello-4242"
    }))
    .unwrap()
}

#[test]
fn the_first_attempt_has_the_jobs_own_labels_and_all_subnets() {
    let output = handle(&config(), input(Value::Null), NOW).unwrap();
    assert_eq!(output.runner.name.to_string(), "fr-hello-4242");
    assert_eq!(output.runner.labels.to_string(), "linux self-hosted");
    let network = &output.run_task["NetworkConfiguration"]["AwsvpcConfiguration"];
    assert_eq!(network["Subnets"], json!(["subnet-a", "subnet-b"]));
    assert_eq!(
        output.run_task["CapacityProviderStrategy"][0]["CapacityProvider"],
        "FARGATE_SPOT"
    );
}

#[test]
fn a_job_that_asks_for_a_size_gets_it_by_overrides() {
    let mut input = input(Value::Null);
    input.matched.definition.capacity = vec!["FARGATE".to_owned()];
    input.matched.size = Some(protocol::SizeOverride {
        cpu: Some(4_096),
        memory: Some(16_384),
        disk: Some(100),
        container_memory: Some(15_872),
    });
    let planned = handle(&config(), input, NOW).unwrap();
    let overrides = &planned.run_task["Overrides"];
    assert_eq!(overrides["Cpu"], "4096");
    assert_eq!(overrides["Memory"], "16384");
    assert_eq!(overrides["EphemeralStorage"], json!({ "SizeInGiB": 100 }));
    assert_eq!(overrides["ContainerOverrides"][0]["Memory"], 15_872);
    let strategy = &planned.run_task["CapacityProviderStrategy"];
    assert_eq!(strategy[0]["CapacityProvider"], "FARGATE");
}

#[test]
fn a_repository_with_a_role_of_its_own_runs_under_it_where_no_other_can_take_its_runner() {
    let roles = r#"{ "octo/hello": "greeter", "octo/*": "anybody" }"#;
    let path = "arn:aws:iam::111111111111:role/fargate-runners/tasks/";
    for (scope, owner, group, repository, expected) in [
        (
            "repository",
            "Organization",
            None,
            "octo/hello",
            Some("greeter"),
        ),
        (
            "repository",
            "Organization",
            None,
            "octo/other",
            Some("anybody"),
        ),
        ("repository", "Organization", None, "acme/hello", None),
        ("organization", "User", None, "octo/hello", Some("greeter")),
        (
            "organization",
            "Organization",
            Some("Own"),
            "octo/hello",
            Some("greeter"),
        ),
        ("organization", "Organization", None, "acme/hello", None),
    ] {
        let variables = [
            ("REPOSITORY_ROLES", roles),
            ("TASK_ROLES", path),
            ("RUNNER_SCOPE", scope),
        ];
        let input = input_of(repository, owner, group);
        let planned = handle(&config_with(&variables), input, NOW).unwrap();
        let arn = expected.map(|name| json!(format!("{path}{name}")));
        let given = planned.run_task["Overrides"].get("TaskRoleArn");
        assert_eq!(given, arn.as_ref(), "{scope} {repository}");
    }
    let variables = [
        ("REPOSITORY_ROLES", roles),
        ("TASK_ROLES", path),
        ("RUNNER_SCOPE", "organization"),
    ];
    let input = input_of("octo/hello", "Organization", None);
    let refused = handle(&config_with(&variables), input, NOW).unwrap_err();
    let told = lambda_runtime::Diagnostic::from(refused);
    assert_eq!(told.error_type, "BadConfiguration");
    for part in [
        "octo/hello",
        "fargate-runners-ubuntu-x64",
        "GH:runner-group",
    ] {
        assert!(told.error_message.contains(part), "{}", told.error_message);
    }
}

#[test]
fn roles_without_their_path_are_refused_at_the_start() {
    let settings = settings(&[("REPOSITORY_ROLES", r#"{ "octo/hello": "greeter" }"#)]);
    let error = Config::from_settings(&settings).unwrap_err().to_string();
    assert!(error.contains("TASK_ROLES"), "{error}");
}

fn input_of(repository: &str, owner: &str, group: Option<&str>) -> Input {
    let mut input = input(Value::Null);
    input.order.job.repository = repository.parse().unwrap();
    input.order.job.owner_type = serde_json::from_value(json!(owner)).unwrap();
    input.matched.definition.runner_group = group.map(str::to_owned);
    input
}

#[test]
fn the_request_is_the_one_that_running_executions_know() {
    let planned = handle(&config(), input(Value::Null), NOW).unwrap();
    let path = planned.runner.parameter.to_string();
    // As text: a field that appears or goes changes it.
    let expected = json!({
        "Cluster": "runners",
        "TaskDefinition": "fargate-runners-ubuntu-x64",
        "CapacityProviderStrategy": [{ "CapacityProvider": "FARGATE_SPOT", "Weight": 1 }],
        "Overrides": { "ContainerOverrides": [{
            "Name": "runner",
            "Environment": [
                { "Name": "AGENT_PARAMETER", "Value": path },
                { "Name": "AGENT_RUNNER", "Value": "fr-hello-4242" },
                { "Name": "AGENT_REPOSITORY", "Value": "octo/hello" },
                { "Name": "AGENT_EXECUTION", "Value": "hello-4242" },
                { "Name": "AGENT_IDLE_LIMIT_SECONDS", "Value": "300" },
                { "Name": "AGENT_CAPACITY", "Value": "FARGATE_SPOT" },
                { "Name": "AGENT_QUEUED_AT", "Value": "2026-01-01T00:00:00Z" },
            ],
        }] },
        "Group": "fargate-runners:fr",
        "EnableECSManagedTags": true,
        "PropagateTags": "TASK_DEFINITION",
        "Tags": [
            { "Key": "fargate-runners:repository", "Value": "octo/hello" },
            { "Key": "fargate-runners:workflow", "Value": "CI" },
            { "Key": "fargate-runners:job", "Value": "build _" },
            { "Key": "fargate-runners:job-id", "Value": "4242" },
            { "Key": "fargate-runners:run-id", "Value": "99" },
            { "Key": "fargate-runners:runner", "Value": "fr-hello-4242" },
        ],
        "PlatformVersion": "LATEST",
        "NetworkConfiguration": { "AwsvpcConfiguration": {
            "Subnets": ["subnet-a", "subnet-b"],
            "SecurityGroups": ["sg-1"],
            "AssignPublicIp": "DISABLED",
        } },
    });
    assert_eq!(planned.run_task.to_string(), expected.to_string());
}

#[test]
fn a_shell_is_asked_for_only_where_the_task_definition_allows_one() {
    let mut input = input(Value::Null);
    let planned = handle(&config(), input.clone(), NOW).unwrap();
    assert_eq!(planned.run_task.get("EnableExecuteCommand"), None);
    input.matched.definition.shell = true;
    let planned = handle(&config(), input, NOW).unwrap();
    assert_eq!(planned.run_task["EnableExecuteCommand"], true);
}

#[test]
fn an_attempt_after_a_spot_interruption_is_on_demand_in_another_subnet() {
    let attempt = json!({ "number": 2, "faults": 0, "refusals": 1, "unpicked": 0, "capacityStep": 1, "subnetStep": 1, "recheck": false });
    let output = handle(&config(), input(attempt), NOW).unwrap();
    assert_eq!(output.runner.name.to_string(), "fr-hello-4242-a2");
    assert_eq!(
        output.run_task["CapacityProviderStrategy"][0]["CapacityProvider"],
        "FARGATE"
    );
    assert_eq!(
        output.run_task["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"],
        json!(["subnet-b"])
    );
}

#[test]
fn a_re_run_keeps_off_spot_where_the_runner_opted_in() {
    let provider = |opted_in: bool, run_attempt: u32, capacity: &[&str]| {
        let mut input = input(Value::Null);
        input.matched.definition.rerun_after_interruption = opted_in;
        input.matched.definition.capacity = capacity.iter().map(|&name| name.into()).collect();
        input.order.job.run_attempt = run_attempt;
        let planned = handle(&config(), input, NOW).unwrap();
        planned.run_task["CapacityProviderStrategy"][0]["CapacityProvider"].clone()
    };
    let both = ["FARGATE_SPOT", "FARGATE"];
    assert_eq!(provider(true, 1, &both), "FARGATE_SPOT");
    assert_eq!(provider(false, 2, &both), "FARGATE_SPOT");
    assert_eq!(provider(true, 2, &both), "FARGATE");
    assert_eq!(provider(true, 2, &["FARGATE_SPOT"]), "FARGATE");
    assert_eq!(provider(true, 2, &["mine", "FARGATE_SPOT"]), "mine");
}

#[test]
fn a_task_definitions_own_capacity_goes_first() {
    let mut input = input(Value::Null);
    input.matched.definition.capacity = vec!["my-ec2-provider".into()];
    let output = handle(&config(), input, NOW).unwrap();
    assert_eq!(
        output.run_task["CapacityProviderStrategy"][0]["CapacityProvider"],
        "my-ec2-provider"
    );
    assert_eq!(output.run_task["PlatformVersion"], Value::Null);
}

#[test]
fn only_a_task_with_a_network_interface_of_its_own_is_told_a_network() {
    for (mode, told) in [
        (None, true),
        (Some("awsvpc"), true),
        (Some("bridge"), false),
        (Some("host"), false),
    ] {
        let mut input = input(Value::Null);
        input.matched.definition.network_mode = mode.map(str::to_owned);
        let request = handle(&config(), input, NOW).unwrap().run_task;
        assert_eq!(
            request["NetworkConfiguration"].is_object(),
            told,
            "{mode:?}"
        );
    }
}

#[test]
fn only_fargate_gives_a_public_address() {
    let mut config = config();
    config.placement.public_ip = true;
    for (provider, public) in [("FARGATE", "ENABLED"), ("my-ec2-provider", "DISABLED")] {
        let mut input = input(Value::Null);
        input.matched.definition.capacity = vec![provider.into()];
        let request = handle(&config, input, NOW).unwrap().run_task;
        assert_eq!(
            request["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"],
            public
        );
    }
}

#[test]
fn the_agent_is_told_the_path_and_nothing_secret() {
    let output = handle(&config(), input(Value::Null), NOW).unwrap();
    let environment = output.run_task["Overrides"]["ContainerOverrides"][0]["Environment"]
        .as_array()
        .unwrap();
    let environment: BTreeMap<_, _> = environment
        .iter()
        .map(|v| (v["Name"].as_str().unwrap(), v["Value"].as_str().unwrap()))
        .collect();
    assert_eq!(
        environment["AGENT_PARAMETER"],
        output.runner.parameter.to_string()
    );
    assert_eq!(environment["AGENT_RUNNER"], "fr-hello-4242");
    assert_eq!(environment["AGENT_REPOSITORY"], "octo/hello");
    assert_eq!(environment.len(), 7);
}

#[test]
fn step_functions_is_left_the_field_that_it_writes_itself() {
    let output = handle(&config(), input(Value::Null), NOW).unwrap();
    assert_eq!(output.run_task.get("StartedBy"), None);
}

#[test]
fn no_tag_is_both_given_and_propagated_from_a_task_definition() {
    // What CDK puts on the task definitions: cdk/src/runners/runner.ts.
    let propagated = ["deployment", "labels", "capacity", "runner-version"];
    let output = handle(&config(), input(Value::Null), NOW).unwrap();
    assert_eq!(output.run_task["PropagateTags"], "TASK_DEFINITION");
    let mut keys = std::collections::BTreeSet::new();
    for tag in output.run_task["Tags"].as_array().unwrap() {
        let key = tag["Key"].as_str().unwrap().to_lowercase();
        let name = key.rsplit(':').next().unwrap();
        assert!(!propagated.contains(&name), "{key}");
        assert!(keys.insert(key.clone()), "{key} is given twice");
    }
    assert!(keys.contains(protocol::RUNNER_TAG) && keys.contains(protocol::REPOSITORY_TAG));
}

#[test]
fn tags_hold_what_ecs_accepts() {
    let output = handle(&config(), input(Value::Null), NOW).unwrap();
    let tags = output.run_task["Tags"].as_array().unwrap();
    assert!(
        tags.iter()
            .any(|tag| tag["Key"] == "fargate-runners:job" && tag["Value"] == "build _")
    );
    assert!(tags.len() <= 50);
}

#[test]
fn an_order_for_later_is_deferred_until_then() {
    let mut input = input(Value::Null);
    input.order.not_before = Some(NOW + time::Duration::seconds(90));
    assert!(matches!(
        handle(&config(), input.clone(), NOW),
        Err(Error::Deferred(91))
    ));
    assert!(handle(&config(), input, NOW + time::Duration::seconds(91)).is_ok());
}

#[test]
fn a_missing_subnet_list_is_named() {
    let error = Config::from_settings(&Settings::from_pairs([("DEPLOYMENT", "fr")])).unwrap_err();
    assert!(error.to_string().contains("SUBNETS"), "{error}");
}
