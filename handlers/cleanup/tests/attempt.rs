//! The end of an attempt, as the state machine asks for it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use cleanup::Error;
use github_standin::{Fault, FaultKind};
use serde_json::json;
use support::{PATIENCE, World, attempt, execution_of, exited, order, parameter_of};

#[tokio::test]
async fn a_job_that_ran_ends_well_with_one_github_call_and_no_aws_call() {
    let world = World::new().await;
    let job = world.job();
    let name = format!("fr-{}", execution_of(&job));
    let (id, mut runner) = world.listening(&name).await;
    runner.take(PATIENCE).await.unwrap();
    runner.finish("failure");
    world.server.clear_requests();

    let output = world
        .handle(attempt(&job, &parameter_of(&name), Some(id), exited(0)))
        .await
        .unwrap();

    assert_eq!(output["outcome"], "RanJob");
    assert_eq!(output["job"], "completed: failure");
    assert_eq!(output["servedBy"], name);
    assert_eq!(
        output["log"],
        json!({ "group": "/ecs/runners", "stream": "runner/runner/0123" })
    );
    assert_eq!(world.github_calls(), 1);
    assert_eq!(world.aws.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_job_that_is_still_queued_is_launched_for_again_after_the_grace() {
    let world = World::new().await;
    let job = world.job();
    let parameter = parameter_of(&format!("fr-{}", execution_of(&job)));
    let error = world
        .handle(attempt(&job, &parameter, None, exited(0)))
        .await
        .unwrap_err();
    let Error::StillQueued(again) = error else {
        panic!("{error}")
    };
    assert!(again.wait_seconds >= 90);
    // That GitHub gave its runner another job is no fault.
    assert_eq!((again.attempt.number, again.attempt.faults), (2, 0));
}

#[tokio::test]
async fn what_a_failed_start_left_is_removed_before_the_next_attempt() {
    let world = World::new().await;
    let job = world.job();
    let name = format!("fr-{}", execution_of(&job));
    // Registered for other labels' sake only: it must not take the job before the test looks.
    world.server.cancel_job(job.id).unwrap();
    let (id, _runner) = world.listening(&name).await;
    let parameter = parameter_of(&name);
    world
        .aws
        .add_parameter(&parameter.to_string(), time::OffsetDateTime::now_utc());

    let failed = json!({ "Error": "ECS.AmazonECSException", "Cause": "Capacity is unavailable at this time." });
    let output = world
        .handle(attempt(&job, &parameter, Some(id), ("error", failed)))
        .await
        .unwrap();

    assert_eq!(output["outcome"], "NoCapacity");
    assert!(world.aws.state().parameters.is_empty());
    assert!(world.server.runners().is_empty());
}

#[tokio::test]
async fn a_lasting_fault_gives_up_at_once_and_asks_nobody() {
    let world = World::new().await;
    let job = world.job();
    let cause =
        json!({ "errorType": "AppNotInstalled", "errorMessage": "install the App on octo/hello" })
            .to_string();
    let failed = json!({ "Error": "AppNotInstalled", "Cause": cause });
    let parameter = parameter_of(&format!("fr-{}", execution_of(&job)));
    let error = world
        .handle(attempt(&job, &parameter, None, ("error", failed)))
        .await
        .unwrap_err();
    let Error::GaveUp(reason) = error else {
        panic!("{error}")
    };
    assert_eq!(reason.error.name(), "AppNotInstalled");
    assert!(
        reason.cause.contains("install the App on octo/hello"),
        "{}",
        reason.cause
    );
    assert_eq!(world.github_calls(), 0);
}

#[tokio::test]
async fn a_rate_limit_is_told_to_the_machine_in_bare_seconds() {
    let world = World::new().await;
    let job = world.job();
    world.server.fault(
        Fault::new(FaultKind::SecondaryLimit { retry_after: 61 })
            .on("GET", "actions/jobs")
            .times(1),
    );
    let parameter = parameter_of(&format!("fr-{}", execution_of(&job)));
    let error = world
        .handle(attempt(&job, &parameter, None, exited(0)))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::GitHubRateLimited(_)));
    assert_eq!(error.to_string(), "61");
}

