//! Successful runs, whatever the jobs' scripts do.

use std::collections::BTreeMap;

use github_standin::{IssuedToken, Job, JobStatus, NewJob, Snapshot};
use local_stack::Visit;
use protocol::State;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Harness, LIMIT, Site, assert_succeeded, labels, run, script};

#[test]
fn a_job_takes_five_states_two_calls_at_github_and_these_at_aws() {
    run(async |harness| {
        let site = &harness.repository;
        // Fills the caches: the tokens for a repository are cached for an hour.
        let (warm, _) = site.run(script("octo/hello", "true")).await;
        site.nothing_left_of(&warm).await;
        assert!(site.deployment.github.wait_for_deliveries(LIMIT).await);
        site.deployment.github.clear_requests();
        let before = latest_call(harness).await;

        let (job, execution) = site.run(script("octo/hello", "echo hello")).await;
        assert_eq!(job.conclusion.as_deref(), Some("success"));
        assert_eq!(job.output.trim(), "hello");
        for said in [
            "| Waited in the queue |",
            "| Runner started in |",
            "| Ran for |",
        ] {
            assert!(job.summary.contains(said), "{}", job.summary);
        }
        assert_succeeded(&execution);
        let states: Vec<_> = execution
            .visits
            .iter()
            .map(|visit| visit.state.as_str())
            .collect();
        let expected = [
            State::Match,
            State::Launch,
            State::Token,
            State::Runner,
            State::Cleanup,
        ];
        assert_eq!(states, expected.map(State::as_str));
        let counts = site.deployment.github.request_counts();
        let calls: Vec<_> = counts
            .iter()
            .map(|(route, count)| format!("{count} {route}"))
            .collect();
        assert_eq!(
            calls,
            [
                "1 GET /repos/{owner}/{repo}/actions/jobs/{job_id}",
                "1 POST /repos/{owner}/{repo}/actions/runners/generate-jitconfig",
            ]
        );
        site.nothing_left_of(&job).await;
        assert!(site.deployment.github.wait_for_deliveries(LIMIT).await);
        let task = execution.visits.iter().find_map(Visit::task).unwrap();
        assert_eq!(
            aws_calls(harness, site, before, &task).await,
            [
                "1 agent ssm:DeleteParameter",
                "1 agent ssm:GetParameter",
                "1 state machine ecs:RunTask",
                "4 state machine lambda:Invoke",
                "1 token ssm:PutParameter",
                "1 verify states:StartExecution",
            ]
        );
    });
}

/// A token that leaks opens one repository to one permission, or an organization's runners: the
/// stand-in refuses what a token does not carry, so what was issued here was enough, too.
#[test]
fn every_token_opens_one_place_to_one_permission() {
    run(async |harness| {
        for (site, repository, own) in [
            (&harness.repository, "octo/narrow", 2),
            (harness.organization().await, "octo/narrow", 1),
        ] {
            let github = &site.deployment.github;
            let mut issued = Vec::new();
            for _ in 0..2 {
                let (job, execution) = site.run(script(repository, "true")).await;
                assert_succeeded(&execution);
                site.nothing_left_of(&job).await;
                issued.push(at(&github.issued_tokens(), repository).len());
            }
            // `token` and `cleanup` read and write in the repository, each with a token of its own; an
            // organization's runners need none there. The second job finds them in the cache.
            assert_eq!(issued, [own, own], "{:?}", github.issued_tokens());
            for token in github.issued_tokens() {
                let beside = token.permissions.keys().filter(|name| *name != "metadata");
                let beside: Vec<_> = beside.map(String::as_str).collect();
                match (&token.repositories, beside.as_slice()) {
                    (Some(only), ["actions" | "administration" | "checks"]) => {
                        assert_eq!(only.len(), 1, "{token:?}");
                    }
                    (None, [] | ["organization_self_hosted_runners"]) => {}
                    _ => panic!("a token opens too much: {token:?}"),
                }
            }
        }
    });
}

/// Those tokens that open a repository.
fn at(issued: &[IssuedToken], repository: &str) -> Vec<IssuedToken> {
    let opens = |token: &&IssuedToken| {
        let only = token.repositories.as_ref();
        only.is_some_and(|only| only.contains(repository))
    };
    issued.iter().filter(opens).cloned().collect()
}

