//! The RunTask request for Step Functions: the API's fields in Pascal case ([shape]).
//!
//! [shape]: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html

use decisions::Attempt;
use protocol::sanitize::tag_value;
use protocol::{CONTAINER, Matched, Order, PlannedRunner, TAG_PREFIX};
use serde_json::{Value, json};

use crate::settings::Config;

/// Builds the request. It contains no secret: the agent gets the path of its registration, and only
/// the task role may read it.
pub fn run_task(
    config: &Config,
    order: &Order,
    matched: &Matched,
    runner: &PlannedRunner,
    attempt: &Attempt,
) -> Value {
    let name = runner.name.to_string();
    let capacity = capacity(config, matched, attempt);
    // No other provider's name may start like this.
    let fargate = capacity.starts_with("FARGATE");
    let mut request = json!({
        "Cluster": config.cluster,
        // The family, not a revision: a deployment deactivates older revisions, and RunTask rejects
        // those.
        "TaskDefinition": matched.definition.family,
        "CapacityProviderStrategy": [{ "CapacityProvider": capacity, "Weight": 1 }],
        "Overrides": {
            "ContainerOverrides": [{
                "Name": CONTAINER,
                "Environment": [
                    { "Name": "AGENT_PARAMETER", "Value": runner.parameter.to_string() },
                    { "Name": "AGENT_RUNNER", "Value": name },
                    // These two identify the task wherever ECS describes it, even without its tags.
                    { "Name": "AGENT_REPOSITORY", "Value": order.job.repository.to_string() },
                    { "Name": "AGENT_EXECUTION", "Value": runner.name.execution().to_string() },
                    { "Name": "AGENT_IDLE_LIMIT_SECONDS", "Value": config.idle_limit.as_secs().to_string() },
                ],
            }]
        },
        // No `StartedBy`: `runTask.sync` writes "AWS Step Functions" there (recorded on AWS,
        // 2024-02-23).
        "Group": format!("{TAG_PREFIX}:{}", config.deployment),
        "EnableECSManagedTags": true,
        // The deployment's tag comes from here. No tag is both given and propagated: AWS does not
        // document whether the request wins or the duplicate is rejected.
        "PropagateTags": "TASK_DEFINITION",
        "Tags": tags(order, &name),
    });
    if fargate {
        request["PlatformVersion"] = json!(config.platform_version);
    }
    // A task in its instance's network is rejected with a network configuration of its own.
    if matched
        .definition
        .network_mode
        .as_deref()
        .is_none_or(|mode| mode == "awsvpc")
    {
        request["NetworkConfiguration"] = json!({
            "AwsvpcConfiguration": {
                "Subnets": subnets(config, attempt),
                "SecurityGroups": config.security_groups,
                // Only Fargate assigns public addresses.
                "AssignPublicIp": if fargate && config.public_ip { "ENABLED" } else { "DISABLED" },
            }
        });
    }
    request
}

/// The capacity provider of this attempt: each attempt without capacity moves to the next one; the
/// last one is repeated.
fn capacity<'a>(config: &'a Config, matched: &'a Matched, attempt: &Attempt) -> &'a str {
    let providers = if matched.definition.capacity.is_empty() {
        &config.capacity
    } else {
        &matched.definition.capacity
    };
    let step = usize::try_from(attempt.capacity_step).unwrap_or(usize::MAX);
    providers
        .get(step.min(providers.len().saturating_sub(1)))
        .map_or("FARGATE", String::as_str)
}

/// The subnets of this attempt. ECS chooses among them. The first attempt gets all, an attempt
/// after a failed start gets a single other one.
fn subnets<'a>(config: &'a Config, attempt: &Attempt) -> Vec<&'a str> {
    let all = &config.subnets;
    if attempt.subnet_step == 0 || all.is_empty() {
        return all.iter().map(String::as_str).collect();
    }
    let index = usize::try_from(attempt.subnet_step).unwrap_or(0) % all.len();
    vec![all[index].as_str()]
}

fn tags(order: &Order, runner: &str) -> Vec<Value> {
    let job = &order.job;
    let tag = |key: &str, value: &str| json!({ "Key": format!("{TAG_PREFIX}:{key}"), "Value": tag_value(value) });
    vec![
        tag("repository", &job.repository.to_string()),
        tag("workflow", &job.workflow),
        tag("job", &job.name),
        tag("job-id", &job.id.to_string()),
        tag("run-id", &job.run_id.to_string()),
        tag("runner", runner),
    ]
}
