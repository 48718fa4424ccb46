//! How the client shows who it is, counted at the wire.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::stub::{KEY, ROTATED_KEY, Reply, Seen, Stub, job, reply, token};
use github::{Access, App, AppFuture, AppSource, Error, Scope};
use protocol::Fault;
use serde_json::json;

const MINT: &str = "POST /app/installations/77/access_tokens";
const JOB: &str = "GET /repos/octo/hello/actions/jobs/1";

const INSTALLATION: &str = "GET /app/installations/77";
const UNDECODED: &str = "A JSON web token could not be decoded";

fn installation(suspended_at: Option<&str>) -> Reply {
    reply(
        200,
        json!({
            "id": 77, "suspended_at": suspended_at,
            "permissions": { "actions": "read", "administration": "write", "metadata": "read" }
        }),
    )
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
        let job = github.installation(77).job(&job(1)).await.unwrap();
        assert!(job.is_queued());
    }
    assert_eq!((stub.hits(MINT), stub.hits(JOB)), (1, 3));
}

#[tokio::test]
async fn expired_token_renewed() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        MINT => Some(token("ghs_old", "2020-01-01T00:00:00Z")),
        JOB => Some(queued()),
        _ => None,
    })
    .await;
    let installation = stub.installation();
    for _ in 0..2 {
        installation.job(&job(1)).await.unwrap();
    }
    assert_eq!(stub.hits(MINT), 2);
}

#[tokio::test]
async fn concurrent_calls_share_one_token() {
    let stub = Stub::start(|seen| seen.line.contains("/jobs/").then(queued)).await;
    let installation = stub.installation();
    let (one, two) = (job(1), job(2));
    let (a, b) = tokio::join!(installation.job(&one), installation.job(&two),);
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(stub.hits(MINT), 1);
}

#[tokio::test]
async fn each_installation_has_a_token_of_its_own() {
    let stub = Stub::start(|seen| (seen.line == JOB).then(queued)).await;
    let github = stub.github();
    for id in [77, 78, 77] {
        github.installation(id).job(&job(1)).await.unwrap();
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
    let job = stub.installation().job(&job(1)).await.unwrap();
    assert!(job.is_queued());
    assert_eq!((stub.hits(MINT), stub.hits(JOB)), (2, 2));
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_is_an_outage_that_passes() {
    let stub = Stub::start(|seen| {
        (seen.line == JOB).then(|| reply(401, r#"{"message":"Bad credentials"}"#))
    })
    .await;
    let error = stub.installation().job(&job(1)).await.unwrap_err();
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
        match seen.line.as_str() {
            MINT if refused => Some(reply(401, json!({ "message": UNDECODED }))),
            JOB => Some(queued()),
            _ => None,
        }
    })
    .await;
    let installation = stub.github_of(Rotated).installation(77);
    installation.job(&job(1)).await.unwrap();
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
    for (status, message) in [(401, UNDECODED), (404, "Integration not found")] {
        // GitHub refuses the key wherever it is shown.
        let stub = Stub::start(move |seen| {
            let as_app = seen.line.contains(" /app");
            as_app.then(|| reply(status, json!({ "message": message })))
        })
        .await;
        let error = stub.installation().job(&job(1)).await.unwrap_err();
        assert_eq!(error.fault(), Fault::AppKeyInvalid);
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!((stub.hits(MINT), stub.hits("GET /app")), (1, 1));
    }
}

#[tokio::test]
async fn a_key_that_is_refused_at_one_endpoint_alone_is_not_at_fault() {
    let stub = Stub::start(|seen| {
        (seen.line == MINT).then(|| reply(401, json!({ "message": UNDECODED })))
    })
    .await;
    let error = stub.installation().job(&job(1)).await.unwrap_err();
    assert_eq!(error.fault(), Fault::GitHubUnavailable);
    assert_eq!(stub.hits(MINT), 2);
}

#[tokio::test]
async fn a_key_that_is_refused_once_costs_nothing() {
    for (status, message) in [(401, UNDECODED), (404, "Integration not found")] {
        let minted = AtomicUsize::new(0);
        let stub = Stub::start(move |seen| match seen.line.as_str() {
            MINT if minted.fetch_add(1, Ordering::Relaxed) == 0 => {
                Some(reply(status, json!({ "message": message })))
            }
            JOB => Some(queued()),
            _ => None,
        })
        .await;
        assert!(stub.installation().job(&job(1)).await.unwrap().is_queued());
    }
}

#[tokio::test]
async fn an_installation_that_is_gone_is_not_installed() {
    let stub = Stub::start(|seen| (seen.line == MINT).then(|| reply(404, "{}"))).await;
    let error = stub.installation().job(&job(1)).await.unwrap_err();
    assert!(matches!(error, Error::AppNotInstalled { .. }), "{error}");
    assert_eq!(stub.hits("GET /app/installations/77"), 2);
}

#[tokio::test]
async fn a_token_that_is_refused_for_an_installation_that_stands_is_an_outage() {
    for status in [403, 404, 422] {
        let stub = Stub::start(move |seen| match seen.line.as_str() {
            MINT => Some(reply(status, json!({ "message": "Not Found" }))),
            INSTALLATION => Some(installation(None)),
            _ => None,
        })
        .await;
        let error = stub.installation().job(&job(1)).await.unwrap_err();
        assert_eq!(error.fault(), Fault::GitHubUnavailable, "{status}: {error}");
        assert_eq!(stub.hits(MINT), 2);
    }
}

#[tokio::test]
async fn a_suspended_installation_is_named_as_the_reason() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        MINT => Some(reply(
            403,
            json!({ "message": "This installation has been suspended" }),
        )),
        INSTALLATION => Some(installation(Some("2026-01-01T00:00:00Z"))),
        _ => None,
    })
    .await;
    let error = stub.installation().job(&job(1)).await.unwrap_err();
    assert_eq!(error.fault(), Fault::GitHubRefused);
    assert!(
        error.to_string().contains("77 of the App is suspended"),
        "{error}"
    );
}

