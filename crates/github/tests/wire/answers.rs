//! Answers that are none, and what they mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::stub::{KEY, Reply, Stub, job as the_job, reply};
use decisions::JobStatus;
use github::{Access, ApiUrl, App, Error, GitHub, JitRequest, Patience, Scope};
use protocol::{Fault, Repository};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const JOB: &str = "GET /repos/octo/hello/actions/jobs/1";

fn repository() -> Repository {
    "octo/hello".parse().unwrap()
}

fn jobs() -> Access {
    Access::jobs(&repository())
}

async fn job(stub: &Stub) -> Result<JobStatus, Error> {
    stub.installation().job(&the_job(1)).await
}

async fn register(stub: &Stub) -> Error {
    let request = JitRequest {
        name: "fr-hello-1".to_owned(),
        runner_group_id: 1,
        labels: Vec::new(),
        work_folder: "_work".to_owned(),
    };
    let scope = Scope::Repository(repository());
    stub.installation()
        .jit_config(&scope, &request)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_run_tells_whose_code_it_is() {
    for (head, expected) in [
        (
            json!({ "full_name": "stranger/hello" }),
            Some("stranger/hello"),
        ),
        (json!(null), None),
    ] {
        let run = json!({ "id": 2, "event": "pull_request", "head_repository": head });
        let stub = Stub::start(move |seen| {
            let asked = seen.line == "GET /repos/octo/hello/actions/runs/2";
            asked.then(|| reply(200, &run))
        })
        .await;
        let source = stub.installation().run_source(&the_job(1)).await.unwrap();
        assert_eq!(source.event, "pull_request");
        let found = source.head.map(|head| head.full_name);
        assert_eq!(found.as_deref(), expected);
    }
}

#[tokio::test]
async fn a_registration_without_an_answer_is_asked_for_again_in_place() {
    for status in [500, 502, 503, 504] {
        let stub =
            Stub::start(move |seen| seen.line.contains("jitconfig").then(|| reply(status, "")))
                .await;
        let error = register(&stub).await;
        assert_eq!(error.fault(), Fault::GitHubUnavailable);
        assert_eq!(stub.hits("POST /repos"), 3, "{status}");
    }
}

#[tokio::test]
async fn what_github_refuses_for_its_rate_is_not_repeated() {
    let stub = Stub::start(|seen| seen.line.contains("jitconfig").then(|| reply(429, ""))).await;
    assert_eq!(register(&stub).await.fault(), Fault::GitHubRateLimited);
    assert_eq!(stub.hits("POST /repos"), 1);
}

#[tokio::test]
async fn a_redelivery_is_asked_for_once_only() {
    let stub = Stub::start(|seen| seen.line.contains("/attempts").then(|| reply(502, ""))).await;
    let error = stub.github().redeliver(5).await.unwrap_err();
    assert_eq!(error.fault(), Fault::GitHubUnavailable);
    assert_eq!(stub.hits("POST"), 1);
}

#[tokio::test]
async fn a_call_whose_connection_is_cut_is_repeated_on_a_new_one() {
    // Cuts what it accepts until it has done so twice, then answers, and counts connections.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: ApiUrl = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if count.fetch_add(1, Ordering::Relaxed) < 2 {
                continue;
            }
            let mut request = vec![0; 8_192];
            let _ = stream.read(&mut request).await;
            let body = r#"{"html_url":"x","token":"ghs_1","expires_at":"3000-01-01T00:00:00Z"}"#;
            let answer = format!(
                "HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let app = App::new("1234", KEY).unwrap();
    let github = GitHub::with_patience(url, app, Patience::NONE).unwrap();
    let serving = github.serving(&repository(), Some(77), &jobs()).await;
    assert_eq!(serving.unwrap().id(), 77);
    assert_eq!(accepted.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_kept_connection_that_died_costs_no_call() {
    // Answers one request on each connection and closes it without a word when the next one comes:
    // what a sandbox finds when it is thawed.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: ApiUrl = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = vec![0; 8_192];
                let _ = stream.read(&mut request).await;
                let token = request.starts_with(b"POST");
                let body = if token {
                    r#"{"token":"ghs_1","expires_at":"3000-01-01T00:00:00Z"}"#
                } else {
                    r#"{"id":1,"run_id":2,"status":"queued","conclusion":null}"#
                };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                let _ = stream.read(&mut request).await;
            });
        }
    });
    let app = App::new("1234", KEY).unwrap();
    let github = GitHub::with_patience(url, app, Patience::NONE).unwrap();
    for _ in 0..5 {
        let state = github.installation(77).job(&the_job(1)).await.unwrap();
        assert!(state.is_queued());
    }
}

