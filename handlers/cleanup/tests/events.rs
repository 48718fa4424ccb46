//! What EventBridge and `verify` ask of `cleanup`.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{PATIENCE, World, execution_of, order, parameter_of};

fn stopped(runner: &str, parameter: &str, code: i32) -> Value {
    json!({ "detail-type": "ECS Task State Change", "detail": {
        "lastStatus": "STOPPED", "stopCode": "EssentialContainerExited",
        "containers": [{ "name": "runner", "exitCode": code }],
        "overrides": { "containerOverrides": [{ "name": "runner", "environment": [
            { "name": "AGENT_RUNNER", "value": runner }, { "name": "AGENT_PARAMETER", "value": parameter },
        ]}]}
    }})
}

fn closed(execution: &str, status: &str) -> Value {
    json!({ "detail-type": "Step Functions Execution Status Change", "detail": { "name": execution, "status": status } })
}

#[tokio::test]
async fn a_late_stop_of_one_attempt_leaves_the_next_ones_registration() {
    let world = World::new().await;
    let job = world.job();
    let execution = world.execution(&job, "ABORTED", None);
    let (first, second) = (
        parameter_of(&format!("fr-{execution}")),
        parameter_of(&format!("fr-{execution}-a2")),
    );
    world.parameters(&[&first, &second]);
    let output = world
        .handle(stopped(&format!("fr-{execution}"), &first.to_string(), 25))
        .await
        .unwrap();
    assert_eq!(output["result"], "removed");
    let left: Vec<_> = world.aws.state().parameters.keys().cloned().collect();
    assert_eq!(left, [second.to_string()]);
}

#[tokio::test]
async fn a_stop_is_left_to_the_execution_while_that_lives() {
    let world = World::new().await;
    let job = world.job();
    let execution = world.execution(&job, "RUNNING", None);
    let path = parameter_of(&format!("fr-{execution}"));
    world.parameters(&[&path]);
    let output = world
        .handle(stopped(&format!("fr-{execution}"), &path.to_string(), 25))
        .await
        .unwrap();
    assert_eq!(output["result"], "executionCleansUp");
    assert_eq!(world.aws.state().parameters.len(), 1);
}

#[tokio::test]
async fn tasks_of_others_are_not_ours() {
    let world = World::new().await;
    for runner in ["somebody", "xx-hello-1"] {
        assert_eq!(
            world.handle(stopped(runner, "/x", 1)).await.unwrap()["result"],
            "notOurs"
        );
    }
    assert_eq!(world.github_calls(), 0);
}

#[tokio::test]
async fn an_aborted_execution_is_cleaned_up_after_and_not_begun_again() {
    let world = World::new().await;
    let job = world.job();
    let execution = world.execution(&job, "ABORTED", None);
    let name = format!("fr-{execution}");
    let path = parameter_of(&name);
    world.server.cancel_job(job.id).unwrap();
    let (_, _runner) = world.listening(&name).await;
    world.runs(&execution, &path);
    world.parameters(&[&path]);

    let output = world.handle(closed(&execution, "ABORTED")).await.unwrap();

    assert_eq!(output["result"], "removed");
    assert!(world.server.runners().is_empty());
    let state = world.aws.state();
    assert!(state.parameters.is_empty() && state.tasks.is_empty());
    assert_eq!(state.executions.len(), 1);
}

#[tokio::test]
async fn an_execution_that_failed_for_a_passing_reason_is_begun_again_while_its_job_is_queued() {
    let world = World::new().await;
    let job = world.job();
    let execution = world.execution(&job, "FAILED", Some("AwsUnavailable"));
    let output = world.handle(closed(&execution, "FAILED")).await.unwrap();
    assert_eq!(output["execution"], format!("{execution}-r2"));
    let input = world.aws.state().executions[&format!("{execution}-r2")]
        .input
        .clone();
    assert_eq!(
        serde_json::from_str::<Value>(&input).unwrap()["recheck"],
        true
    );

    world.server.cancel_job(job.id).unwrap();
    assert_eq!(
        world.handle(closed(&execution, "FAILED")).await.unwrap()["result"],
        "removed"
    );
}

#[tokio::test]
async fn an_execution_that_failed_for_good_is_not_begun_again() {
    let world = World::new().await;
    let job = world.job();
    let execution = world.execution(&job, "FAILED", Some("ImageRefused"));
    assert_eq!(
        world.handle(closed(&execution, "FAILED")).await.unwrap()["result"],
        "removed"
    );
}

#[tokio::test]
async fn a_cancelled_job_that_waits_has_its_wait_ended() {
    let world = World::new().await;
    let job = world.job();
    let execution = world.execution(&job, "RUNNING", None);
    world.aws.enter(&execution, "Wait", json!({}));
    let event = json!({ "kind": "cancelled", "job": order(&job).job });
    assert_eq!(
        world.handle(event).await.unwrap()["executions"][0]["result"],
        "stopped"
    );
    assert_eq!(
        world.aws.state().executions[&execution].error.as_deref(),
        Some("JobCancelled")
    );
}

