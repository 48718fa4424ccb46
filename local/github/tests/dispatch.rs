//! Which runner gets which job.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use github_standin::{
    Assignment, JobStatus, NewJob, OwnerType, RunnerGroup, Server, SimulatedRunner,
};
use support::{ORGANIZATION, PATIENCE, REPOSITORY, get, job, new_job, register, server, token};

async fn connected(server: &Server, name: &str, labels: &[&str]) -> SimulatedRunner {
    let (_, config) = register(server, ORGANIZATION, name, labels).await;
    server.connect(&config).unwrap()
}

fn holder(server: &Server, job: u64) -> Option<String> {
    let leased_to = server.job(job).unwrap().leased_to?;
    let runners = server.runners();
    let runner = runners.iter().find(|runner| runner.id == leased_to)?;
    Some(runner.name.clone())
}

#[tokio::test]
async fn a_job_goes_to_a_runner_whose_labels_contain_its_own() {
    let server = server().await;
    let _narrow = connected(&server, "narrow", &["self-hosted", "linux"]).await;
    let _wide = connected(&server, "wide", &["self-hosted", "linux", "gpu"]).await;
    let gpu = job(&server, "octo/hello", &["Self-Hosted", "GPU"]);
    assert_eq!(holder(&server, gpu.id).as_deref(), Some("wide"));
    let again = job(&server, "octo/hello", &["self-hosted", "GPU"]);
    assert_eq!(holder(&server, again.id), None, "the only one is busy");
    let arm = job(&server, "octo/hello", &["self-hosted", "arm64"]);
    assert_eq!(holder(&server, arm.id), None);
}

#[tokio::test]
async fn a_queued_job_goes_to_the_first_runner_that_connects() {
    let server = server().await;
    let (_, config) = register(&server, ORGANIZATION, "late", &["x"]).await;
    let first = job(&server, "octo/hello", &["x"]);
    let second = job(&server, "octo/hello", &["x"]);
    assert_eq!(
        holder(&server, first.id),
        None,
        "a runner that is not connected gets nothing"
    );
    let mut late = server.connect(&config).unwrap();
    assert_eq!(
        late.take(PATIENCE).await.unwrap().id,
        first.id,
        "the oldest job comes first"
    );
    assert_eq!(server.job(second.id).unwrap().status, JobStatus::Queued);
}

#[tokio::test]
async fn a_runner_takes_a_job_it_was_not_started_for() {
    let server = server().await;
    server.change_settings(|settings| settings.assignment = Assignment::Oldest);
    let mut of_first = connected(&server, "of-first", &["x"]).await;
    let second = job(&server, "octo/other", &["x"]);
    assert_eq!(of_first.take(PATIENCE).await.unwrap().id, second.id);
    let begun = server.job(second.id).unwrap();
    assert_eq!(begun.runner.as_deref(), Some("of-first"));
    assert_eq!(begun.runner_group.as_deref(), Some("Default"));
}

#[tokio::test]
async fn choices_are_repeated_by_their_seed() {
    let mut seen = BTreeSet::new();
    for seed in [7, 7, 8, 9, 10, 11] {
        let server = server().await;
        server.change_settings(|settings| settings.assignment = Assignment::Random { seed });
        let mut runners = Vec::new();
        for name in ["a", "b", "c", "d"] {
            runners.push(connected(&server, name, &["x"]).await);
        }
        let holders: Vec<_> = (0..4)
            .map(|_| holder(&server, job(&server, "octo/hello", &["x"]).id).unwrap())
            .collect();
        seen.insert(holders);
    }
    assert!((2..=5).contains(&seen.len()), "{seen:?}");
}