/// The AWS calls since one of them, by caller: a deployment's functions and state machine, and one
/// task.
pub(crate) async fn aws_calls(
    harness: &Harness,
    site: &Site,
    since: u64,
    task: &str,
) -> Vec<String> {
    let prefix = &site.observer.prefix;
    let path = format!("/calls?since={since}");
    let answer = harness.control(Method::GET, &path, json!({})).await;
    let mut counts = BTreeMap::<String, u32>::new();
    for call in answer["calls"].as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, name) = (text(&call["caller"]["kind"]), text(&call["caller"]["name"]));
        let caller = if kind == "task" && task.ends_with(&name) {
            "agent"
        } else if let Some(function) = name.strip_prefix(&format!("{prefix}-")) {
            function
        } else if name.starts_with(prefix.as_str()) {
            "state machine"
        } else {
            continue;
        };
        let made = format!(
            "{caller} {}:{}",
            text(&call["service"]),
            text(&call["operation"])
        );
        *counts.entry(made).or_default() += 1;
    }
    counts
        .iter()
        .map(|(made, count)| format!("{count} {made}"))
        .collect()
}

/// Number of the latest AWS call.
pub(crate) async fn latest_call(harness: &Harness) -> u64 {
    let answer = harness.control(Method::GET, "/calls", json!({})).await;
    let numbers = answer["calls"].as_array().unwrap().iter();
    numbers
        .filter_map(|call| call["number"].as_u64())
        .max()
        .unwrap_or(0)
}

#[test]
fn an_executions_output_names_the_runner_the_task_and_its_log() {
    run(async |harness| {
        let site = &harness.repository;
        let (job, execution) = site.run(script("octo/output", "true")).await;
        let output = execution.output.unwrap();
        let runner = output["runner"].as_str().unwrap();
        assert_eq!(runner, site.runner_name(&job));
        assert_eq!(output["servedBy"], runner);
        assert_eq!(output["outcome"], "RanJob");
        let task = site.observer.task(output["task"].as_str().unwrap());
        let id = task.arn.rsplit('/').next().unwrap();
        assert!(
            output["log"]["stream"].as_str().unwrap().ends_with(id),
            "{output}"
        );
        let log = std::fs::read_to_string(&task.log).unwrap();
        assert!(log.contains("Running job"), "{log}");
    });
}

#[test]
fn a_failing_script_is_a_failure_at_github_and_a_success_for_the_orchestrator() {
    run(async |harness| {
        let site = &harness.repository;
        let (job, execution) = site
            .run(script("octo/failing", "echo so long; exit 7"))
            .await;
        assert_eq!(job.conclusion.as_deref(), Some("failure"));
        assert!(job.output.starts_with("so long\n"), "{}", job.output);
        assert_succeeded(&execution);
        assert_eq!(execution.states_entered(), 5);
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn of_twenty_jobs_at_once_twenty_succeed_and_nothing_is_left() {
    run(async |harness| {
        let site = &harness.repository;
        let jobs: Vec<_> = (1..=20)
            .map(|number| site.queue(script("octo/many", &format!("echo {number}"))))
            .collect();
        site.deployment
            .github
            .wait_for(LIMIT, |seen| jobs.iter().all(|job| is_completed(seen, job)))
            .await
            .expect("all jobs are done");
        for (job, number) in jobs.iter().zip(1..) {
            let job = site.job(job);
            assert_eq!(job.conclusion.as_deref(), Some("success"));
            assert_eq!(job.output.trim(), number.to_string());
            assert_eq!(job.started, 1, "job {number} was begun more than once");
        }
        site.retire_surplus().await;
        let mut started = 0;
        for job in &jobs {
            let execution = site.ended(job).await;
            assert_succeeded(&execution);
            let tasks = execution
                .visits
                .iter()
                .filter(|visit| visit.task().is_some());
            started += tasks.count();
        }
        println!(
            "20 jobs at once: {started} runners started, {} too many",
            started - 20
        );
        assert_eq!(
            site.observer.settled(LIMIT).await.unwrap(),
            Vec::<String>::new()
        );
        let mut left = site.deployment.github.leftovers();
        // Jobs that other tests queue without a runner stay queued.
        left.retain(|line| line.contains("octo/many") || !line.starts_with("job "));
        assert_eq!(left, Vec::<String>::new());
    });
}

fn is_completed(seen: &Snapshot, job: &Job) -> bool {
    seen.job(job.id)
        .is_some_and(|job| job.status == JobStatus::Completed)
}

#[test]
fn a_job_of_a_person_gets_its_runner_at_the_repository_also_at_organization_scope() {
    run(async |harness| {
        let site = harness.organization().await;
        let (job, execution) = site
            .run(NewJob {
                owner_type: github_standin::OwnerType::User,
                labels: labels(),
                ..script("ada/notes", "true")
            })
            .await;
        assert_eq!(
            job.conclusion.as_deref(),
            Some("success"),
            "{:?}",
            execution.cause
        );
        let calls = site.recorder.exchanges();
        let path = "/repos/ada/notes/actions/runners/generate-jitconfig";
        assert!(
            calls
                .iter()
                .any(|call| call.path == path && call.status == 201)
        );
    });
}
