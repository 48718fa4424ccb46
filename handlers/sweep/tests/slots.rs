//! Slots of caps that nobody gave back.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::time::Duration;

use aws_in_memory::Aws;
use decisions::{Caps, Place, Seeker};
use github_standin::{Config as GitHubConfig, Server};
use pool::{Capped, Tried};
use protocol::Order;
use serde_json::json;
use sweep::{Deps, Snapshot, slots};
use time::OffsetDateTime;

fn order(id: u64) -> Order {
    serde_json::from_value(json!({ "job": {
        "id": id, "runId": 1, "runAttempt": 1, "name": "build", "workflow": "CI",
        "repository": "octo/hello", "ownerType": "Organization", "private": true,
        "labels": ["linux"], "installationId": null, "queuedAt": "2026-01-01T00:00:00Z"
    }}))
    .unwrap()
}

#[tokio::test]
async fn closed_executions_lose_their_slots_and_running_ones_hear_the_caps() {
    let server = Server::start(GitHubConfig::default()).await.unwrap();
    let aws = Aws::new();
    let mut deps = support::deps(&aws, &server, &[]);
    let now = OffsetDateTime::now_utc();
    let snapshot = async |deps: &Deps| Snapshot::look(deps, now).await.unwrap();
    // Without caps nobody looks.
    aws.state().calls.clear();
    let seen = snapshot(&deps).await;
    assert_eq!(slots::repair(&deps, &seen).await.unwrap(), 0);
    assert!(!aws.calls().iter().any(|call| call.contains("slots")));

    let caps = Caps {
        deployment: Some(2),
        ..Caps::default()
    };
    let pool = aws.pool();
    deps.fleet.capped = Some(Capped {
        pool: pool.clone(),
        caps: caps.clone(),
        lease: Duration::from_hours(9),
    });
    let at = u64::try_from(now.unix_timestamp()).unwrap();
    for (id, status, age) in [
        (1, "RUNNING", 600),
        (2, "SUCCEEDED", 600),
        // It may have begun since the list was read.
        (3, "ABORTED", 10),
        (4, "ABORTED", 600),
    ] {
        let name = format!("hello-{id}");
        aws.add_execution(&name, &order(id), status, None);
        let seeker = Seeker {
            execution: name.parse().unwrap(),
            attempt: 1,
            at: Place {
                repository: "octo/hello".to_owned(),
                offer: "f".to_owned(),
            },
            queued: at,
            until: at + 10_000,
        };
        if pool.take_slot(&seeker, &caps, at - age).await.unwrap() != Tried::Done {
            let joined = pool.join_line(&seeker, at - age).await.unwrap();
            assert_eq!(joined, Tried::Done);
        }
    }
    let seen = snapshot(&deps).await;
    assert_eq!(slots::repair(&deps, &seen).await.unwrap(), 2);
    let left = pool.slots().await.unwrap();
    let names = |names: Vec<&protocol::ExecutionName>| {
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names(left.leases.keys().collect()), ["hello-1"]);
    assert_eq!(names(left.line.keys().collect()), ["hello-3"]);
    assert_eq!(left.caps, Some(caps));
    // Nothing is written again.
    aws.state().calls.clear();
    assert_eq!(
        slots::repair(&deps, &snapshot(&deps).await).await.unwrap(),
        0
    );
    let calls = aws.calls();
    let writes = calls.iter().filter(|call| call.starts_with("dynamodb:Put"));
    assert_eq!(writes.count(), 0, "{calls:?}");
}