#[tokio::test]
async fn the_newest_or_a_named_runner_can_be_preferred() {
    let server = server().await;
    server.change_settings(|settings| settings.assignment = Assignment::Newest);
    let mut runners = Vec::new();
    for name in ["a", "b", "c"] {
        runners.push(connected(&server, name, &["x"]).await);
    }
    assert_eq!(
        holder(&server, job(&server, "octo/hello", &["x"]).id).unwrap(),
        "c"
    );
    let arranged = NewJob {
        runner: Some("a".to_owned()),
        ..new_job("octo/hello", &["x"])
    };
    let arranged = server.create_job(arranged).unwrap();
    assert_eq!(holder(&server, arranged.id).unwrap(), "a");
}

#[tokio::test]
async fn a_runner_serves_only_what_its_scope_and_group_allow() {
    let server = server().await;
    let (_, config) = register(&server, REPOSITORY, "of-hello", &["x"]).await;
    let _of_hello = server.connect(&config).unwrap();
    assert_eq!(holder(&server, job(&server, "octo/other", &["x"]).id), None);
    assert_eq!(holder(&server, job(&server, "mona/own", &["x"]).id), None);
    assert!(holder(&server, job(&server, "octo/hello", &["x"]).id).is_some());

    let group = RunnerGroup {
        name: "private".to_owned(),
        repositories: None,
        allows_public: false,
    };
    let group = server.add_runner_group("octo", group).unwrap();
    let octo = token(&server, "octo").await;
    let body = serde_json::json!({ "name": "g", "runner_group_id": group, "labels": ["y"] });
    let path = format!("{ORGANIZATION}/generate-jitconfig");
    let reply = support::call(&server, &octo, "POST", &path, Some(&body)).await;
    let _in_group = server
        .connect(reply.body["encoded_jit_config"].as_str().unwrap())
        .unwrap();
    server
        .add_repository("octo/open", OwnerType::Organization, false)
        .unwrap();
    assert_eq!(holder(&server, job(&server, "octo/open", &["y"]).id), None);
    assert!(holder(&server, job(&server, "octo/other", &["y"]).id).is_some());
}

#[tokio::test]
async fn a_waiting_job_gets_no_runner_until_it_is_approved() {
    let server = server().await;
    let mut one = connected(&server, "one", &["x"]).await;
    let waiting = NewJob {
        status: JobStatus::Waiting,
        ..new_job("octo/hello", &["x"])
    };
    let waiting = server.create_job(waiting).unwrap();
    assert_eq!(holder(&server, waiting.id), None);
    server.approve_job(waiting.id).unwrap();
    assert_eq!(one.take(PATIENCE).await.unwrap().id, waiting.id);
    assert!(server.approve_job(waiting.id).is_err());
    assert!(server.hold_job(waiting.id).is_err(), "it runs");
}

#[tokio::test]
async fn a_job_that_no_runner_has_begun_is_cancelled_at_once() {
    let server = server().await;
    let queued = job(&server, "octo/hello", &["x"]);
    let cancelled = server.cancel_job(queued.id).unwrap();
    assert_eq!(cancelled.status, JobStatus::Completed);
    assert_eq!(cancelled.conclusion.as_deref(), Some("cancelled"));
    assert_eq!(cancelled.runner, None);
    assert!(server.cancel_job(queued.id).is_err());

    let mut one = connected(&server, "one", &["x"]).await;
    let leased = job(&server, "octo/hello", &["x"]);
    server.cancel_job(leased.id).unwrap();
    let next = job(&server, "octo/hello", &["x"]);
    assert_eq!(
        one.take(PATIENCE).await.unwrap().id,
        next.id,
        "its runner is idle again"
    );
}

#[tokio::test]
async fn a_begun_job_fails_when_its_runner_is_lost_for_longer_than_the_grace() {
    let server = server().await;
    server.change_settings(|settings| {
        settings.session_timeout_ms = 1;
        settings.lease_grace_ms = 1;
    });
    let mut one = connected(&server, "one", &["x"]).await;
    let job = job(&server, "octo/hello", &["x"]);
    one.take(PATIENCE).await.unwrap();
    drop(one);
    let state = server
        .wait_for(PATIENCE, |state| {
            state.job(job.id).unwrap().status == JobStatus::Completed
        })
        .await
        .unwrap();
    let job = state.job(job.id).unwrap();
    assert_eq!(job.conclusion.as_deref(), Some("failure"));
    assert!(job.output.contains("lost communication"));
    assert!(state.leftovers.is_empty(), "{:?}", state.leftovers);
}

