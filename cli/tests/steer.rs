//! `jobs`, `cancel` and `redeliver` over AWS in memory and GitHub's stand-in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use aws_in_memory::Aws;
use cli::find::Found;
use cli::jobs::{self, Phase};
use cli::{Error, Exit, JobRef, pause, steer};
use github::{Access, JitRequest, Scope};
use github_standin::{Job, SimulatedRunner};
use serde_json::json;
use time::OffsetDateTime;

use support::World;

async fn cancel(world: &World, job: &Job, force: bool) -> Result<steer::Cancelled, Error> {
    let asked: JobRef = format!("hello-{}", job.id).parse().unwrap();
    let cloud = world.cloud(100);
    let now = OffsetDateTime::now_utc();
    let found = Box::pin(Found::look(&cloud, &world.deployment, &asked, now)).await;
    let github = world.github();
    Box::pin(steer::cancel(
        &cloud,
        &world.deployment,
        &github,
        &found,
        &asked,
        force,
    ))
    .await
}

async fn redeliver(world: &World, asked: &str) -> Result<steer::Redelivered, Error> {
    let asked: JobRef = asked.parse().unwrap();
    let cloud = world.cloud(100);
    let now = OffsetDateTime::now_utc();
    let found = Box::pin(Found::look(&cloud, &world.deployment, &asked, now)).await;
    let github = world.github();
    Box::pin(steer::redeliver(&github, &found, &asked, None)).await
}

/// An execution whose runner is registered and listens, and its task.
async fn listening(world: &World, job: &Job) -> (String, String, SimulatedRunner) {
    let name = world.execution(job, "", "RUNNING", None);
    let runner = format!("fr-{name}");
    let scope = Scope::Repository("octo/hello".parse().unwrap());
    let repository = "octo/hello".parse().unwrap();
    let github = world.github();
    let access = Access::runners(&scope);
    let installation = github.serving(&repository, None, &access).await.unwrap();
    let request = JitRequest {
        name: runner.clone(),
        runner_group_id: 1,
        labels: vec!["self-hosted".to_owned(), "linux".to_owned()],
        work_folder: "_work".to_owned(),
    };
    let registered = installation.jit_config(&scope, &request).await.unwrap();
    world.aws.enter(&name, "Runner", Aws::planned(&runner, ""));
    let task = world
        .aws
        .add_task(&runner, "octo/hello", OffsetDateTime::now_utc());
    let connected = world.server.connect(registered.config.expose()).unwrap();
    (name, task, connected)
}

fn status(world: &World, execution: &str) -> String {
    world.aws.state().executions[execution].status.clone()
}

#[tokio::test]
async fn an_execution_that_waits_is_stopped_without_asking_github() {
    let world = World::new().await;
    let job = world.job(&["self-hosted"]);
    let name = world.execution(&job, "", "RUNNING", None);
    world.aws.enter(&name, "Wait", json!({}));
    world.server.clear_requests();
    let cancelled = cancel(&world, &job, false).await.unwrap();
    assert_eq!(status(&world, &name), "ABORTED");
    assert!(
        cancelled
            .run
            .ends_with(&format!("/octo/hello/actions/runs/{}", job.run_id))
    );
    assert!(world.server.requests().is_empty());
}

#[tokio::test]
async fn an_idle_runner_is_deleted_before_its_task_and_its_execution_are_stopped() {
    let world = World::new().await;
    // No runner gets it, so that its own idles.
    world
        .server
        .change_settings(|settings| settings.assigning = false);
    let job = world.job(&["self-hosted", "linux"]);
    let (name, task, _connected) = listening(&world, &job).await;
    cancel(&world, &job, false).await.unwrap();
    assert!(world.server.runners().is_empty());
    assert_eq!(status(&world, &name), "ABORTED");
    let calls = world.aws.calls();
    let at = |call: &str| {
        calls
            .iter()
            .position(|made| made.starts_with(call))
            .unwrap()
    };
    assert!(
        at(&format!("ecs:StopTask {task}")) < at("states:StopExecution"),
        "{calls:#?}"
    );
}

#[tokio::test]
async fn a_runner_with_a_job_is_left_alone_unless_forced() {
    let world = World::new().await;
    let job = world.job(&["self-hosted", "linux"]);
    let (name, _task, _connected) = listening(&world, &job).await;
    let busy = world
        .server
        .wait_for(std::time::Duration::from_secs(20), |seen| {
            seen.runners.iter().any(|runner| runner.busy)
        })
        .await;
    busy.expect("the runner gets the job");
    let refused = cancel(&world, &job, false).await.unwrap_err();
    assert_eq!(refused.exit(), Exit::Failed);
    assert!(refused.to_string().contains("has a job"), "{refused}");
    assert_eq!(status(&world, &name), "RUNNING");
    cancel(&world, &job, true).await.unwrap();
    assert_eq!(status(&world, &name), "ABORTED");
}

#[tokio::test]
async fn what_has_ended_or_never_was_is_not_cancelled() {
    let world = World::new().await;
    let job = world.job(&["self-hosted"]);
    let unknown = cancel(&world, &job, false).await.unwrap_err();
    assert_eq!(unknown.exit(), Exit::NoJob, "{unknown}");
    world.execution(&job, "", "SUCCEEDED", None);
    let ended = cancel(&world, &job, false).await.unwrap_err();
    assert!(ended.to_string().contains("has ended already"), "{ended}");
}

