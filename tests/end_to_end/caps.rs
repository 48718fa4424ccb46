//! Caps: never more runners at once than a cap says, and nobody waits for a slot that is free.

use std::fs;
use std::path::PathBuf;

use github_standin::{Job, JobStatus, NewJob};
use local_stack::{Execution, Plan, Visit, synthesize};
use protocol::State;
use serde_json::{Value, json};
use tooling::{Checkout, Progress};

use crate::happy::{aws_calls, latest_call};
use crate::harness::{Harness, LIMIT, Site, assert_succeeded, deployed, run, script};
use crate::recovery::sweep;
use crate::why::command;

/// A job that notes when it begins and ends, and ends when a file exists.
struct Notes {
    _directory: tempfile::TempDir,
    log: PathBuf,
    gate: PathBuf,
}

impl Notes {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            log: directory.path().join("log"),
            gate: directory.path().join("gate"),
            _directory: directory,
        }
    }

    /// One that takes a second.
    fn short(&self, repository: &str) -> NewJob {
        let log = self.log.display();
        script(
            repository,
            &format!("echo + >> '{log}'; sleep 1; echo - >> '{log}'"),
        )
    }

    /// One that ends when the gate is opened.
    fn held(&self, repository: &str) -> NewJob {
        let gate = self.gate.display();
        script(
            repository,
            &format!("for i in $(seq 1200); do [ -e '{gate}' ] && exit 0; sleep 0.1; done; exit 1"),
        )
    }

    fn open(&self) {
        fs::write(&self.gate, "").unwrap();
    }

    /// The most that ran at once.
    fn most(&self) -> i32 {
        let log = fs::read_to_string(&self.log).unwrap();
        let (mut now, mut most) = (0, 0);
        for line in log.lines() {
            now += if line == "+" { 1 } else { -1 };
            most = most.max(now);
        }
        assert_eq!(now, 0, "{log}");
        most
    }
}

async fn capped(harness: &'static Harness, plan: Plan) -> Site {
    deployed(&harness.engine, plan).await
}

/// Waits until an execution waits for a slot; what for.
async fn waits(site: &Site, job: &Job) -> String {
    let name = site.name(job);
    let found = site
        .observer
        .wait(LIMIT, async || {
            let execution = site.observer.execution(&name).await?;
            let visits = execution.map(|found| found.visits).unwrap_or_default();
            let waits = visits.iter().any(|visit| is(visit, State::WaitForSlot));
            let token = visits.iter().rfind(|visit| is(visit, State::Token));
            let said = token.and_then(|visit| visit.failure.clone());
            Ok(said.filter(|(error, _)| waits && error == "NoFreeSlot"))
        })
        .await
        .unwrap();
    let (_, cause) = found.unwrap_or_else(|| panic!("{name} never waits for a slot"));
    let cause: Value = serde_json::from_str(&cause).unwrap();
    let message: Value = serde_json::from_str(cause["errorMessage"].as_str().unwrap()).unwrap();
    message["detail"].as_str().unwrap().to_owned()
}

/// Waits until the command line says so: in the moment of a look it says that the job is in `Token`.
async fn says(site: &Site, harness: &Harness, arguments: &[&str], words: &str) {
    let mut last = String::new();
    let said = site
        .observer
        .wait(LIMIT, async || {
            let output = command(harness, arguments).await;
            last = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok(last.contains(words).then_some(()))
        })
        .await
        .unwrap();
    assert!(said.is_some(), "{arguments:?}: {last}");
}

fn is(visit: &Visit, state: State) -> bool {
    visit.state == state.as_str()
}

/// The most executions that were in `Runner` at once.
fn most_at_once(executions: &[Execution]) -> usize {
    let runners: Vec<_> = executions
        .iter()
        .flat_map(|execution| &execution.visits)
        .filter(|visit| is(visit, State::Runner))
        .map(|visit| (visit.entered, visit.left.unwrap_or(f64::MAX)))
        .collect();
    let at = |time: f64| {
        runners
            .iter()
            .filter(|(from, to)| *from <= time && time < *to)
            .count()
    };
    runners.iter().map(|(from, _)| at(*from)).max().unwrap_or(0)
}

/// The item with the leases.
async fn item(site: &Site) -> Value {
    let table = format!("{}-stock", site.observer.prefix);
    let key = json!({ "pk": { "S": "slots" }, "sk": { "S": "slots" } });
    let input = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
    site.observer.aws.dynamodb("GetItem", input).await.unwrap()["Item"].clone()
}

/// Waits until nobody has a slot or waits for one.
async fn all_slots_are_free(site: &Site) {
    let mut last = Value::Null;
    let free = site
        .observer
        .wait(LIMIT, async || {
            last = item(site).await;
            let fields = last.as_object().into_iter().flatten();
            let mut names = fields.map(|(name, _)| name);
            let taken = names.any(|name| name.starts_with("h:") || name.starts_with("w:"));
            Ok((!taken).then_some(()))
        })
        .await
        .unwrap();
    assert!(free.is_some(), "{last}");
    assert_eq!(last["n"]["N"], "0", "{last}");
}

async fn served(site: &Site, job: &Job) -> Execution {
    site.reaches(job, JobStatus::Completed).await;
    let conclusion = site.job(job).conclusion;
    assert_eq!(conclusion.as_deref(), Some("success"));
    let execution = site.ended(job).await;
    assert_succeeded(&execution);
    execution
}

