//! Jobs that Spot took away are noted, where their runner opted in.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use decisions::{AgentExit, Loss};
use pool::Reruns;
use protocol::Fault;
use runtime::settings::Settings;
use serde_json::{Value, json};
use support::{World, attempt, execution_of, parameter_of};

async fn with_table() -> World {
    let mut world = World::new().await;
    world.deps.fleet.reruns = Some(Reruns::over(world.aws.pool()));
    world
}

/// A task that ECS took away, with the agent's word.
fn taken(code: &str, exit: AgentExit) -> (&'static str, Value) {
    let task = json!({
        "TaskArn": "arn:aws:ecs:us-east-1:000000000000:task/runners/0123", "StopCode": code,
        "StoppedReason": "Your Spot Task was interrupted.", "StoppedAt": 1_767_225_660_500_u64,
        "Containers": [{ "Name": "runner", "ExitCode": exit.code() }],
    });
    let cause = task.to_string();
    (
        "error",
        json!({ "Error": "States.TaskFailed", "Cause": cause }),
    )
}

/// The notes after an attempt whose runner had the job.
async fn noted(world: &World, opted_in: bool, run_attempt: u32, end: (&str, Value)) -> usize {
    let job = world.job();
    let name = format!("fr-{}", execution_of(&job));
    let (id, mut runner) = world.listening(&name).await;
    runner.take(support::PATIENCE).await.unwrap();
    let mut event = attempt(&job, &parameter_of(&name), Some(id), end);
    event["order"]["job"]["runAttempt"] = run_attempt.into();
    event["match"] = json!({
        "family": "f", "offered": ["linux"], "cpu": null, "memory": null, "architecture": null,
        "rerunAfterInterruption": opted_in,
    });
    world.handle(event).await.unwrap();
    let notes = Reruns::over(world.aws.pool()).all().await.unwrap();
    if let [note] = notes.as_slice() {
        assert_eq!((note.job.id.0, note.run), (job.id, job.run_id));
        assert_eq!(note.job.runner, name);
        assert_eq!(note.job.run_attempt, run_attempt);
    }
    notes.len()
}

#[tokio::test]
async fn a_job_that_spot_took_away_is_noted_twice_at_most() {
    for (run_attempt, notes) in [(1, 1), (2, 1), (3, 0)] {
        let world = with_table().await;
        let end = taken("SpotInterruption", AgentExit::StoppedInJob);
        assert_eq!(noted(&world, true, run_attempt, end).await, notes);
    }
}

#[tokio::test]
async fn a_job_that_another_jobs_runner_took_is_noted_whichever_side_tells_first() {
    for told_late in [false, true] {
        for exit in [AgentExit::StoppedInJob, AgentExit::Stopped] {
            let world = with_table().await;
            // The runner of the first job runs the second, while the first waits.
            let (left, taken_job) = (world.job(), world.job_for(&["self-hosted", "linux"]));
            world.execution(&left, "RUNNING", None);
            let name = format!("fr-{}", execution_of(&left));
            world.server.cancel_job(left.id).unwrap();
            let (id, mut runner) = world.listening(&name).await;
            let took = runner.take(support::PATIENCE).await.unwrap();
            assert_eq!(took.id, taken_job.id);
            let displaced = json!({
                "kind": "displaced", "job": support::order(&taken_job).job, "runner": name,
            });
            let end = taken("SpotInterruption", exit);
            let mut event = attempt(&left, &parameter_of(&name), Some(id), end);
            event["match"] = json!({
                "family": "f", "offered": ["linux"], "cpu": null, "memory": null,
                "architecture": null, "rerunAfterInterruption": true,
            });
            let mut events = [displaced, event];
            if told_late {
                events.reverse();
            }
            for event in events {
                world.handle(event).await.unwrap();
            }
            let notes = Reruns::over(world.aws.pool()).all().await.unwrap();
            let [note] = notes.as_slice() else {
                panic!("{told_late} {exit:?}: {notes:?}")
            };
            assert_eq!((note.job.id.0, &*note.job.runner), (taken_job.id, &*name));
            let silent = note.job.loss != Loss::InJob;
            assert_eq!(silent, exit == AgentExit::Stopped);
        }
    }
}

#[tokio::test]
async fn the_machine_tries_again_while_a_lost_job_cannot_be_noted() {
    let mut world = World::new().await;
    let settings = Settings::from_pairs([
        ("RERUN_TABLE", "away"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        // Nobody listens there.
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
    ]);
    let away = aws::sdk_config(&settings, 1).unwrap();
    world.deps.fleet.reruns = Reruns::from_settings(&settings, &away);
    let job = world.job();
    let name = format!("fr-{}", execution_of(&job));
    let (id, mut runner) = world.listening(&name).await;
    runner.take(support::PATIENCE).await.unwrap();
    let end = taken("SpotInterruption", AgentExit::StoppedInJob);
    let mut event = attempt(&job, &parameter_of(&name), Some(id), end);
    event["match"] = json!({
        "family": "f", "offered": ["linux"], "cpu": null, "memory": null, "architecture": null,
        "rerunAfterInterruption": true,
    });
    let failed = world.handle(event).await.unwrap_err();
    assert_eq!(failed.fault(), Fault::AwsUnavailable);
}

#[tokio::test]
async fn nothing_else_is_noted() {
    for (opted_in, code, exit) in [
        (false, "SpotInterruption", AgentExit::StoppedInJob),
        (true, "UserInitiated", AgentExit::StoppedInJob),
        (true, "EssentialContainerExited", AgentExit::WorkerDied),
        (true, "SpotInterruption", AgentExit::MemoryExhausted),
    ] {
        let world = with_table().await;
        let notes = noted(&world, opted_in, 1, taken(code, exit)).await;
        assert_eq!(notes, 0, "{opted_in} {code} {exit:?}");
    }
}

#[tokio::test]
async fn a_deployment_without_such_a_runner_has_no_table_to_write_to() {
    let world = World::new().await;
    let end = taken("SpotInterruption", AgentExit::StoppedInJob);
    assert_eq!(noted(&world, true, 1, end).await, 0);
    let calls = world.aws.calls();
    assert!(
        !calls.iter().any(|call| call.contains("PutItem")),
        "{calls:?}"
    );
}