#[tokio::test]
async fn when_github_knows_nothing_at_all_it_is_an_outage() {
    for status in [403, 404] {
        let stub =
            Stub::start(move |_| Some(reply(status, json!({ "message": "Not Found" })))).await;
        let error = stub.installation().job(&job(1)).await.unwrap_err();
        assert_eq!(error.fault(), Fault::GitHubUnavailable, "{status}: {error}");
    }
}

#[tokio::test]
async fn a_token_of_any_length_and_letters_is_shown_as_it_is() {
    // Since 2026 GitHub issues `ghs_APPID_JWT`, of about 520 characters and more:
    // https://github.blog/changelog/2026-04-24-notice-about-upcoming-new-format-for-github-app-installation-tokens/
    let part = |length: usize| "aZ0_-".repeat(length / 5);
    let long = format!("ghs_1234_{}.{}.{}", part(40), part(1_500), part(500));
    let issued = long.clone();
    let stub = Stub::start(move |seen| match seen.line.as_str() {
        MINT => Some(token(&issued, "3000-01-01T00:00:00Z")),
        JOB => Some(queued()),
        _ => None,
    })
    .await;
    stub.installation().job(&job(1)).await.unwrap();
    let shown = stub.seen().pop().unwrap();
    assert_eq!(shown.header("authorization"), format!("Bearer {long}"));
}

#[tokio::test]
async fn every_request_names_the_version_and_shape_it_expects() {
    let stub = Stub::start(|seen| (seen.line == JOB).then(queued)).await;
    stub.installation().job(&job(1)).await.unwrap();
    for seen in stub.seen() {
        assert_eq!(seen.header("x-github-api-version"), "2022-11-28");
        assert_eq!(seen.header("accept"), "application/vnd.github+json");
        assert!(!seen.header("user-agent").is_empty());
    }
}

/// GitHub's words about a repository that a token cannot be narrowed to.
const NO_SUCH_REPOSITORY: &str = "There is at least one repository that does not exist or is not accessible to the parent installation.";

fn is_asked_by_name(seen: &Seen) -> bool {
    seen.line == MINT && seen.body["repositories"] == json!(["hello"])
}

#[tokio::test]
async fn each_use_has_a_token_of_its_own_that_opens_no_more() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        MINT => {
            let permissions = seen.body["permissions"].as_object().unwrap();
            let asked: Vec<_> = permissions.keys().map(String::as_str).collect();
            let name = format!("ghs_{}", asked.join("_"));
            Some(token(&name, "3000-01-01T00:00:00Z"))
        }
        JOB => Some(queued()),
        line if line.contains("/runners?") => Some(reply(200, json!({ "runners": [] }))),
        _ => None,
    })
    .await;
    let installation = stub.installation();
    let repository = Scope::Repository("octo/hello".parse().unwrap());
    let organization = Scope::Organization("octo".to_owned());
    for _ in 0..2 {
        installation.job(&job(1)).await.unwrap();
        for scope in [&repository, &organization] {
            installation.find_runner(scope, "fr-x-1").await.unwrap();
        }
    }
    assert_eq!(stub.hits(MINT), 3, "one for each use, however often");
    let seen = stub.seen();
    let shown: Vec<_> = seen
        .iter()
        .filter(|seen| seen.line != MINT)
        .map(|seen| seen.header("authorization"))
        .take(3)
        .collect();
    assert_eq!(
        shown,
        [
            "Bearer ghs_actions_metadata",
            "Bearer ghs_administration_metadata",
            "Bearer ghs_organization_self_hosted_runners",
        ]
    );
    let bodies: Vec<_> = seen.iter().filter(|seen| seen.line == MINT).collect();
    assert_eq!(bodies[0].body["repositories"], json!(["hello"]));
    assert!(bodies[2].body.get("repositories").is_none());
}

