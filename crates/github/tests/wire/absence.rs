//! What the client makes of a 404 for a job.

#![allow(clippy::unnecessary_wraps)] // An answer is an `Option` where a test may leave it out.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::stub::{Reply, Seen, Stub, job, reply};
use decisions::JobStatus;
use github::Error;
use protocol::Fault;
use serde_json::{Value, json};

const REPOSITORY: &str = "GET /repos/octo/hello";
const LOOK_UP: &str = "GET /repos/octo/hello/installation";
const JOB: &str = "GET /repos/octo/hello/actions/jobs/1";
const RUN: &str = "GET /repos/octo/hello/actions/runs/2";
const RUNS: &str = "GET /repos/octo/hello/actions/runs?per_page=1";
const INSTALLATION: &str = "GET /app/installations/77";
const INCLUDED: &str = "GET /installation/repositories";

fn ok(body: Value) -> Option<Reply> {
    Some(reply(200, body))
}

fn queued() -> Option<Reply> {
    ok(json!({ "id": 1, "run_id": 2, "status": "queued", "conclusion": null }))
}

fn installation(permissions: &Value) -> Option<Reply> {
    ok(json!({ "id": 77, "suspended_at": null, "permissions": permissions }))
}

fn includes(names: &[&str]) -> Option<Reply> {
    let shown: Vec<_> = names
        .iter()
        .map(|name| {
            json!({ "full_name": name, "private": true,
                "owner": { "login": "octo", "type": "Organization" } })
        })
        .collect();
    ok(json!({ "total_count": shown.len(), "repositories": shown }))
}

/// GitHub as it should be, except that the job is not found, and what `or` changes.
async fn asked(
    or: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
) -> (Stub, Result<JobStatus, Error>) {
    let stub = Stub::start(move |seen| {
        or(seen).or_else(|| match seen.line.as_str() {
            REPOSITORY => ok(json!({ "full_name": "octo/hello" })),
            RUNS => ok(json!({ "total_count": 0, "workflow_runs": [] })),
            RUN => ok(json!({ "id": 2, "status": "queued" })),
            INSTALLATION => installation(&json!({ "actions": "read", "administration": "write" })),
            line if line.starts_with(INCLUDED) => includes(&["octo/hello"]),
            LOOK_UP => ok(json!({ "id": 77 })),
            _ => None,
        })
    })
    .await;
    let state = stub.installation().job(&job(1)).await;
    (stub, state)
}

fn missing() -> Option<Reply> {
    Some(reply(404, json!({ "message": "Not Found" })))
}

#[tokio::test]
async fn a_job_whose_run_was_deleted_is_absent() {
    let (stub, state) = asked(|seen| (seen.line == RUN).then(missing)?).await;
    assert_eq!(state.unwrap(), JobStatus::Absent);
    assert_eq!((stub.hits(JOB), stub.hits(RUN)), (2, 2));
}

#[tokio::test]
async fn a_job_that_is_missing_from_a_run_that_is_there_is_an_outage() {
    let (_, state) = asked(|_| None).await;
    assert_eq!(state.unwrap_err().fault(), Fault::GitHubUnavailable);
}

#[tokio::test]
async fn a_job_that_is_missing_once_costs_one_look_round() {
    let looks = AtomicUsize::new(0);
    let (_, state) = asked(move |seen| {
        let again = seen.line == JOB && looks.fetch_add(1, Ordering::Relaxed) > 0;
        again.then(queued)?
    })
    .await;
    assert!(state.unwrap().is_queued());
}

#[tokio::test]
async fn when_no_part_of_actions_is_found_it_is_an_outage() {
    let (_, state) = asked(|seen| seen.line.contains("/actions/").then(missing)?).await;
    assert_eq!(state.unwrap_err().fault(), Fault::GitHubUnavailable);
}