#[test]
fn of_eight_jobs_never_more_than_two_run_and_a_repository_has_a_cap_of_its_own() {
    run(async |harness| {
        let plan = Plan::new("capped", "ca")
            .with("maxRunning", "2")
            .with("maxRunningOf", r#"{"octo/one": 1}"#);
        let site = capped(harness, plan).await;
        let log = Notes::new();
        let jobs: Vec<_> = (0..8).map(|_| site.queue(log.short("octo/many"))).collect();
        let mut executions = Vec::new();
        for job in &jobs {
            executions.push(served(&site, job).await);
        }
        site.retire_surplus_of(harness, &jobs).await;
        assert_eq!((log.most(), most_at_once(&executions)), (2, 2));
        let looks = executions.iter().flat_map(|one| &one.visits);
        let looks = looks.filter(|visit| is(visit, State::WaitForSlot)).count();
        println!("8 jobs, 2 slots: {looks} waits for a slot");
        assert!(looks >= 6, "six have to wait");
        all_slots_are_free(&site).await;

        // A job that finds a slot makes two calls more than without caps.
        let since = latest_call(harness).await;
        let (job, execution) = site.run(script("octo/many", "true")).await;
        assert_succeeded(&execution);
        assert_eq!(execution.states_entered(), 5);
        site.nothing_left_of(&job).await;
        let calls = aws_calls(harness, &site, since, "").await;
        let of_table: Vec<_> = calls
            .iter()
            .filter(|call| call.contains("dynamodb") && !call.contains("sweep"))
            .collect();
        assert_eq!(
            of_table,
            [
                "1 cleanup dynamodb:UpdateItem",
                "1 token dynamodb:UpdateItem"
            ]
        );

        let held = Notes::new();
        let first = site.queue(held.held("octo/one"));
        site.reaches(&first, JobStatus::InProgress).await;
        let second = site.queue(held.held("octo/one"));
        assert_eq!(
            waits(&site, &second).await,
            "waits for a slot of octo/one: at most 1 at once, place 1 of 1 in line"
        );
        let address = format!(
            "{}/octo/one/actions/runs/{}/job/{}",
            site.deployment.github.url(),
            second.run_id,
            second.id
        );
        // The rest of the line is wrapped.
        let said = "waits for a slot of octo/one";
        says(
            &site,
            harness,
            &["why", &address, "--stack", "capped"],
            said,
        )
        .await;
        says(&site, harness, &["jobs", "--stack", "capped"], said).await;
        // The other slot is for others.
        let other = site.queue(log.short("octo/other"));
        served(&site, &other).await;
        held.open();
        served(&site, &first).await;
        served(&site, &second).await;
        all_slots_are_free(&site).await;
    });
}

#[test]
fn an_aborted_execution_gives_its_slot_back_and_a_removed_cap_frees_who_waits() {
    run(async |harness| {
        let (checkout, progress) = (Checkout::here(), Progress::new());
        let plain = Plan::new("uncapped", "un").below(harness.engine.directory());
        let site = capped(harness, plain.clone().with("maxRunning", "1")).await;
        let held = Notes::new();

        let aborted = site.queue(held.held("octo/a"));
        site.reaches(&aborted, JobStatus::InProgress).await;
        let next = site.queue(held.held("octo/a"));
        assert_eq!(
            waits(&site, &next).await,
            "waits for a slot of the deployment: at most 1 at once, place 1 of 1 in line"
        );
        let arn = site.observer.execution_arn(&site.name(&aborted));
        let input = json!({ "executionArn": arn });
        let aws = &site.observer.aws;
        aws.states("StopExecution", input).await.unwrap();
        site.reaches(&next, JobStatus::InProgress).await;

        // Whoever is cancelled while it waits leaves the line.
        let cancelled = site.queue(held.held("octo/a"));
        waits(&site, &cancelled).await;
        site.deployment.github.cancel_job(cancelled.id).unwrap();
        let execution = site.ended(&cancelled).await;
        assert_eq!(execution.error.as_deref(), Some("JobCancelled"));

        // A lease whose execution is gone is swept.
        let table = format!("{}-stock", site.observer.prefix);
        let lost = json!({ "M": {
            "a": { "N": "1" }, "r": { "S": "octo/a" }, "o": { "S": "f" },
            "s": { "N": "1" }, "u": { "N": "9999999999" },
        } });
        let input = json!({
            "TableName": table,
            "Key": { "pk": { "S": "slots" }, "sk": { "S": "slots" } },
            "UpdateExpression": "SET #lost = :lost",
            "ExpressionAttributeNames": { "#lost": "h:a-1" },
            "ExpressionAttributeValues": { ":lost": lost },
        });
        aws.dynamodb("UpdateItem", input).await.unwrap();
        sweep(&site).await;
        assert_eq!(item(&site).await["h:a-1"], Value::Null);

        let waiting = site.queue(script("octo/b", "true"));
        waits(&site, &waiting).await;
        let step = progress.step("removing the cap");
        synthesize(&checkout, &step, &plain, &site.recorder.url).unwrap();
        site.deployment
            .update(&checkout, &step, &harness.engine)
            .unwrap();
        step.done("");
        served(&site, &waiting).await;
        assert_eq!(site.job(&next).status, JobStatus::InProgress);
        held.open();
        served(&site, &next).await;
    });
}