#[tokio::test]
async fn the_running_executions_are_listed_with_where_they_are() {
    let world = World::new().await;
    let waiting = world.job(&["self-hosted"]);
    let name = world.execution(&waiting, "", "RUNNING", None);
    world.aws.enter(&name, "Wait", json!({}));
    let up = world.job(&["self-hosted"]);
    let name = world.execution(&up, "", "RUNNING", None);
    let runner = format!("fr-{name}");
    world.aws.enter(&name, "Runner", Aws::planned(&runner, ""));
    world
        .aws
        .add_task(&runner, "octo/hello", OffsetDateTime::now_utc());
    let over = world.job(&["self-hosted"]);
    world.execution(&over, "", "SUCCEEDED", None);
    let now = OffsetDateTime::now_utc();
    let cloud = world.cloud(100);
    let seen = jobs::look(&cloud, &world.deployment, 50, now)
        .await
        .unwrap();
    let phases: Vec<_> = seen.jobs.iter().map(|row| row.phase).collect();
    assert_eq!(phases, [Phase::Up, Phase::Waiting], "{seen:#?}");
    let seen = jobs::look(&cloud, &world.deployment, 1, now).await.unwrap();
    assert_eq!((seen.jobs.len(), seen.left_out), (1, 1));
}

#[tokio::test]
async fn a_delivery_that_failed_is_delivered_again() {
    let world = World::new().await;
    let job = world.undelivered_job().await;
    let failed = world.server.deliveries().last().unwrap().clone();
    let address = format!(
        "https://github.com/octo/hello/actions/runs/1/job/{}",
        job.id
    );
    let redelivered = redeliver(&world, &address).await.unwrap();
    assert_eq!(redelivered.delivery, failed.id);
    world.deliveries_are_sent().await;
    assert!(world.server.deliveries().iter().any(|one| one.redelivery));
}

#[tokio::test]
async fn without_github_nothing_is_stopped_or_delivered() {
    let world = World::new().await;
    let job = world.job(&["self-hosted", "linux"]);
    let (name, _task, _connected) = listening(&world, &job).await;
    world.server.stop().await;
    let refused = cancel(&world, &job, false).await.unwrap_err();
    assert_eq!(refused.exit(), Exit::Failed);
    assert!(refused.to_string().contains("--force"), "{refused}");
    assert_eq!(status(&world, &name), "RUNNING");
    let calls = world.aws.calls();
    let stops = calls.iter().filter(|call| call.contains("Stop"));
    assert_eq!(stops.count(), 0, "{calls:#?}");
    let refused = redeliver(&world, &job.id.to_string()).await.unwrap_err();
    assert_eq!(refused.exit(), Exit::Failed);
    assert!(refused.to_string().contains("try again"), "{refused}");
}

#[tokio::test]
async fn a_job_of_another_owner_is_left_alone() {
    let world = World::new().await;
    let address = "https://github.com/stranger/hello/actions/runs/1/job/987654";
    let unknown = redeliver(&world, address).await.unwrap_err();
    assert_eq!(unknown.exit(), Exit::NoJob, "{unknown}");
    assert!(
        unknown.to_string().contains("fargate-runners why"),
        "{unknown}"
    );
    assert!(!world.server.deliveries().iter().any(|one| one.redelivery));
}

#[tokio::test]
async fn half_written_secrets_are_named_and_nothing_is_stopped_or_delivered() {
    let world = World::new().await;
    let job = world.job(&["self-hosted", "linux"]);
    let (name, _task, _connected) = listening(&world, &job).await;
    let app_id = "/fargate-runners/github/app-id".to_owned();
    let entry = (OffsetDateTime::now_utc(), world.server.app_id().to_string());
    world.aws.state().parameters.insert(app_id, entry);
    let world = World {
        secrets: None,
        ..world
    };
    for refused in [
        cancel(&world, &job, false).await.unwrap_err(),
        redeliver(&world, &job.id.to_string()).await.unwrap_err(),
    ] {
        assert_eq!(refused.exit(), Exit::Failed);
        let said = refused.to_string();
        assert!(
            said.contains("/fargate-runners/github/private-key"),
            "{said}"
        );
        assert!(said.contains("fargate-runners setup"), "{said}");
    }
    assert_eq!(status(&world, &name), "RUNNING");
}

#[tokio::test]
async fn drain_ends_when_the_functions_know_of_the_pause_or_what_runs_has_had_its_time() {
    let world = World::new().await;
    let job = world.job(&["self-hosted"]);
    tokio::time::pause();
    let executions = &world.cloud.executions;
    let drained = async |limit| {
        let begun = tokio::time::Instant::now();
        let left = pause::drained(executions, limit, |_| {}).await.unwrap();
        (left, begun.elapsed())
    };
    // The functions know of it after half a minute, however short the limit is.
    for limit in [Duration::ZERO, Duration::MAX] {
        let (left, took) = drained(limit).await;
        assert!(left == 0 && took >= Duration::from_secs(30), "{took:?}");
    }
    world.execution(&job, "", "RUNNING", None);
    let (left, took) = drained(Duration::from_mins(1)).await;
    assert!(left == 1 && took <= Duration::from_mins(1), "{took:?}");
}