#[tokio::test]
async fn a_run_that_answers_with_an_error_says_nothing() {
    for status in [500, 502, 401, 451] {
        let (_, state) = asked(move |seen| (seen.line == RUN).then(|| reply(status, "{}"))).await;
        let error = state.unwrap_err();
        assert_eq!(error.fault(), Fault::GitHubUnavailable, "{status}");
    }
}

#[tokio::test]
async fn a_run_that_comes_back_is_no_deleted_run() {
    let looks = AtomicUsize::new(0);
    let (_, state) = asked(move |seen| {
        let first = seen.line == RUN && looks.fetch_add(1, Ordering::Relaxed) == 0;
        first.then(missing)?
    })
    .await;
    assert_eq!(state.unwrap_err().fault(), Fault::GitHubUnavailable);
}

#[tokio::test]
async fn a_repository_that_the_installation_no_longer_includes_is_named() {
    for status in [403, 404] {
        let (_, state) = asked(move |seen| match seen.line.as_str() {
            line if line.starts_with(INCLUDED) => includes(&["octo/other"]),
            LOOK_UP => missing(),
            REPOSITORY => Some(reply(status, json!({ "message": "Not Found" }))),
            line => line.starts_with("GET /repos/").then(missing)?,
        })
        .await;
        let error = state.unwrap_err();
        assert_eq!(error.fault(), Fault::AppNotInstalled, "{error}");
        assert!(error.to_string().contains("octo/hello"), "{error}");
    }
}

#[tokio::test]
async fn a_repository_that_is_hidden_although_it_is_included_is_an_outage() {
    let (_, state) = asked(|seen| match seen.line.as_str() {
        LOOK_UP => missing(),
        line => line.starts_with("GET /repos/").then(missing)?,
    })
    .await;
    assert_eq!(state.unwrap_err().fault(), Fault::GitHubUnavailable);
}

#[tokio::test]
async fn a_repository_that_is_hidden_while_the_app_is_hidden_too_is_an_outage() {
    let (_, state) = asked(|seen| seen.line.starts_with("GET ").then(missing)?).await;
    assert_eq!(state.unwrap_err().fault(), Fault::GitHubUnavailable);
}

#[tokio::test]
async fn a_missing_permission_does_not_look_like_a_deleted_run() {
    for status in [403, 404] {
        let (_, state) = asked(move |seen| {
            if seen.line == INSTALLATION {
                return installation(&json!({ "administration": "write" }));
            }
            let refused = || reply(status, json!({ "message": "Not Found" }));
            seen.line.contains("/actions/").then(refused)
        })
        .await;
        let error = state.unwrap_err();
        assert_eq!(error.fault(), Fault::GitHubRefused, "{status}: {error}");
        assert!(error.to_string().contains("Actions: read"), "{error}");
    }
}

#[tokio::test]
async fn a_transferred_repository_is_asked_for_where_the_app_serves_it_now() {
    let (stub, state) = asked(|seen| {
        let token = seen.header("authorization");
        match seen.line.as_str() {
            LOOK_UP => ok(json!({ "id": 88 })),
            JOB if token == "Bearer ghs_88" => {
                Some(reply(301, "").header("location", "/repositories/9/actions/jobs/1"))
            }
            "GET /repositories/9/actions/jobs/1" if token == "Bearer ghs_88" => queued(),
            line if line.starts_with(INCLUDED) => includes(&["octo/other"]),
            line => line.starts_with("GET /repos/").then(missing)?,
        }
    })
    .await;
    assert!(state.unwrap().is_queued());
    assert_eq!(stub.hits("GET /repositories/9/actions/jobs/1"), 1);
}

#[tokio::test]
async fn a_rate_limit_in_the_second_look_is_waited_out() {
    let (_, state) =
        asked(|seen| (seen.line == RUN).then(|| reply(429, "").header("retry-after", 17))).await;
    assert_eq!(state.unwrap_err().fault(), Fault::GitHubRateLimited);
}
