//! Deployments with other options than the default's: each runs a job, and one is removed again.

use local_stack::{Aws, Execution, Plan, Visit};
use protocol::State;
use reqwest::Method;
use serde_json::{Value, json};
use tooling::{Checkout, Progress};

use crate::harness::{Harness, LIMIT, Site, assert_succeeded, deployed, run, script};
use crate::recovery::end_task;

/// Version of EC2's API.
const EC2: &str = "2016-11-15";

#[test]
fn in_an_existing_vpc_a_job_goes_from_spot_to_on_demand_and_destroying_leaves_nothing() {
    run(async |harness| {
        let aws = harness.engine.aws().unwrap();
        let vpc = made(&aws, "CreateVpc", &[("CidrBlock", "10.9.0.0/16")], "vpcId").await;
        let subnet = [("VpcId", vpc.as_str()), ("CidrBlock", "10.9.1.0/24")];
        let subnet = made(&aws, "CreateSubnet", &subnet, "subnetId").await;
        let plan = Plan::new("spot", "sp")
            .with("vpcId", &vpc)
            .with("subnetIds", &subnet)
            .with("capacity", "FARGATE_SPOT,FARGATE");
        let site = deployed(&harness.engine, plan).await;

        // No Spot capacity for the job's first runner.
        let fault = json!({
            "service": "ecs", "operation": "RunTask", "effect": "capacity", "match": "octo/frugal",
            "times": crate::faults::RUNNER_TRIES,
        });
        harness.control(Method::POST, "/faults", fault).await;
        let (job, execution) = site.run(script("octo/frugal", "echo saved")).await;
        assert_succeeded(&execution);
        assert_eq!(job.output.trim(), "saved");
        assert_eq!(providers(&execution), ["FARGATE_SPOT", "FARGATE"]);
        for request in execution.visits.iter().filter_map(run_task) {
            let network = &request["NetworkConfiguration"]["AwsvpcConfiguration"];
            assert_eq!(network["Subnets"], json!([subnet]));
            assert_eq!(network["AssignPublicIp"], "DISABLED");
        }
        site.nothing_left_of(&job).await;

        // Spot takes the runner back before GitHub has assigned it the job.
        let github = &site.deployment.github;
        github.change_settings(|settings| settings.assigning = false);
        let job = site.queue(script("octo/evicted", "echo back"));
        let task = site.task_of(&job).await;
        site.runner_is_online(&job).await;
        end_task(harness, &task, "spot-interruption").await;
        site.task_is_gone(&task).await;
        // Until then GitHub takes it for online, and could assign the job to it.
        site.runner_is_deregistered(&job).await;
        github.change_settings(|settings| settings.assigning = true);
        let execution = site.ended(&job).await;
        assert_succeeded(&execution);
        assert_eq!(site.job(&job).output.trim(), "back");
        assert_eq!(providers(&execution), ["FARGATE_SPOT", "FARGATE"]);
        site.nothing_left_of(&job).await;

        goes_without_a_trace(harness, &site, &aws, &vpc).await;
    });
}

/// Removes a deployment as the README describes, and asserts that nothing is left.
async fn goes_without_a_trace(harness: &Harness, site: &Site, aws: &Aws, vpc: &str) {
    let (checkout, progress) = (Checkout::here(), Progress::new());
    let deployed = inventory(aws, "spot", vpc).await;
    for kind in [
        "alarm",
        "cluster",
        "function",
        "log group",
        "machine",
        "queue",
        "role",
        "rule",
        "security group",
        "task definition",
    ] {
        let found = deployed.iter().any(|line| line.starts_with(kind));
        assert!(found, "no {kind} is deployed: {deployed:#?}");
    }
    let step = progress.step("destroying spot");
    site.deployment
        .destroy(&checkout, &step, &harness.engine)
        .unwrap();
    assert_eq!(inventory(aws, "spot", vpc).await, Vec::<String>::new());

    // The command line removes what it and the functions wrote.
    let secrets = parameters(aws, "spot").await;
    assert!(secrets.contains(&"/spot/github/private-key".to_owned()));
    let said = site
        .deployment
        .setup(&checkout, &step, &harness.engine, &["--remove"])
        .unwrap();
    step.done("");
    for name in &secrets {
        assert!(said.contains(&format!("deleted {name}")), "{said}");
    }
    assert_eq!(parameters(aws, "spot").await, Vec::<String>::new());
}

