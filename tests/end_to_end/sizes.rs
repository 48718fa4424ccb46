//! Sizes that jobs ask for by labels, and roles of repositories.

use github_standin::NewJob;
use local_stack::{Execution, Plan, Visit};
use protocol::State;
use serde_json::{Value, json};
use tooling::{Architecture, Checkout};

use crate::bad_input::failed;
use crate::harness::{Harness, Site, assert_succeeded, deployed, run, script};

/// Version of IAM's API.
const IAM: &str = "2010-05-08";
/// The role of `octo/infra`'s jobs. Its path is the deployment's.
const ROLE: &str = "arn:aws:iam::000000000000:role/sized/tasks/deploy";

/// A deployment with the page's runners, limits and role.
async fn sized(harness: &Harness) -> Site {
    let aws = harness.engine.aws().unwrap();
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "Service": "ecs-tasks.amazonaws.com" },
    }]});
    let role = [
        ("RoleName", "deploy"),
        ("Path", "/sized/tasks/"),
        ("AssumeRolePolicyDocument", &trust.to_string()),
    ];
    aws.query("iam", IAM, "CreateRole", &role).await.unwrap();
    let runner = |name: &str, labels: &[&str]| {
        let labels: Vec<_> = ["self-hosted", "linux"].iter().chain(labels).collect();
        json!({
            "name": name, "labels": labels, "architecture": Architecture::here().label(),
            "maxCpu": 16, "maxMemory": 64, "maxDisk": 100,
        })
    };
    let runners = json!([
        runner("plain", &["x64"]),
        runner("browsers", &["x64", "browsers"]),
        runner("arm", &["arm64"]),
        { "name": "fixed", "labels": ["self-hosted", "linux", "fixed"] },
    ]);
    let plan = Plan::new("sized", "sz")
        .with("runners", &runners.to_string())
        .with(
            "repositoryRoles",
            &json!({ "octo/infra": ROLE }).to_string(),
        );
    deployed(&harness.engine, plan).await
}

fn job(repository: &str, labels: &[&str]) -> NewJob {
    NewJob {
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        ..script(repository, "echo hello")
    }
}

/// The RunTask request of an execution.
fn request(execution: &Execution) -> Value {
    let launches = execution.visits.iter();
    let result = launches
        .filter(|visit| visit.state == State::Launch.as_str())
        .find_map(|visit| visit.result.clone());
    result.unwrap_or_else(|| panic!("no launch: {execution:#?}"))["Payload"]["runTask"].clone()
}

/// The labels of each example in the page's first table that a runner on Fargate serves.
fn examples() -> Vec<Vec<String>> {
    let page = std::fs::read_to_string(Checkout::here().path("docs/runs-on.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let lists = rows.filter_map(|line| {
        let (_, rest) = line.split_once("`runs-on: [")?;
        Some(rest.split_once("]`")?.0)
    });
    lists
        .filter(|list| !list.contains("docker"))
        .map(|list| {
            let labels = list.split(", ").map(|label| label.trim_matches('"'));
            // GitHub evaluates both; the stand-in knows of no matrix.
            labels
                .map(|label| label.replace("${{ strategy.job-index }}", "3"))
                .collect()
        })
        .collect()
}

#[test]
fn every_example_of_the_page_runs() {
    run(async |harness| {
        let site = sized(harness).await;
        let examples = examples();
        assert!(examples.len() >= 9, "{examples:#?}");
        // Each in a repository of its own, so that none gets another's runner.
        let queue = |(number, labels): (usize, &Vec<String>)| {
            let labels: Vec<_> = labels.iter().map(String::as_str).collect();
            site.queue(job(&format!("octo/example-{number}"), &labels))
        };
        let jobs: Vec<_> = examples.iter().enumerate().map(queue).collect();
        for job in &jobs {
            assert_succeeded(&site.ended(job).await);
            assert_eq!(site.job(job).output.trim(), "hello", "{:?}", job.labels);
            site.nothing_left_of(job).await;
        }
        println!("{} examples ran", examples.len());
        a_job_gets_the_size_that_it_asks_for(&site).await;
        a_size_that_is_not_valid_is_refused_with_one_that_is(&site).await;
        a_repository_alone_has_its_role(&site).await;
    });
}