#[tokio::test]
async fn a_state_that_a_newer_state_machine_has_hides_the_known_one_before_it() {
    let world = World::new().await;
    let job = world.job();
    let execution = execution_of(&job);
    world
        .aws
        .add_execution(&execution, &order(&job), "RUNNING", None);
    world.aws.enter(&execution, "Wait", json!({}));
    let state = async || {
        let name = execution.parse().unwrap();
        world.deps.fleet.position(&name).await.unwrap().state
    };
    assert_eq!(state().await, Some(protocol::State::Wait));
    world.aws.enter(&execution, "Approve", json!({}));
    assert_eq!(state().await, None);
}

#[tokio::test]
async fn a_cancelled_jobs_runner_is_deleted_first_and_its_task_stopped_then() {
    let world = World::new().await;
    let job = world.job();
    let execution = world.execution(&job, "FAILED", None);
    let name = format!("fr-{execution}-r2");
    world.server.cancel_job(job.id).unwrap();
    let (_, _runner) = world.listening(&name).await;
    world
        .aws
        .add_execution(&format!("{execution}-r2"), &order(&job), "RUNNING", None);
    let task = world.runs(&format!("{execution}-r2"), &parameter_of(&name));

    let event = json!({ "kind": "cancelled", "job": order(&job).job });
    let output = world.handle(event).await.unwrap();

    assert_eq!(
        output["executions"],
        json!([{ "execution": format!("{execution}-r2"), "result": "retired" }])
    );
    assert!(world.aws.calls().contains(&format!("ecs:StopTask {task}")));
    assert!(world.server.runners().is_empty());
    // The machine sees the task end and finishes by itself.
    assert_eq!(
        world.aws.state().executions[&format!("{execution}-r2")].status,
        "RUNNING"
    );
}

#[tokio::test]
async fn a_cancelled_jobs_runner_that_took_another_job_is_left_alone() {
    let world = World::new().await;
    let job = world.job();
    let execution = execution_of(&job);
    let name = format!("fr-{execution}");
    world.server.cancel_job(job.id).unwrap();
    let _other = world.job();
    let (_, mut runner) = world.listening(&name).await;
    runner.take(PATIENCE).await.unwrap();
    world.execution(&job, "RUNNING", None);
    world.runs(&execution, &parameter_of(&name));

    let event = json!({ "kind": "cancelled", "job": order(&job).job });
    assert_eq!(
        world.handle(event).await.unwrap()["executions"][0]["result"],
        "busy"
    );
    assert!(!world.stopped_a_task());
}

#[tokio::test]
async fn a_displaced_job_gets_one_check_however_often_it_is_asked_for() {
    let world = World::new().await;
    let left = world.job();
    let taken = world.job();
    world.execution(&left, "RUNNING", None);
    let runner = format!("fr-{}", execution_of(&left));
    let event = json!({ "kind": "displaced", "job": order(&taken).job, "runner": runner });
    for _ in 0..2 {
        let output = world.handle(event.clone()).await.unwrap();
        assert_eq!(output["execution"], format!("{}-r2", execution_of(&left)));
    }
    assert_eq!(world.aws.state().executions.len(), 2);
}

#[tokio::test]
async fn a_job_out_of_the_runners_reach_displaces_nobody() {
    let world = World::new().await;
    let left = world.job();
    world
        .aws
        .add_execution(&execution_of(&left), &order(&left), "RUNNING", None);
    let runner = format!("fr-{}", execution_of(&left));
    let mut taken = order(&world.job()).job;
    let before = world.github_calls();
    for repository in ["stranger/hello", "octo/other"] {
        taken.repository = repository.parse().unwrap();
        let event = json!({ "kind": "displaced", "job": taken, "runner": runner });
        let output = world.handle(event).await.unwrap();
        assert_eq!(output["result"], "outOfReach", "{repository}");
    }
    assert_eq!(world.github_calls(), before);
    assert_eq!(world.aws.state().executions.len(), 1);
}

#[tokio::test]
async fn a_displaced_job_that_is_served_gets_no_check() {
    let world = World::new().await;
    let left = world.job();
    let taken = world.job();
    world.server.cancel_job(left.id).unwrap();
    world.execution(&left, "RUNNING", None);
    let runner = format!("fr-{}", execution_of(&left));
    let event = json!({ "kind": "displaced", "job": order(&taken).job, "runner": runner });
    assert_eq!(world.handle(event).await.unwrap()["result"], "notDue");
}

#[tokio::test]
async fn a_new_stay_in_the_queue_has_a_day_of_its_own_though_an_execution_is_at_work() {
    let world = World::new().await;
    let job = world.job();
    let execution = execution_of(&job);
    let mut old = order(&job);
    let queued_at = old.job.queued_at;
    old.job.queued_at -= time::Duration::hours(10);
    world.aws.add_execution(&execution, &old, "RUNNING", None);
    world.aws.enter(&execution, "Wait", json!({}));
    let told = json!({ "kind": "requeued", "job": order(&job).job });
    world.handle(told.clone()).await.unwrap();
    let follower = world.aws.state().executions[&format!("{execution}-r2")].clone();
    let begun: protocol::Order = serde_json::from_str(&follower.input).unwrap();
    assert!(begun.recheck && begun.job.queued_at >= queued_at);

    // The same event come again finds an execution that counts this stay.
    world
        .aws
        .enter(&format!("{execution}-r2"), "Wait", json!({}));
    let answer = world.handle(told).await.unwrap();
    assert_eq!(answer["result"], "asksLater");
}
