//! Slots of caps that ended attempts and closed executions give back.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration;

use decisions::{Caps, Place, Seeker};
use pool::{Capped, Tried};
use serde_json::{Value, json};
use support::{World, attempt, execution_of, exited, parameter_of};

const NOW: u64 = 1_767_225_600;

async fn capped(cap: u32) -> World {
    let mut world = World::new().await;
    world.deps.fleet.capped = Some(Capped {
        pool: world.aws.pool(),
        caps: Caps {
            deployment: Some(cap),
            ..Caps::default()
        },
        lease: Duration::from_hours(9),
    });
    world
}

/// Takes a slot, or joins the line if there is none.
async fn seeks(world: &World, execution: &str, attempt: u32) -> bool {
    let capped = world.deps.fleet.capped.as_ref().unwrap();
    let seeker = Seeker {
        execution: execution.parse().unwrap(),
        attempt,
        at: Place {
            repository: "octo/hello".to_owned(),
            offer: "f".to_owned(),
        },
        queued: NOW,
        until: NOW * 2,
    };
    let taken = capped.pool.take_slot(&seeker, &capped.caps, NOW).await;
    let taken = taken.unwrap() == Tried::Done;
    if !taken {
        let joined = capped.pool.join_line(&seeker, NOW).await.unwrap();
        assert_eq!(joined, Tried::Done);
    }
    taken
}

async fn left(world: &World) -> (usize, usize) {
    let slots = world.aws.pool().slots().await.unwrap();
    (slots.leases.len(), slots.line.len())
}

fn of_table(world: &World) -> Vec<String> {
    let calls = world.aws.calls();
    let of_table = calls.into_iter().filter(|call| call.contains("slots"));
    of_table.collect()
}

fn matched(mut event: Value) -> Value {
    event["match"] = json!({
        "family": "f", "offered": ["linux"], "cpu": null, "memory": null, "architecture": null
    });
    event
}

#[tokio::test]
async fn an_ended_attempt_gives_its_slot_back_with_one_call() {
    let world = capped(1).await;
    let job = world.job();
    let execution = execution_of(&job);
    assert!(seeks(&world, &execution, 1).await);
    world.aws.state().calls.clear();
    let parameter = parameter_of(&format!("fr-{execution}"));
    // The job is still queued, and its pause needs no slot.
    let ended = world
        .handle(matched(attempt(&job, &parameter, None, exited(0))))
        .await;
    ended.unwrap_err();
    assert_eq!(of_table(&world), ["dynamodb:UpdateItem slots"]);
    assert_eq!(left(&world).await, (0, 0));
}

#[tokio::test]
async fn an_attempt_that_never_had_a_slot_leaves_the_line_and_the_next_attempts_slot_alone() {
    let world = capped(1).await;
    let (job, other) = (world.job(), world.job());
    assert!(seeks(&world, &execution_of(&other), 2).await);
    assert!(!seeks(&world, &execution_of(&job), 1).await);
    let parameter = parameter_of(&format!("fr-{}", execution_of(&job)));
    let failed = (
        "error",
        json!({ "Error": "GitHubUnavailable", "Cause": "502" }),
    );
    world
        .handle(matched(attempt(&job, &parameter, None, failed)))
        .await
        .unwrap_err();
    assert_eq!(left(&world).await, (1, 0), "it left the line");
    // A repeated cleanup of the other's first attempt.
    let parameter = parameter_of(&format!("fr-{}", execution_of(&other)));
    world
        .handle(matched(attempt(&other, &parameter, None, exited(0))))
        .await
        .unwrap_err();
    assert_eq!(
        left(&world).await,
        (1, 0),
        "its second attempt has the slot"
    );
}

#[tokio::test]
async fn a_closed_execution_gives_back_what_it_has() {
    let world = capped(1).await;
    let (first, second) = (world.job(), world.job());
    for job in [&first, &second] {
        let execution = world.execution(job, "ABORTED", None);
        seeks(&world, &execution, 1).await;
    }
    assert_eq!(left(&world).await, (1, 1));
    for (job, expected) in [(&first, (0, 1)), (&second, (0, 0))] {
        let event = json!({
            "detail-type": "Step Functions Execution Status Change",
            "detail": { "name": execution_of(job), "status": "ABORTED" }
        });
        world.handle(event).await.unwrap();
        assert_eq!(left(&world).await, expected);
    }
}