#[tokio::test]
async fn an_error_of_githubs_own_passes() {
    let stub =
        Stub::start(|seen| (seen.line == JOB).then(|| reply(502, "<html>oops</html>"))).await;
    let error = job(&stub).await.unwrap_err();
    assert_eq!(error.fault(), Fault::GitHubUnavailable);
    assert!(error.to_string().contains("502"), "{error}");
}

#[tokio::test]
async fn nobody_listening_passes() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: ApiUrl = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let app = App::new("1234", KEY).unwrap();
    let github = GitHub::with_patience(url, app, Patience::NONE).unwrap();
    let error = github.installation(77).job(&the_job(1)).await.unwrap_err();
    assert_eq!(error.fault(), Fault::GitHubUnavailable);
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up() {
    let stub = Stub::start(|seen| seen.line.contains("jitconfig").then(Reply::never)).await;
    let error = register(&stub).await;
    assert_eq!(error.fault(), Fault::GitHubUnavailable);
    // Another try fits into what a handler has, a third does not.
    assert_eq!(stub.hits("POST /repos"), 2);
}

#[tokio::test]
async fn an_answer_of_another_shape_passes_and_is_not_quoted() {
    let stub = Stub::start(|seen| {
        seen.line
            .contains("jitconfig")
            .then(|| reply(201, r#"{"encoded_jit_config":"hunter2"}"#))
    })
    .await;
    let error = register(&stub).await;
    assert_eq!(error.fault(), Fault::GitHubUnavailable);
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_spent_rate_limit_says_for_how_long() {
    let stub = Stub::start(|seen| {
        (seen.line == JOB).then(|| {
            reply(
                403,
                r#"{"message":"API rate limit exceeded for installation ID 77."}"#,
            )
            .header("x-ratelimit-remaining", 0)
            .header("x-ratelimit-reset", 4_000_000_000_u64)
        })
    })
    .await;
    let error = job(&stub).await.unwrap_err();
    assert_eq!(error.fault(), Fault::GitHubRateLimited);
    // A reset in the next century is held for a mistake.
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
}

#[tokio::test]
async fn a_secondary_limit_says_for_how_long() {
    let stub =
        Stub::start(|seen| (seen.line == JOB).then(|| reply(429, "").header("retry-after", 17)))
            .await;
    let error = job(&stub).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(17)));
}

#[tokio::test]
async fn what_is_left_of_the_limit_is_known_from_the_last_answer() {
    let stub = Stub::start(|seen| {
        (seen.line == JOB).then(|| {
            reply(
                200,
                json!({ "id": 1, "run_id": 2, "status": "waiting", "conclusion": null }),
            )
            .header("x-ratelimit-remaining", 4_321)
        })
    })
    .await;
    let github = stub.github();
    assert_eq!(github.rate_limit_remaining(), None);
    let state = github.installation(77).job(&the_job(1)).await.unwrap();
    assert_eq!(state, JobStatus::Waiting);
    assert_eq!(github.rate_limit_remaining(), Some(4_321));
}

#[tokio::test]
async fn a_renamed_repository_is_followed_with_the_token() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        JOB => {
            let host = seen.header("host");
            Some(reply(301, "").header(
                "location",
                format!("http://{host}/repositories/9/actions/jobs/1"),
            ))
        }
        "GET /repositories/9/actions/jobs/1" => Some(reply(
            200,
            json!({ "id": 1, "run_id": 2, "status": "queued", "conclusion": null }),
        )),
        _ => None,
    })
    .await;
    assert!(job(&stub).await.unwrap().is_queued());
    assert_eq!(
        stub.seen().pop().unwrap().header("authorization"),
        "Bearer ghs_77"
    );
}

