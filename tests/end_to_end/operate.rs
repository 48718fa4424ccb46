//! The command line steers a deployed system: set-up, checks, pause.

use std::process::Output;
use std::time::Instant;

use std::os::unix::fs::PermissionsExt as _;

use github_standin::{JobStatus, NewJob};
use serde_json::{Value, json};
use tooling::Architecture;

use crate::harness::{Harness, LIMIT, Site, run, script};
use crate::why::{command, program};

/// What a command printed, and that it ended with this code.
fn ended(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}\n{error}");
    format!("{said}{error}")
}

const STACK: [&str; 2] = ["--stack", "fargate-runners"];

async fn said(harness: &Harness, arguments: &[&str], code: i32) -> String {
    let arguments = [arguments, &STACK].concat();
    ended(&command(harness, &arguments).await, code)
}

#[test]
fn a_paused_deployment_leaves_jobs_at_github_and_begins_them_afterwards() {
    run(async |harness| {
        let site = &harness.repository;
        let github = &site.deployment.github;
        let told = said(harness, &["pause"], 0).await;
        assert!(told.contains("fargate-runners resume"), "{told}");
        // A sandbox that served other tests knows for half a minute that nothing is paused.
        let mut left = None;
        let found = site.observer.wait(LIMIT, async || {
            assert!(github.wait_for_deliveries(LIMIT).await);
            let before = github.deliveries().len();
            let job = site.queue(script("octo/paused", "true"));
            assert!(github.wait_for_deliveries(LIMIT).await);
            let answer = github.deliveries()[before].status_code;
            if answer == 423 {
                left = Some((job, before));
                return Ok(Some(()));
            }
            assert_eq!(answer, 200);
            site.ended(&job).await;
            Ok(None)
        });
        found.await.unwrap();
        let (job, before) = left.expect("every job is taken");
        let why = said(harness, &["why", &job.id.to_string(), "--json"], 0).await;
        let why: Value = serde_json::from_str(&why).unwrap();
        assert_eq!(why["explanation"]["situation"], "paused", "{why:#}");
        let swept = site.deployment.invoke("sweep", &json!({})).await.unwrap();
        assert_eq!(
            (&swept["paused"], &swept["redelivered"]),
            (&json!(true), &json!(0)),
            "{swept:#}"
        );
        let doctor = said(harness, &["doctor"], 6).await;
        assert!(doctor.contains("is paused"), "{doctor}");
        let told = said(harness, &["drain", "--timeout", "1"], 0).await;
        assert!(told.contains("nothing is running"), "{told}");

        said(harness, &["resume"], 0).await;
        // A delivery settles for half a minute before it is asked for again.
        let taken = site.observer.wait(LIMIT, async || {
            site.deployment.invoke("sweep", &json!({})).await?;
            let mut deliveries = github.deliveries().into_iter().skip(before);
            Ok(deliveries.find(|one| one.redelivery && one.status_code == 200))
        });
        assert!(taken.await.unwrap().is_some(), "{:#?}", github.deliveries());
        site.reaches(&job, JobStatus::Completed).await;
        site.ended(&job).await;
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn the_doctor_looks_at_a_deployment_and_setup_checks_it() {
    run(async |harness| {
        let site = &harness.repository;
        let job = site.queue(script("octo/healthy", "true"));
        site.ended(&job).await;
        site.deployment.invoke("sweep", &json!({})).await.unwrap();
        let begun = Instant::now();
        let arguments = [&["doctor", "--json"][..], &STACK].concat();
        let output = command(harness, &arguments).await;
        println!("doctor answered in {} ms", begun.elapsed().as_millis());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let deployment = &report["deployment"];
        assert_eq!(deployment["prefix"], "fargate-runners", "{report:#}");
        assert_eq!(deployment["version"], env!("CARGO_PKG_VERSION"));
        let parts = report["parts"].as_array().unwrap();
        let names: Vec<_> = parts
            .iter()
            .filter_map(|part| part["name"].as_str())
            .collect();
        assert_eq!(
            names,
            [
                "version",
                "secrets",
                "GitHub",
                "runners",
                "jobs",
                "images and stock",
                "alarms",
                "quotas"
            ],
            "{report:#}"
        );
        let bad: Vec<_> = parts
            .iter()
            .flat_map(|part| part["findings"].as_array().unwrap())
            .filter(|finding| finding["mark"] == "bad")
            .collect();
        // The stand-in's account is on no list of the deployment's owners but `*`.
        assert!(
            bad.iter().all(|finding| finding["fix"].is_string()),
            "{bad:#?}"
        );
        println!("{bad:#?}");

        let check = command(harness, &[&["setup", "--check"][..], &STACK].concat()).await;
        let check = format!(
            "{}{}",
            String::from_utf8_lossy(&check.stdout),
            String::from_utf8_lossy(&check.stderr)
        );
        println!("{check}");
        assert!(check.contains("✓ App fargate-runners"), "{check}");
        assert!(
            check.contains("✓ permission administration: write"),
            "{check}"
        );
        assert!(check.contains("✓ webhook URL: "), "{check}");
    });
}

/// Registers a user's own task definition, which allows a shell in its tasks.
async fn with_shell(site: &Site) {
    let aws = &site.observer.aws;
    let default = format!("fargate-runners-ubuntu-{}", Architecture::here().label());
    let described = aws
        .ecs(
            "DescribeTaskDefinition",
            json!({ "taskDefinition": default }),
        )
        .await
        .unwrap();
    let mut input = json!({
        "family": "fargate-runners-shell",
        "tags": [
            { "key": "GH:labels", "value": "self-hosted shell" },
            { "key": "GH:shell", "value": "true" },
            { "key": "fargate-runners:prefix", "value": "fargate-runners" },
        ],
    });
    for field in [
        "cpu",
        "memory",
        "networkMode",
        "requiresCompatibilities",
        "containerDefinitions",
        "taskRoleArn",
        "executionRoleArn",
    ] {
        input[field] = described["taskDefinition"][field].clone();
    }
    aws.ecs("RegisterTaskDefinition", input).await.unwrap();
}

#[test]
fn a_shell_is_opened_in_a_running_job_where_its_runner_allows_one() {
    run(async |harness| {
        let site = &harness.repository;
        with_shell(site).await;
        let allowing = site.queue(NewJob {
            labels: vec!["self-hosted".to_owned(), "shell".to_owned()],
            ..script("octo/shell", "sleep 600")
        });
        let plain = site.queue(script("octo/no-shell", "sleep 600"));
        for job in [&allowing, &plain] {
            site.reaches(job, JobStatus::InProgress).await;
        }
        let (allowing, plain) = (allowing.id.to_string(), plain.id.to_string());
        let line = said(harness, &["shell", &allowing, "--print"], 0).await;
        assert!(
            line.starts_with(
                "aws ecs execute-command --cluster fargate-runners --task arn:aws:ecs:"
            ),
            "{line}"
        );
        let refused = said(harness, &["shell", &plain, "--print"], 1).await;
        assert!(refused.contains("allows no shell"), "{refused}");
        let refused = said(harness, &["shell", &allowing], 1).await;
        assert!(
            refused.contains("aws of AWS is not on the PATH"),
            "{refused}"
        );

        // In place of AWS's programs, one that says what it is told.
        let programs = tempfile::tempdir().unwrap();
        for name in ["aws", "session-manager-plugin"] {
            let program = programs.path().join(name);
            std::fs::write(&program, "#!/bin/sh\necho \"aws $*\"\n").unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let output = program(harness)
            .args(["shell", &allowing, "--command", "/bin/bash"])
            .args(STACK)
            .env("PATH", programs.path())
            .output()
            .unwrap();
        let opened = ended(&output, 0);
        assert_eq!(opened, line.replace("/bin/sh", "/bin/bash"));
    });
}