#[tokio::test]
async fn a_runner_that_github_calls_busy_is_left_alone() {
    let world = World::new().await;
    let job = world.job();
    let name = format!("fr-{}", execution_of(&job));
    let (id, mut runner) = world.listening(&name).await;
    runner.take(PATIENCE).await.unwrap();
    // The task is gone for ECS while GitHub still sees the runner at work.
    let output = world
        .handle(attempt(&job, &parameter_of(&name), Some(id), exited(137)))
        .await
        .unwrap();
    assert_eq!(output["job"], "in progress");
    assert_eq!(world.server.runners().len(), 1);
    assert!(!world.stopped_a_task());
}

#[tokio::test]
async fn a_job_run_by_anothers_runner_has_that_ones_job_checked() {
    let world = World::new().await;
    // A label that the runner below lacks: GitHub cannot give it this job.
    let left = world.job_for(&["self-hosted", "gpu"]);
    let other = format!("fr-{}", execution_of(&left));
    world.execution(&left, "RUNNING", None);
    let (_, mut runner) = world.listening(&other).await;
    let taken = world.job();
    runner.take(PATIENCE).await.unwrap();
    let parameter = parameter_of(&format!("fr-{}", execution_of(&taken)));
    world
        .handle(attempt(&taken, &parameter, None, exited(21)))
        .await
        .unwrap();
    assert!(
        world
            .aws
            .state()
            .executions
            .contains_key(&format!("{}-r2", execution_of(&left)))
    );
}

#[tokio::test]
async fn a_job_that_a_later_execution_serves_is_handed_over() {
    let world = World::new().await;
    let job = world.job();
    world.aws.add_execution(
        &format!("{}-r2", execution_of(&job)),
        &order(&job),
        "RUNNING",
        None,
    );
    let parameter = parameter_of(&format!("fr-{}", execution_of(&job)));
    assert!(
        world
            .handle(attempt(&job, &parameter, None, exited(0)))
            .await
            .is_ok()
    );
}