/// In one execution of five states, by one task definition.
async fn a_job_gets_the_size_that_it_asks_for(site: &Site) {
    let whole = "fargate=${{ github.run_id }}/cpu=4/ram=16/disk=100/spot";
    for (labels, overrides, provider) in [
        (
            &["self-hosted", whole][..],
            json!({ "Cpu": "4096", "Memory": "16384", "EphemeralStorage": { "SizeInGiB": 100 } }),
            "FARGATE_SPOT",
        ),
        (
            &["self-hosted", "x64", "cpu-16", "ram-33", "on-demand"],
            json!({ "Cpu": "16384", "Memory": "40960" }),
            "FARGATE",
        ),
        (
            &["self-hosted", "x64", "cpu-2", "ram-4"],
            json!({}),
            "FARGATE",
        ),
    ] {
        let (job, execution) = site.run(job("octo/sized", labels)).await;
        assert_succeeded(&execution);
        let states: Vec<_> = execution
            .visits
            .iter()
            .map(|visit| visit.state.as_str())
            .collect();
        assert_eq!(states, ["Match", "Launch", "Token", "Runner", "Cleanup"]);
        let request = request(&execution);
        let given = &request["Overrides"];
        for name in ["Cpu", "Memory", "EphemeralStorage", "TaskRoleArn"] {
            assert_eq!(given[name], overrides[name], "{name} of {labels:?}");
        }
        let strategy = &request["CapacityProviderStrategy"];
        assert_eq!(strategy[0]["CapacityProvider"], provider, "{labels:?}");
        if let Some(cpu) = overrides["Cpu"].as_str() {
            let task = execution.visits.iter().find_map(Visit::task).unwrap();
            let input = json!({ "cluster": "sized", "tasks": [task] });
            let task = site.observer.aws.ecs("DescribeTasks", input).await.unwrap();
            assert_eq!(task["tasks"][0]["cpu"], cpu);
        }
        site.nothing_left_of(&job).await;
    }
}

async fn a_size_that_is_not_valid_is_refused_with_one_that_is(site: &Site) {
    let long = format!("cpu-{}", "9".repeat(196));
    let odd = "x".repeat(200);
    let cases = [
        (
            &["x64", "cpu-3"][..],
            "SizeRefused",
            &["cpu-3", "the nearest is cpu-4"][..],
        ),
        (
            &["x64", "cpu-0"],
            "SizeRefused",
            &["the nearest is cpu-0.25"],
        ),
        (
            &["x64", "ram-1", "cpu-16"],
            "SizeRefused",
            &["cpu-16 ram-32"],
        ),
        (
            &["x64", "disk-10"],
            "SizeRefused",
            &["the nearest is disk-20"],
        ),
        (
            &["x64", "cpu-4", "cpu-8"],
            "SizeRefused",
            &["cpu-4", "cpu-8", "contradict"],
        ),
        (
            &["x64", "fargate=/cpu=4"],
            "SizeRefused",
            &["github.run_id"],
        ),
        (
            &["x64", "fargate=1/cpu=4"],
            "SizeRefused",
            &["github.run_id"],
        ),
        (
            &["x64", "cpu-32"],
            "SizeRefused",
            &["sized-plain", "cpu-16 ram-32"],
        ),
        (
            &["fixed", "cpu-4"],
            "SizeRefused",
            &["sized-fixed", "cpu-2 ram-4"],
        ),
        (&["x64", &long], "SizeRefused", &["the nearest is cpu-32"]),
        (&["x64", &odd], "Unmatched", &["sized-plain lacks [xxx"]),
    ];
    let queue = |(number, (labels, ..)): (usize, &(&[&str], _, _))| {
        let labels: Vec<_> = ["self-hosted"].iter().chain(*labels).copied().collect();
        site.queue(job(&format!("octo/refused-{number}"), &labels))
    };
    let jobs: Vec<_> = cases.iter().enumerate().map(queue).collect();
    for (job, (_, error, words)) in jobs.iter().zip(cases) {
        failed(&site.ended(job).await, error, words);
        site.deployment.github.cancel_job(job.id).unwrap();
        site.nothing_left_of(job).await;
    }
}

/// The engine gives the task this role's credentials, and lets the machine pass only roles under its path.
async fn a_repository_alone_has_its_role(site: &Site) {
    for (repository, role) in [("octo/infra", json!(ROLE)), ("octo/other", Value::Null)] {
        let (job, execution) = site.run(job(repository, &["self-hosted", "x64"])).await;
        assert_succeeded(&execution);
        assert_eq!(
            request(&execution)["Overrides"]["TaskRoleArn"],
            role,
            "{repository}"
        );
        site.nothing_left_of(&job).await;
    }
}
