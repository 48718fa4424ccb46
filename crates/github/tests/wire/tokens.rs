//! How the client shows who it is, counted at the wire.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::stub::{KEY, ROTATED_KEY, Reply, Stub, reply, token};
use fault::Fault;
use github::{App, AppFuture, AppSource, Error};
use job::{JobId, Repository};
use serde_json::json;

const MINT: &str = "POST /app/installations/77/access_tokens";
const JOB: &str = "GET /repos/octo/hello/actions/jobs/1";

fn repository() -> Repository {
    "octo/hello".parse().unwrap()
}

fn queued() -> Reply {
    reply(
        200,
        json!({ "id": 1, "run_id": 2, "status": "queued", "conclusion": null }),
    )
}

#[tokio::test]
async fn cached_token_reused_across_calls() {
    let stub = Stub::start(|seen| (seen.line == JOB).then(queued)).await;
    let github = stub.github();
    for _ in 0..3 {
        let job = github
            .installation(77)
            .job(&repository(), JobId(1))
            .await
            .unwrap();
        assert!(job.is_queued());
    }
    assert_eq!((stub.hits(MINT), stub.hits(JOB)), (1, 3));
}

#[tokio::test]
async fn expired_token_renewed() {
    let stub =
        Stub::start(|seen| (seen.line == MINT).then(|| token("ghs_old", "2020-01-01T00:00:00Z")))
            .await;
    let installation = stub.installation();
    for _ in 0..2 {
        installation.job(&repository(), JobId(1)).await.unwrap();
    }
    assert_eq!(stub.hits(MINT), 2);
}

#[tokio::test]
async fn concurrent_calls_share_one_token() {
    let stub = Stub::start(|_| None).await;
    let installation = stub.installation();
    let repository = repository();
    let (a, b) = tokio::join!(
        installation.job(&repository, JobId(1)),
        installation.job(&repository, JobId(2)),
    );
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(stub.hits(MINT), 1);
}

#[tokio::test]
async fn each_installation_has_a_token_of_its_own() {
    let stub = Stub::start(|_| None).await;
    let github = stub.github();
    for id in [77, 78, 77] {
        github
            .installation(id)
            .job(&repository(), JobId(1))
            .await
            .unwrap();
    }
    let bearers: Vec<_> = stub
        .seen()
        .iter()
        .filter(|seen| seen.line == JOB)
        .map(|seen| seen.header("authorization").to_owned())
        .collect();
    assert_eq!(bearers, ["Bearer ghs_77", "Bearer ghs_78", "Bearer ghs_77"]);
}

#[tokio::test]
async fn a_revoked_token_is_issued_anew_once() {
    let minted = AtomicUsize::new(0);
    let stub = Stub::start(move |seen| match seen.line.as_str() {
        MINT => {
            let count = minted.fetch_add(1, Ordering::Relaxed);
            Some(token(&format!("ghs_{count}"), "3000-01-01T00:00:00Z"))
        }
        JOB if seen.header("authorization") == "Bearer ghs_0" => {
            Some(reply(401, json!({ "message": "Bad credentials" })))
        }
        JOB => Some(queued()),
        _ => None,
    })
    .await;
    let job = stub
        .installation()
        .job(&repository(), JobId(1))
        .await
        .unwrap();
    assert!(job.is_queued());
    assert_eq!((stub.hits(MINT), stub.hits(JOB)), (2, 2));
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_is_an_outage_that_passes() {
    let stub = Stub::start(|seen| {
        (seen.line == JOB).then(|| reply(401, r#"{"message":"Bad credentials"}"#))
    })
    .await;
    let error = stub
        .installation()
        .job(&repository(), JobId(1))
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::GitHubUnavailable);
    assert_eq!((stub.hits(MINT), stub.hits(JOB)), (2, 2));
}

/// Has the old key at hand, and the rotated one where it is asked for a newer.
struct Rotated;

impl AppSource for Rotated {
    fn app(&self) -> AppFuture<'_, App> {
        Box::pin(async { Ok(App::new("1234", KEY).unwrap()) })
    }

    fn newer(&self, _: App) -> AppFuture<'_, Option<App>> {
        Box::pin(async { Ok(Some(App::new("1234", ROTATED_KEY).unwrap())) })
    }
}

#[tokio::test]
async fn a_rotated_key_costs_no_failure() {
    let first = AtomicUsize::new(0);
    let stub = Stub::start(move |seen| {
        let refused = seen.line == MINT && first.fetch_add(1, Ordering::Relaxed) == 0;
        refused.then(|| {
            reply(
                401,
                r#"{"message":"A JSON web token could not be decoded"}"#,
            )
        })
    })
    .await;
    let installation = stub.github_of(Rotated).installation(77);
    installation.job(&repository(), JobId(1)).await.unwrap();
    let shown: Vec<_> = stub
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").to_owned())
        .collect();
    assert_eq!(shown.len(), 3);
    assert_ne!(shown[0], shown[1]);
}

#[tokio::test]
async fn a_key_that_github_does_not_know_is_named_as_the_reason() {
    for (status, message) in [
        (401, "A JSON web token could not be decoded"),
        (404, "Integration not found"),
    ] {
        let stub = Stub::start(move |seen| {
            (seen.line == MINT).then(|| reply(status, json!({ "message": message })))
        })
        .await;
        let error = stub
            .installation()
            .job(&repository(), JobId(1))
            .await
            .unwrap_err();
        assert_eq!(error.fault(), Fault::AppKeyInvalid);
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(stub.hits("POST"), 1);
    }
}

#[tokio::test]
async fn an_installation_that_is_gone_is_not_installed() {
    let stub = Stub::start(|seen| (seen.line == MINT).then(|| reply(404, "{}"))).await;
    let error = stub
        .installation()
        .job(&repository(), JobId(1))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::AppNotInstalled { .. }), "{error}");
}

#[tokio::test]
async fn every_request_names_the_version_and_shape_it_expects() {
    let stub = Stub::start(|seen| (seen.line == JOB).then(queued)).await;
    stub.installation()
        .job(&repository(), JobId(1))
        .await
        .unwrap();
    for seen in stub.seen() {
        assert_eq!(seen.header("x-github-api-version"), "2022-11-28");
        assert_eq!(seen.header("accept"), "application/vnd.github+json");
        assert!(!seen.header("user-agent").is_empty());
    }
}
