//! `shell` over AWS in memory: what is in the way, and the command that opens the session.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use aws_in_memory::Aws;
use aws_sdk_ecs::operation::describe_tasks::DescribeTasksOutput;
use aws_sdk_ecs::types::Task;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use cli::find::Found;
use cli::shell::{self, Session};
use cli::{Error, Exit, JobRef, Place};
use github_standin::Job;
use serde_json::json;
use support::World;
use time::OffsetDateTime;

/// A running task, in which a shell may be opened or not.
fn ecs(shell: bool) -> aws_sdk_ecs::Client {
    let describe = mock!(aws_sdk_ecs::Client::describe_tasks).then_compute_output(move |request| {
        let tasks = request.tasks().iter().map(|arn| {
            Task::builder()
                .task_arn(arn)
                .last_status("RUNNING")
                .enable_execute_command(shell)
                .build()
        });
        DescribeTasksOutput::builder()
            .set_tasks(Some(tasks.collect()))
            .build()
    });
    mock_client!(aws_sdk_ecs, RuleMode::MatchAny, [&describe])
}

async fn open(world: &World, job: &Job, shell: bool) -> Result<Session, Error> {
    let asked: JobRef = format!("hello-{}", job.id).parse().unwrap();
    let mut cloud = world.cloud(100);
    cloud.ecs = ecs(shell);
    let now = OffsetDateTime::now_utc();
    let found = Box::pin(Found::look(&cloud, &world.deployment, &asked, now)).await;
    let place = Place {
        region: Some("eu-west-1".to_owned()),
        profile: None,
    };
    Box::pin(shell::open(
        &cloud,
        &world.deployment,
        &found,
        &asked,
        "/bin/sh",
        &place,
    ))
    .await
}

#[tokio::test]
async fn the_session_is_in_the_container_of_the_jobs_task() {
    let world = World::new().await;
    let job = world.job(&["self-hosted", "linux"]);
    let name = world.execution(&job, "", "RUNNING", None);
    let runner = format!("fr-{name}");
    world.aws.enter(&name, "Runner", Aws::planned(&runner, ""));
    let task = world
        .aws
        .add_task(&runner, "octo/hello", OffsetDateTime::now_utc());
    let session = open(&world, &job, true).await.unwrap();
    assert_eq!(
        session.line(),
        format!(
            "aws ecs execute-command --cluster runners --task {task} --container runner --interactive --command /bin/sh --region eu-west-1"
        )
    );
    let refused = open(&world, &job, false).await.unwrap_err();
    assert_eq!(refused.exit(), Exit::Failed);
    assert!(refused.to_string().contains("`shell: true`"), "{refused}");
}

#[tokio::test]
async fn a_job_that_does_not_run_is_told_so() {
    let world = World::new().await;
    let job = world.job(&["self-hosted", "linux"]);
    let refused = open(&world, &job, true).await.unwrap_err();
    assert_eq!(refused.exit(), Exit::NoJob, "{refused}");
    let name = world.execution(&job, "", "RUNNING", None);
    world.aws.enter(&name, "Wait", json!({}));
    let refused = open(&world, &job, true).await.unwrap_err().to_string();
    assert!(refused.contains("has no task"), "{refused}");
    world.execution(&job, "", "FAILED", Some("Unmatched"));
    let refused = open(&world, &job, true).await.unwrap_err().to_string();
    assert!(refused.contains("has ended"), "{refused}");
}