#[test]
fn without_internet_on_arm64_registrations_are_encrypted_with_a_key_of_ones_own() {
    run(async |harness| {
        let aws = harness.engine.aws().unwrap();
        let key = aws.kms("CreateKey", json!({})).await.unwrap();
        let key = key["KeyMetadata"]["Arn"].as_str().unwrap();
        let plan = Plan::new("isolated", "is")
            .with("network", "isolated")
            .with("githubInsideNetwork", "true")
            .with("runnerArchitecture", "arm64")
            .with("parameterKeyArn", key)
            .with("rolePath", "/build/");
        let site = deployed(&harness.engine, plan).await;

        // Delays RunTask, so that the registration stays in SSM meanwhile.
        let fault = json!({
            "service": "ecs", "operation": "RunTask", "effect": "delay", "seconds": 10,
            "match": "octo/secluded",
        });
        harness.control(Method::POST, "/faults", fault).await;
        let mut new = script("octo/secluded", "echo alone");
        new.labels = ["self-hosted", "linux", "arm64"]
            .map(str::to_owned)
            .to_vec();
        let job = site.queue(new);
        let registration = site
            .observer
            .wait(LIMIT, async || {
                let input = json!({ "ParameterFilters": [
                    { "Key": "Name", "Option": "BeginsWith", "Values": ["/isolated/runners/"] },
                ]});
                let found = aws.ssm("DescribeParameters", input).await?;
                Ok(found["Parameters"].get(0).cloned())
            })
            .await
            .unwrap();
        let Some(registration) = registration else {
            let execution = site.observer.execution(&site.name(&job)).await;
            panic!("no registration was written: {execution:#?}");
        };
        assert_eq!(registration["KeyId"], key, "{registration}");
        assert_eq!(registration["Type"], "SecureString");

        let execution = site.ended(&job).await;
        assert_succeeded(&execution);
        assert_eq!(site.job(&job).output.trim(), "alone");
        let task = execution.visits.iter().find_map(Visit::task).unwrap();
        let input = json!({ "cluster": "isolated", "tasks": [task] });
        let task = aws.ecs("DescribeTasks", input).await.unwrap();
        let definition = json!({ "taskDefinition": task["tasks"][0]["taskDefinitionArn"] });
        let definition = aws.ecs("DescribeTaskDefinition", definition).await.unwrap();
        let definition = &definition["taskDefinition"];
        // The engine does not store a task definition's CPU architecture.
        assert_eq!(definition["family"], "isolated-ubuntu-arm64");
        let role = definition["taskRoleArn"].as_str().unwrap();
        assert!(role.contains(":role/build/tasks/"), "{role}");
        site.nothing_left_of(&job).await;

        let calls = harness.control(Method::GET, "/calls", Value::Null).await;
        let denied: Vec<_> = calls["calls"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|call| {
                call["caller"]["name"]
                    .as_str()
                    .is_some_and(|name| name.starts_with("isolated"))
            })
            .filter(|call| {
                call["denied"]
                    .as_str()
                    .is_some_and(|lacks| !lacks.is_empty())
            })
            .collect();
        assert!(denied.is_empty(), "{denied:#?}");
    });
}

/// Creates an EC2 resource and returns its id.
async fn made(aws: &Aws, operation: &str, input: &[(&str, &str)], id: &str) -> String {
    let answer = aws.query("ec2", EC2, operation, input).await.unwrap();
    let ids = between(&answer, id);
    ids.into_iter().next().unwrap_or_else(|| panic!("{answer}"))
}

/// The contents of all XML elements with this name.
fn between(xml: &str, element: &str) -> Vec<String> {
    xml.split(&format!("<{element}>"))
        .skip(1)
        .filter_map(|rest| rest.split_once("</"))
        .map(|(text, _)| text.to_owned())
        .collect()
}