/// A job that runners waited for in vain for its whole day in the queue.
async fn given_up(world: &World) -> Box<decisions::GivenUp> {
    let job = world.job();
    let parameter = parameter_of(&format!("fr-{}", execution_of(&job)));
    let mut event = attempt(&job, &parameter, None, exited(20));
    let day_ago = time::OffsetDateTime::now_utc() - time::Duration::hours(25);
    event["order"]["job"]["queuedAt"] = json!(
        day_ago
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap()
    );
    event["attempt"] = json!({
        "number": 61, "faults": 0, "refusals": 0, "unpicked": 60, "capacityStep": 0,
        "subnetStep": 0, "recheck": true
    });
    match world.handle(event).await.unwrap_err() {
        Error::GaveUp(reason) => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_runner_group_is_blamed_only_where_other_jobs_of_the_scope_were_picked_up() {
    let world = World::new().await;
    let other = world.job();
    world
        .aws
        .add_execution("hello-1", &order(&other), "SUCCEEDED", None);
    let hour_ago = time::OffsetDateTime::now_utc() - time::Duration::hours(1);
    for (outcome, blamed) in [("NotNeeded", false), ("RanJob", true)] {
        world.aws.close("hello-1", hour_ago, outcome);
        let reason = given_up(&world).await;
        assert_eq!(reason.error, decisions::GiveUp::NeverPickedUp);
        let blames = reason.cause.contains("most likely the runner group");
        assert_eq!(blames, blamed, "{outcome}: {}", reason.cause);
    }
}

#[tokio::test]
async fn a_runner_that_nobody_gave_a_job_costs_no_fault_and_three_of_them_tell_what_to_look_at() {
    let world = World::new().await;
    let job = world.job();
    let parameter = parameter_of(&format!("fr-{}", execution_of(&job)));
    let mut event = attempt(&job, &parameter, None, exited(20));
    for unpicked in 1..=7 {
        let Error::StillQueued(again) = world.handle(event.clone()).await.unwrap_err() else {
            panic!("it is bounded by time")
        };
        assert_eq!(
            (again.attempt.faults, again.attempt.unpicked),
            (0, unpicked)
        );
        assert_eq!(again.detail.contains("githubstatus.com"), unpicked >= 3);
        event["attempt"] = serde_json::to_value(&again.attempt).unwrap();
    }
}

/// A job that ran on its own runner, and a deployment with a table.
async fn ran_with_a_table() -> (World, github_standin::Job, String, u64) {
    let mut world = World::new().await;
    world.deps.fleet.pool = Some(world.aws.pool());
    let job = world.job();
    let name = format!("fr-{}", execution_of(&job));
    let (id, mut runner) = world.listening(&name).await;
    runner.take(PATIENCE).await.unwrap();
    runner.finish("success");
    world.server.clear_requests();
    (world, job, name, id)
}

async fn note(world: &World, job: &github_standin::Job, runner: &str) {
    let note = pool::JobNote {
        runner: runner.parse().unwrap(),
        started_at: None,
        conclusion: Some("success".to_owned()),
        completed_at: None,
    };
    let order = order(job);
    let now = time::OffsetDateTime::now_utc();
    let (pool, job) = (world.aws.pool(), order.job);
    let noted = pool.note_completed(&job.repository, job.id, &note, now);
    noted.await.unwrap();
}

#[tokio::test]
async fn a_noted_job_that_its_own_runner_ran_ends_well_without_a_github_call() {
    let (world, job, name, id) = ran_with_a_table().await;
    note(&world, &job, &name).await;
    let event = attempt(&job, &parameter_of(&name), Some(id), exited(0));
    let output = world.handle(event).await.unwrap();
    assert_eq!(output["outcome"], "RanJob");
    assert_eq!(output["job"], "completed: success");
    assert_eq!(output["servedBy"], name);
    assert_eq!(world.github_calls(), 0);
    let requests = world.server.request_counts();
    assert!(requests.is_empty(), "no token either: {requests:?}");
}

#[tokio::test]
async fn github_is_asked_without_a_note_and_about_a_note_that_proves_nothing() {
    // No note: the webhooks were lost, or are late.
    let (world, job, name, id) = ran_with_a_table().await;
    let event = attempt(&job, &parameter_of(&name), Some(id), exited(0));
    world.handle(event).await.unwrap();
    assert_eq!(world.github_calls(), 1);
    // Another of the job's runners: this one ran another job.
    let (world, job, name, id) = ran_with_a_table().await;
    note(&world, &job, &format!("{name}-a2")).await;
    let event = attempt(&job, &parameter_of(&name), Some(id), exited(0));
    world.handle(event).await.unwrap();
    assert_eq!(world.github_calls(), 1);
}

#[tokio::test]
async fn a_job_that_is_back_in_the_queue_is_launched_for_again_whatever_the_note_says() {
    let mut world = World::new().await;
    world.deps.fleet.pool = Some(world.aws.pool());
    let job = world.job();
    let name = format!("fr-{}", execution_of(&job));
    note(&world, &job, &name).await;
    // The runner was lost during the job, and GitHub queued it again.
    let lost = exited(i32::from(decisions::AgentExit::StoppedInJob.code()));
    let event = attempt(&job, &parameter_of(&name), None, lost);
    let error = world.handle(event).await.unwrap_err();
    assert!(matches!(error, Error::StillQueued(_)), "{error}");
}

#[tokio::test]
async fn github_is_asked_when_the_table_cannot_be_read() {
    use aws_sdk_dynamodb::error::ErrorMetadata;
    use aws_sdk_dynamodb::operation::get_item::GetItemError;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    for code in ["ResourceNotFoundException", "ThrottlingException"] {
        let (mut world, job, name, id) = ran_with_a_table().await;
        let rule = mock!(aws_sdk_dynamodb::Client::get_item)
            .then_error(move || GetItemError::generic(ErrorMetadata::builder().code(code).build()));
        let client = mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule], |config| {
            config.retry_config(aws::RetryConfig::disabled())
        });
        world.deps.fleet.pool = Some(pool::Pool::over(client, "fargate-runners-stock"));
        let event = attempt(&job, &parameter_of(&name), Some(id), exited(0));
        let output = world.handle(event).await.unwrap();
        assert_eq!(output["job"], "completed: success", "{code}");
        assert_eq!((world.github_calls(), rule.num_calls()), (1, 1), "{code}");
    }
}
