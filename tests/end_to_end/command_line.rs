//! The command line's lists and logs against the deployed system, and what it says to bad input.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use github_standin::{JobStatus, NewJob};
use serde_json::{Value, json};

use crate::harness::{Harness, LIMIT, run, script};
use crate::why::{command, program};

const STACK: [&str; 2] = ["--stack", "fargate-runners"];

/// A command that goes on until it is interrupted. Dropping it ends it.
struct Watch {
    child: Child,
    lines: Receiver<Value>,
}

impl Watch {
    fn start(harness: &Harness) -> Self {
        let mut child = program(harness)
            .args(["jobs", "--watch", "--limit", "200", "--json"])
            .args(STACK)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("build it: cargo build --workspace --bins");
        let stdout = child.stdout.take().expect("a pipe");
        let (to, lines) = channel();
        // It ends with the program.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let look = serde_json::from_str(&line).expect("a look is a line");
                if to.send(look).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for a look in which the execution is in this phase, or not listed.
    fn sees(&self, execution: &str, phase: Option<&str>) -> Value {
        let deadline = std::time::Instant::now() + LIMIT;
        let mut last = Value::Null;
        while let Some(left) = deadline.checked_duration_since(std::time::Instant::now()) {
            last = self.lines.recv_timeout(left).expect("another look");
            let jobs = last["jobs"].as_array().expect("a list");
            let row = jobs.iter().find(|row| row["execution"] == execution);
            if row.map(|row| row["phase"].as_str().expect("a phase")) == phase {
                return row.cloned().unwrap_or_default();
            }
        }
        panic!("{execution} was never {phase:?}: {last:#}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The exit code, and what a command said: nothing else but one line on stderr.
async fn refused(harness: &Harness, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(harness, arguments).await;
    assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.trim().lines().count(), 1, "{arguments:?}: {said}");
    (output.status.code(), said)
}

async fn said(harness: &Harness, arguments: &[&str]) -> String {
    let output = command(harness, &[arguments, &STACK].concat()).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_watched_job_comes_moves_and_goes_and_its_log_stays() {
    run(async |harness| {
        let site = &harness.repository;
        let watch = Watch::start(harness);
        let job = site.queue(script("octo/watched", "sleep 600"));
        let execution = site.observer.execution_name(&job).unwrap().to_string();
        site.reaches(&job, JobStatus::InProgress).await;
        // It is another thread's to wait for it.
        let (watch, row) = tokio::task::spawn_blocking({
            let execution = execution.clone();
            move || {
                let row = watch.sees(&execution, Some("up"));
                (watch, row)
            }
        })
        .await
        .unwrap();
        assert_eq!(row["attempt"], 1, "{row:#}");
        assert!(!row["reason"].as_str().unwrap().is_empty(), "{row:#}");

        // The log of a running task, by the job's id; it is written a second later.
        let id = job.id.to_string();
        let logs = site.observer.wait(LIMIT, async || {
            let output = command(harness, &[&["logs", &id][..], &STACK].concat()).await;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok(said.contains("Running job").then_some(said))
        });
        let logs = logs
            .await
            .unwrap()
            .expect("the listener says that it runs the job");
        assert!(logs.contains("Listening for Jobs"), "{logs}");

        site.deployment.github.cancel_job(job.id).unwrap();
        site.ended(&job).await;
        let watch = tokio::task::spawn_blocking({
            let execution = execution.clone();
            move || {
                watch.sees(&execution, None);
                watch
            }
        });
        let watch = watch.await.unwrap();
        // Ctrl-C is how it is meant to end.
        let pid = watch.child.id().to_string();
        let interrupt = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(interrupt.success());
        let mut watch = watch;
        let status = tokio::task::spawn_blocking(move || watch.child.wait());
        assert_eq!(status.await.unwrap().unwrap().code(), Some(0));

        // By its execution's name, and as JSON, a string a line.
        let after = said(harness, &["logs", &execution, "--json"]).await;
        let lines: Vec<String> = after
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(
            lines
                .iter()
                .any(|line| line.contains("completed with result")),
            "{after}"
        );
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn a_job_without_a_task_has_no_log_and_says_what_to_ask() {
    run(async |harness| {
        let site = &harness.repository;
        let unmatched = site.queue(NewJob {
            labels: vec!["self-hosted".to_owned(), "moon".to_owned()],
            ..script("octo/no-log", "true")
        });
        site.observer
            .first_execution(&unmatched, LIMIT)
            .await
            .unwrap();
        let id = unmatched.id.to_string();
        let (code, said) = refused(harness, &[&["logs", &id][..], &STACK].concat()).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains(&format!("fargate-runners why {id}")),
            "{said}"
        );
    });
}

#[test]
fn what_jobs_cost_is_told_by_repository() {
    run(async |harness| {
        let site = &harness.repository;
        for repository in ["octo/cheap", "octo/dear", "octo/dear"] {
            let job = site.queue(script(repository, "true"));
            site.ended(&job).await;
        }
        let told = said(harness, &["cost", "--since", "1h", "--json"]).await;
        let told: Value = serde_json::from_str(&told).unwrap();
        let rows = told["repositories"].as_array().unwrap();
        let of = |name: &str| {
            let row = rows.iter().find(|row| row["repository"] == name);
            row.unwrap_or_else(|| panic!("{told:#}"))
        };
        for (name, tasks) in [("octo/cheap", 1), ("octo/dear", 2)] {
            let row = of(name);
            assert_eq!(row["tasks"], tasks, "{row:#}");
            let number = |field: &str| row[field].as_f64().unwrap();
            // The time is what the tasks ran. The price is of a minute at least, as Fargate bills it: of 2 vCPU
            // and 4 GB that is 0.0013 USD on arm64, 0.0016 on x64.
            assert!(number("runnerMinutes") > 0.0, "{row:#}");
            let minute = number("runners") / f64::from(tasks);
            assert!((0.0012..0.0018).contains(&minute), "{row:#}");
            assert!(number("controlPlane") > 0.0, "{row:#}");
        }
        let table = said(harness, &["cost", "--since", "1h"]).await;
        assert!(table.contains("octo/dear"), "{table}");
        println!("{table}");
    });
}

#[test]
fn in_another_region_every_command_says_that_there_is_no_deployment() {
    run(async |harness| {
        for arguments in [
            &["why", "1"][..],
            &["jobs"],
            &["logs", "1"],
            &["cancel", "1"],
            &["redeliver", "1"],
            &["console", "--port", "0"],
            &["doctor"],
            &["cost"],
            &["pause"],
            &["resume"],
            &["drain"],
            &["setup"],
            &["setup", "--check"],
            &["setup", "--rotate-webhook-secret"],
        ] {
            let elsewhere = [arguments, &["--region", "eu-west-1"]].concat();
            let (code, said) = refused(harness, &elsewhere).await;
            assert_eq!(code, Some(4), "{said}");
            assert!(
                said.contains("no deployment of Fargate Runners is in region eu-west-1"),
                "{said}"
            );
            assert!(said.contains("--region"), "{said}");
            let named = [&elsewhere[..], &STACK].concat();
            let (code, said) = refused(harness, &named).await;
            assert_eq!(code, Some(4), "{said}");
            assert!(
                said.contains("region eu-west-1 has no stack fargate-runners"),
                "{said}"
            );
        }
        // Nothing was written where nothing is.
        let aws = &harness.repository.observer.aws;
        let paused = json!({ "Name": "/fargate-runners/paused" });
        assert!(aws.ssm("GetParameter", paused).await.is_err());
    });
}

#[test]
fn a_job_of_another_owner_is_told_so_and_nothing_is_done() {
    run(async |harness| {
        let site = &harness.repository;
        let before = site.deployment.github.deliveries().len();
        let stranger = "https://github.com/stranger/things/actions/runs/7/job/123456789012";
        let output = command(harness, &[&["why", stranger][..], &STACK].concat()).await;
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(5), "{said}");
        for words in ["stranger/things", "not installed", "redeliver"] {
            assert!(said.contains(words), "{said}");
        }
        for arguments in [
            &["logs", stranger][..],
            &["cancel", stranger],
            &["cancel", stranger, "--force"],
            &["redeliver", stranger],
        ] {
            let (code, said) = refused(harness, &[arguments, &STACK].concat()).await;
            assert_eq!(code, Some(5), "{arguments:?}: {said}");
            assert!(
                said.contains("fargate-runners why 123456789012"),
                "{arguments:?}: {said}"
            );
        }
        let deliveries = site.deployment.github.deliveries();
        assert!(!deliveries[before..].iter().any(|one| one.redelivery));
    });
}