/// The RunTask request from a visit of `Launch`.
fn run_task(visit: &Visit) -> Option<Value> {
    let result = visit
        .result
        .as_ref()
        .filter(|_| visit.state == State::Launch.as_str())?;
    Some(result["Payload"]["runTask"].clone())
}

/// The capacity provider of each attempt.
pub(crate) fn providers(execution: &Execution) -> Vec<String> {
    let requests = execution.visits.iter().filter_map(run_task);
    requests
        .filter_map(|request| {
            let provider = &request["CapacityProviderStrategy"][0]["CapacityProvider"];
            provider.as_str().map(str::to_owned)
        })
        .collect()
}

/// Names of a deployment's parameters.
async fn parameters(aws: &Aws, prefix: &str) -> Vec<String> {
    let input = json!({ "Path": format!("/{prefix}"), "Recursive": true });
    let found = aws.ssm("GetParametersByPath", input).await.unwrap();
    texts(&found["Parameters"], "Name")
}

/// A deployment's resources that have a name or a place of its own, one line each.
async fn inventory(aws: &Aws, prefix: &str, vpc: &str) -> Vec<String> {
    let stem = format!("{prefix}-");
    let mut found = Vec::new();
    let mut add = |kind: &str, names: Vec<String>| {
        found.extend(names.into_iter().map(|name| format!("{kind} {name}")));
    };

    let groups = aws.logs("DescribeLogGroups", json!({})).await.unwrap();
    let mut names = texts(&groups["logGroups"], "logGroupName");
    names.retain(|name| {
        let last = name.rsplit('/').next().unwrap_or_default();
        last == prefix || last.starts_with(&stem)
    });
    add("log group", names);
    let machines = aws.states("ListStateMachines", json!({})).await.unwrap();
    let mut names = texts(&machines["stateMachines"], "name");
    names.retain(|name| name == prefix);
    add("machine", names);
    let rules = json!({ "NamePrefix": prefix });
    let rules = aws.events("ListRules", rules).await.unwrap();
    add("rule", texts(&rules["Rules"], "Name"));
    let clusters = json!({ "clusters": [prefix] });
    let clusters = aws.ecs("DescribeClusters", clusters).await.unwrap();
    let mut names = texts(&clusters["clusters"], "status");
    names.retain(|status| status == "ACTIVE");
    add("cluster", names);
    let definitions = json!({ "familyPrefix": stem, "status": "ACTIVE" });
    let definitions = aws
        .ecs("ListTaskDefinitionFamilies", definitions)
        .await
        .unwrap();
    let families = definitions["families"].as_array().into_iter().flatten();
    add(
        "task definition",
        families
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
    );
    let queues = json!({ "QueueNamePrefix": prefix });
    let queues = aws.sqs("ListQueues", queues).await.unwrap();
    let urls = queues["QueueUrls"].as_array().into_iter().flatten();
    add(
        "queue",
        urls.filter_map(|url| url.as_str().map(str::to_owned))
            .collect(),
    );
    let mut functions = Vec::new();
    for name in Checkout::here().functions().unwrap() {
        let name = format!("{stem}{name}");
        if aws.has_function(&name).await.unwrap() {
            functions.push(name);
        }
    }
    add("function", functions);

    let path = format!("/{prefix}/");
    let below = aws
        .query("iam", "2010-05-08", "ListRoles", &[("PathPrefix", &path)])
        .await
        .unwrap();
    add("role", between(&below, "RoleName"));
    let alarms = [("AlarmNamePrefix", stem.as_str())];
    let alarms = aws
        .query("monitoring", "2010-08-01", "DescribeAlarms", &alarms)
        .await
        .unwrap();
    add("alarm", between(&alarms, "AlarmName"));
    let groups = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc)];
    let groups = aws
        .query("ec2", EC2, "DescribeSecurityGroups", &groups)
        .await
        .unwrap();
    let mut names = between(&groups, "groupName");
    names.retain(|name| name != "default");
    add("security group", names);
    found
}

fn texts(list: &Value, field: &str) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .filter_map(|item| item[field].as_str().map(str::to_owned))
        .collect()
}
