//! What a commit shows of an execution that gave its job up.
#![allow(clippy::unwrap_used)]

mod support;

use github_standin::{Access, CheckRun, Fault, FaultKind, Job};
use serde_json::{Value, json};
use support::{PATIENCE, World, attempt, execution_of, exited, order, parameter_of};

const CAUSE: &str = "no task definition offers gpu; the nearest is ubuntu-x64, which lacks it";

/// A world that writes check runs, with a queued job whose execution ended as `Unmatched`.
async fn given_up() -> (World, Job) {
    let mut world = World::new().await;
    world.deps.config.check_runs = true;
    let job = world.job();
    world
        .server
        .set_permission("octo", "checks", Some(Access::Write));
    let execution = world.execution(&job, "FAILED", Some("Unmatched"));
    world.aws.set_cause(&execution, CAUSE);
    (world, job)
}

async fn close(world: &World, job: &Job, status: &str) -> Value {
    let event = json!({
        "detail-type": "Step Functions Execution Status Change",
        "detail": { "name": execution_of(job), "status": status },
    });
    world.handle(event).await.unwrap()
}

fn only(world: &World) -> CheckRun {
    let mut all = world.server.check_runs();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[tokio::test]
async fn a_job_that_was_given_up_shows_cause_advice_and_link_on_its_commit() {
    let (world, job) = given_up().await;
    close(&world, &job, "FAILED").await;
    let run = only(&world);
    assert_eq!(run.conclusion.as_deref(), Some("neutral"));
    assert_eq!(run.head_sha, format!("{:040x}", job.run_id));
    assert_eq!(run.title, "No runner: Unmatched");
    assert_eq!(run.external_id, format!("fr-{}", execution_of(&job)));
    assert!(run.summary.contains(CAUSE), "{}", run.summary);
    assert!(run.summary.contains("re-run it"), "{}", run.summary);
    assert!(run.details_url.ends_with(&execution_of(&job)));
}

#[tokio::test]
async fn a_repeated_event_updates_the_check_run() {
    let (world, job) = given_up().await;
    close(&world, &job, "FAILED").await;
    world.aws.set_cause(&execution_of(&job), "another cause");
    close(&world, &job, "FAILED").await;
    assert!(only(&world).summary.contains("another cause"));
}

#[tokio::test]
async fn without_the_permission_github_is_asked_nothing() {
    for access in [None, Some(Access::Read)] {
        let (world, job) = given_up().await;
        world.server.set_permission("octo", "checks", access);
        close(&world, &job, "FAILED").await;
        assert_eq!(world.github_calls(), 0, "{access:?}");
    }
}

#[tokio::test]
async fn a_deployment_that_did_not_ask_for_check_runs_makes_no_call() {
    let (mut world, job) = given_up().await;
    world.deps.config.check_runs = false;
    close(&world, &job, "FAILED").await;
    assert!(world.server.requests().is_empty());
}

#[tokio::test]
async fn a_job_that_left_the_queue_is_not_told_about() {
    let (world, job) = given_up().await;
    world.server.cancel_job(job.id).unwrap();
    close(&world, &job, "FAILED").await;
    assert!(world.server.check_runs().is_empty());
}

#[tokio::test]
async fn a_job_that_a_later_execution_works_for_is_not_told_about() {
    let (world, job) = given_up().await;
    let later = format!("{}-r2", execution_of(&job));
    world
        .aws
        .add_execution(&later, &order(&job), "RUNNING", None);
    close(&world, &job, "FAILED").await;
    assert_eq!(world.github_calls(), 0);
}

#[tokio::test]
async fn an_execution_that_is_restarted_is_not_told_about() {
    let (world, job) = given_up().await;
    world.execution(&job, "FAILED", Some("AwsUnavailable"));
    assert_eq!(close(&world, &job, "FAILED").await["result"], "restarted");
    assert!(world.server.check_runs().is_empty());
}

#[tokio::test]
async fn an_abort_is_not_told_about() {
    let (world, job) = given_up().await;
    world.execution(&job, "ABORTED", None);
    close(&world, &job, "ABORTED").await;
    assert!(world.server.check_runs().is_empty());
}

#[tokio::test]
async fn a_check_run_that_cannot_be_written_fails_nothing() {
    let (world, job) = given_up().await;
    for status in [403, 422, 500] {
        let refused = FaultKind::Status {
            status,
            message: None,
            retry_after: None,
        };
        world
            .server
            .fault(Fault::new(refused).on("POST", "check-runs").times(1));
        assert_eq!(close(&world, &job, "FAILED").await["result"], "removed");
    }
    assert!(world.server.check_runs().is_empty());
}

#[tokio::test]
async fn a_job_that_a_later_execution_served_is_told_about_on_the_same_check_run() {
    let (world, job) = given_up().await;
    close(&world, &job, "FAILED").await;
    let name = format!("fr-{}-r2", execution_of(&job));
    let (id, mut runner) = world.listening(&name).await;
    runner.take(PATIENCE).await.unwrap();
    let mut event = attempt(&job, &parameter_of(&name), Some(id), exited(0));
    event["execution"] = json!(format!("{}-r2", execution_of(&job)));
    event["registration"] = Value::Null;
    world.handle(event).await.unwrap();
    let run = only(&world);
    assert_eq!(run.title, "A runner took the job");
    assert_eq!(run.conclusion.as_deref(), Some("neutral"));
}

#[tokio::test]
async fn a_first_execution_that_serves_its_job_looks_for_no_check_run() {
    let mut world = World::new().await;
    world.deps.config.check_runs = true;
    let job = world.job();
    let name = format!("fr-{}", execution_of(&job));
    let (_, mut runner) = world.listening(&name).await;
    runner.take(PATIENCE).await.unwrap();
    world.server.clear_requests();
    let mut event = attempt(&job, &parameter_of(&name), None, exited(0));
    event["registration"] = Value::Null;
    world.handle(event).await.unwrap();
    assert_eq!(world.github_calls(), 1);
}