#[tokio::test]
async fn no_redirect_leads_away_or_round_in_circles() {
    let away = Stub::start(|seen| {
        (seen.line == JOB).then(|| reply(301, "").header("location", "http://127.0.0.1:1/x"))
    })
    .await;
    assert_eq!(job(&away).await.unwrap_err().refused_status(), Some(301));
    let circle = Stub::start(|seen| {
        (seen.line == JOB).then(|| reply(307, "").header("location", &JOB[4..]))
    })
    .await;
    assert_eq!(
        job(&circle).await.unwrap_err().fault(),
        Fault::GitHubUnavailable
    );
    assert_eq!(circle.hits(JOB), 3);
}

#[tokio::test]
async fn an_enterprise_servers_path_stands_before_every_calls() {
    let stub = Stub::start(|_| None).await;
    let url: ApiUrl = format!("{}/api/v3/", stub.url).parse().unwrap();
    let app = App::new("1234", KEY).unwrap();
    let github = GitHub::with_patience(url, app, Patience::NONE).unwrap();
    github.installation(77).job(&the_job(1)).await.unwrap_err();
    assert_eq!(
        stub.hits("POST /api/v3/app/installations/77/access_tokens"),
        1
    );
}

#[tokio::test]
async fn runs_and_their_jobs_are_listed() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        "GET /repos/octo/hello/actions/runs?status=queued&per_page=100&page=1" => Some(reply(
            200,
            json!({ "total_count": 1, "workflow_runs": [{ "id": 9, "run_attempt": 2, "status": "queued", "created_at": "2026-01-01T00:00:00Z",
                "repository": { "full_name": "Octo/Hello", "private": true, "owner": { "login": "Octo", "type": "Organization" } }
            }] }),
        )),
        "GET /repos/octo/hello/actions/runs/9/jobs?per_page=100&page=1" => Some(reply(
            200,
            json!({ "total_count": 1, "jobs": [{
                "id": 1, "run_id": 9, "run_attempt": 2, "name": "build", "workflow_name": "CI",
                "labels": ["Self-Hosted", "x64"], "status": "queued", "conclusion": null,
                "runner_name": null, "created_at": "2026-01-01T00:00:00Z",
                "started_at": "2026-01-01T00:00:00Z", "completed_at": null
            }] }),
        )),
        _ => None,
    })
    .await;
    let installation = stub.installation();
    let runs = installation.runs(&repository(), "queued", 1).await.unwrap();
    assert_eq!((runs.items[0].id, runs.items[0].attempt), (9, 2));
    assert_eq!(
        runs.items[0].repository.repository.to_string(),
        "Octo/Hello"
    );
    let jobs = installation.run_jobs(&repository(), 9, 1).await.unwrap();
    assert!(!jobs.more && jobs.items[0].state.is_queued());
    assert_eq!(jobs.items[0].labels.to_string(), "self-hosted x64");
}

#[tokio::test]
async fn one_job_of_an_unknown_status_does_not_hide_the_others() {
    let listed = |id: u64, status: &str| {
        json!({ "id": id, "run_id": 9, "status": status, "conclusion": null,
            "labels": ["x64"], "created_at": "2026-01-01T00:00:00Z" })
    };
    let stub = Stub::start(move |seen| {
        let jobs = [listed(1, "dreaming"), listed(2, "queued")];
        let body = json!({ "total_count": 2, "jobs": jobs });
        seen.line.contains("/runs/9/jobs").then(|| reply(200, body))
    })
    .await;
    let jobs = stub.installation().run_jobs(&repository(), 9, 1).await;
    let ids: Vec<_> = jobs.unwrap().items.iter().map(|job| job.id.0).collect();
    assert_eq!(ids, [2]);
}