#[tokio::test]
async fn jobs_of_one_repository_share_a_token_and_those_of_another_do_not() {
    let stub = Stub::start(|seen| seen.line.contains("/actions/jobs/").then(queued)).await;
    let installation = stub.installation();
    for id in 1..=20 {
        installation.job(&job(id)).await.unwrap();
    }
    assert_eq!(stub.hits(MINT), 1);
    let mut other = job(1);
    other.repository = "octo/other".parse().unwrap();
    installation.job(&other).await.unwrap();
    assert_eq!(stub.hits(MINT), 2);
}

#[tokio::test]
async fn a_permission_that_the_installation_lacks_is_named() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        MINT => Some(reply(
            422,
            json!({ "message": "The permissions requested are not granted to this installation." }),
        )),
        INSTALLATION => Some(reply(
            200,
            json!({ "id": 77, "suspended_at": null, "permissions": { "metadata": "read" } }),
        )),
        _ => None,
    })
    .await;
    let error = stub.installation().job(&job(1)).await.unwrap_err();
    assert_eq!(error.fault(), Fault::GitHubRefused);
    let text = error.to_string();
    for part in [
        "POST /app/installations/77/access_tokens",
        "422",
        "`Actions: read`",
        "installation 77 lacks it",
        "/settings/installations",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(stub.hits(MINT), 2, "one refusal may be wrong");
}

#[tokio::test]
async fn a_renamed_repository_is_asked_for_by_its_id() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        _ if is_asked_by_name(seen) => Some(reply(422, json!({ "message": NO_SUCH_REPOSITORY }))),
        MINT if seen.body.get("repository_ids").is_some() => {
            Some(token("ghs_by_id", "3000-01-01T00:00:00Z"))
        }
        INSTALLATION => Some(installation(None)),
        "GET /repos/octo/hello/installation" => Some(reply(200, json!({ "id": 77 }))),
        "GET /repos/octo/hello" => Some(reply(200, json!({ "id": 4711 }))),
        JOB => Some(queued()),
        _ => None,
    })
    .await;
    let installation = stub.installation();
    for _ in 0..2 {
        assert!(installation.job(&job(1)).await.unwrap().is_queued());
    }
    let seen = stub.seen();
    let asked: Vec<_> = seen
        .iter()
        .filter(|seen| seen.body.get("repository_ids").is_some())
        .collect();
    assert_eq!(asked.len(), 1, "the token is kept");
    assert_eq!(asked[0].body["repository_ids"], json!([4711]));
    assert_eq!(asked[0].body["permissions"]["actions"], "read");
    assert_eq!(stub.hits(JOB), 2);
    let last = seen.last().unwrap();
    assert_eq!(last.header("authorization"), "Bearer ghs_by_id");
}

#[tokio::test]
async fn a_repository_that_moved_is_asked_for_at_the_installation_that_has_it() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        MINT => Some(reply(422, json!({ "message": NO_SUCH_REPOSITORY }))),
        INSTALLATION => Some(installation(None)),
        "GET /repos/octo/hello/installation" => Some(reply(200, json!({ "id": 88 }))),
        JOB => Some(queued()),
        _ => None,
    })
    .await;
    assert!(stub.installation().job(&job(1)).await.unwrap().is_queued());
    let repository = "octo/hello".parse().unwrap();
    let access = Access::jobs(&repository);
    let github = stub.github();
    let serving = github.serving(&repository, Some(77), &access).await;
    assert_eq!(serving.unwrap().id(), 88);
}

#[tokio::test]
async fn a_repository_that_the_installation_does_not_include_is_not_installed() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        MINT => Some(reply(422, json!({ "message": NO_SUCH_REPOSITORY }))),
        INSTALLATION => Some(installation(None)),
        _ => None,
    })
    .await;
    let error = stub.installation().job(&job(1)).await.unwrap_err();
    assert_eq!(error.fault(), Fault::AppNotInstalled);
    assert!(error.to_string().contains("octo/hello"), "{error}");
    assert_eq!(stub.hits("GET /repos/octo/hello/installation"), 2);
}