#[tokio::test]
async fn a_job_stays_leased_to_a_dead_runner_until_the_grace_is_over() {
    let server = server().await;
    server.change_settings(|settings| settings.session_timeout_ms = 1);
    let one = connected(&server, "one", &["x"]).await;
    let job = job(&server, "octo/hello", &["x"]);
    drop(one);
    let state = server
        .wait_for(PATIENCE, |state| !state.runners[0].online)
        .await
        .unwrap();
    let octo = token(&server, "octo").await;
    let path = format!("/repos/octo/hello/actions/jobs/{}", job.id);
    assert_eq!(get(&server, &octo, &path).await.body["status"], "queued");
    let path = format!("{ORGANIZATION}/{}", state.runners[0].id);
    assert_eq!(
        support::call(&server, &octo, "DELETE", &path, None)
            .await
            .status,
        422
    );
    let mut two = connected(&server, "two", &["x"]).await;
    assert_eq!(
        server.job(job.id).unwrap().leased_to,
        Some(state.runners[0].id)
    );

    server.change_settings(|settings| settings.lease_grace_ms = 1);
    assert_eq!(
        two.take(PATIENCE).await.unwrap().id,
        job.id,
        "then it goes to another"
    );
    assert_eq!(
        support::call(&server, &octo, "DELETE", &path, None)
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn nothing_is_assigned_while_github_is_slow() {
    let server = server().await;
    server.change_settings(|settings| settings.assigning = false);
    let mut one = connected(&server, "one", &["x"]).await;
    let job = job(&server, "octo/hello", &["x"]);
    assert_eq!(holder(&server, job.id), None);
    server.change_settings(|settings| settings.assigning = true);
    assert!(one.take(PATIENCE).await.is_some());
}

#[tokio::test]
async fn github_runs_jobs_for_its_own_runners_itself() {
    let server = server().await;
    let _one = connected(&server, "one", &["ubuntu-latest"]).await;
    let hosted = server
        .job(job(&server, "octo/hello", &["ubuntu-latest"]).id)
        .unwrap();
    assert_eq!(hosted.conclusion.as_deref(), Some("success"));
    assert!(hosted.runner.unwrap().starts_with("GitHub Actions"));
}

#[tokio::test]
async fn jobs_and_runs_are_shown_as_they_are() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    let first = job(&server, "octo/hello", &["x"]);
    let second = NewJob {
        run_id: Some(first.run_id),
        ..new_job("octo/hello", &["y"])
    };
    let second = server.create_job(second).unwrap();
    let path = format!("/repos/octo/hello/actions/jobs/{}", first.id);
    let shown = get(&server, &octo, &path).await.body;
    assert_eq!(
        (&shown["status"], &shown["runner_id"]),
        (&"queued".into(), &0.into())
    );

    let runs = "/repos/octo/hello/actions/runs?status=queued";
    assert_eq!(get(&server, &octo, runs).await.body["total_count"], 1);
    let of_run = format!("/repos/octo/hello/actions/runs/{}/jobs", first.run_id);
    assert_eq!(get(&server, &octo, &of_run).await.body["total_count"], 2);

    server.cancel_job(first.id).unwrap();
    server.cancel_job(second.id).unwrap();
    assert_eq!(get(&server, &octo, runs).await.body["total_count"], 0);
    let again = server.rerun_job(first.id).unwrap();
    assert_eq!((again.run_id, again.run_attempt), (first.run_id, 2));
    assert_ne!(again.id, first.id);
    assert_eq!(get(&server, &octo, &of_run).await.body["total_count"], 1);
    let elsewhere = format!("/repos/octo/other/actions/jobs/{}", first.id);
    assert_eq!(get(&server, &octo, &elsewhere).await.status, 404);
}
