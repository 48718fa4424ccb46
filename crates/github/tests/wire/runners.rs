//! Runners and their groups, at the wire.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::stub::{Reply, Stub, reply};
use github::{Deleted, Error, JitRequest, Scope};
use protocol::Fault;
use serde_json::{Value, json};

fn organization() -> Scope {
    Scope::Organization("octo".to_owned())
}

fn repository() -> Scope {
    Scope::Repository("octo/hello".parse().unwrap())
}

fn request() -> JitRequest {
    JitRequest {
        name: "fr-hello-1".to_owned(),
        runner_group_id: 1,
        labels: vec!["self-hosted".to_owned(), "x64".to_owned()],
        work_folder: "_work".to_owned(),
    }
}

fn runner(id: usize) -> Value {
    json!({
        "id": id, "name": format!("fr-x-{id}"), "os": "linux", "status": "online", "busy": id == 2,
        "labels": [{ "id": 1, "name": "X64", "type": "custom" }]
    })
}

#[tokio::test]
async fn a_runner_is_registered_in_its_scope() {
    let stub = Stub::start(|seen| {
        seen.line
            .ends_with("/actions/runners/generate-jitconfig")
            .then(|| {
                reply(
                    201,
                    json!({ "runner": { "id": 23 }, "encoded_jit_config": "c2VjcmV0" }),
                )
            })
    })
    .await;
    for (scope, path) in [
        (organization(), "/orgs/octo"),
        (repository(), "/repos/octo/hello"),
    ] {
        let runner = stub
            .installation()
            .jit_config(&scope, &request())
            .await
            .unwrap();
        assert_eq!((runner.id, runner.config.expose()), (23, "c2VjcmV0"));
        assert!(!format!("{runner:?}").contains("c2VjcmV0"));
        let seen = stub.seen().pop().unwrap();
        assert_eq!(
            seen.line,
            format!("POST {path}/actions/runners/generate-jitconfig")
        );
        assert_eq!(
            seen.body,
            json!({ "name": "fr-hello-1", "runner_group_id": 1, "labels": ["self-hosted", "x64"], "work_folder": "_work" })
        );
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_told_apart() {
    let stub = Stub::start(|seen| {
        seen.line
            .ends_with("generate-jitconfig")
            .then(|| reply(409, r#"{"message":"Already exists"}"#))
    })
    .await;
    let error = stub
        .installation()
        .jit_config(&repository(), &request())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NameTaken { .. }));
    assert_eq!(stub.hits("POST /repos"), 1);
}

#[tokio::test]
async fn page_two_is_asked_for_with_the_token_too() {
    let stub = Stub::start(|seen| {
        let runners: Vec<_> = match seen.line.as_str() {
            "GET /orgs/octo/actions/runners?per_page=100&page=1" => (1..=100).map(runner).collect(),
            "GET /orgs/octo/actions/runners?per_page=100&page=2" => vec![runner(101)],
            _ => return None,
        };
        Some(reply(
            200,
            json!({ "total_count": 101, "runners": runners }),
        ))
    })
    .await;
    let installation = stub.installation();
    let first = installation.runners(&organization(), 1).await.unwrap();
    assert!(first.more && first.items[1].busy && first.items[0].online);
    let second = installation.runners(&organization(), 2).await.unwrap();
    assert_eq!(
        (second.more, second.items[0].name.as_str()),
        (false, "fr-x-101")
    );
    assert_eq!(
        stub.seen().pop().unwrap().header("authorization"),
        "Bearer ghs_77"
    );
}

#[tokio::test]
async fn a_runner_is_found_by_its_whole_name() {
    let stub = Stub::start(|seen| {
        seen.line
            .starts_with("GET /repos/octo/hello/actions/runners?name=fr-x-1&")
            .then(|| {
                reply(
                    200,
                    json!({ "total_count": 2, "runners": [runner(12), runner(1)] }),
                )
            })
    })
    .await;
    let found = stub
        .installation()
        .find_runner(&repository(), "fr-x-1")
        .await
        .unwrap();
    assert_eq!(found.unwrap().id, 1);
}

#[tokio::test]
async fn deleting_tells_gone_absent_and_busy_apart() {
    for (status, deleted) in [
        (204, Deleted::Gone),
        (404, Deleted::Absent),
        (422, Deleted::Busy),
    ] {
        let stub =
            Stub::start(move |seen| seen.line.starts_with("DELETE").then(|| reply(status, "")))
                .await;
        let outcome = stub
            .installation()
            .delete_runner(&organization(), 5)
            .await
            .unwrap();
        assert_eq!(outcome, deleted);
        assert_eq!(stub.hits("DELETE /orgs/octo/actions/runners/5"), 1);
    }
}

#[tokio::test]
async fn a_deletion_answered_with_404_is_an_outage_while_the_runner_is_shown() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        "DELETE /orgs/octo/actions/runners/5" => Some(reply(404, "")),
        "GET /orgs/octo/actions/runners/5" => Some(reply(200, runner(5))),
        _ => None,
    })
    .await;
    let outcome = stub.installation().delete_runner(&organization(), 5).await;
    assert_eq!(outcome.unwrap_err().fault(), Fault::GitHubUnavailable);
}

#[tokio::test]
async fn a_runner_group_is_found_on_any_page_and_remembered() {
    let stub = Stub::start(|seen| {
        let group = |id: usize| json!({ "id": id, "name": format!("group-{id}") });
        let groups: Vec<_> = match seen.line.as_str() {
            "GET /orgs/octo/actions/runner-groups?per_page=100&page=1" => {
                (1..=100).map(group).collect()
            }
            "GET /orgs/octo/actions/runner-groups?per_page=100&page=2" => {
                vec![json!({ "id": 900, "name": "Builders" })]
            }
            _ => return None,
        };
        Some(reply(
            200,
            json!({ "total_count": 101, "runner_groups": groups }),
        ))
    })
    .await;
    let installation = stub.installation();
    for _ in 0..2 {
        assert_eq!(
            installation
                .runner_group(&organization(), "builders")
                .await
                .unwrap(),
            900
        );
    }
    assert_eq!(stub.hits("GET"), 2);
    assert!(installation.forget_runner_group(&organization(), "builders"));
    assert!(!installation.forget_runner_group(&organization(), "builders"));
    assert_eq!(
        installation
            .runner_group(&repository(), "builders")
            .await
            .unwrap(),
        1
    );
    assert_eq!(stub.hits("GET"), 2);
}

#[tokio::test]
async fn a_missing_runner_group_is_named_with_those_that_are_there() {
    let stub = Stub::start(|seen| {
        seen.line.contains("runner-groups").then(|| {
            reply(
                200,
                json!({ "total_count": 1, "runner_groups": [{ "id": 1, "name": "Default" }] }),
            )
        })
    })
    .await;
    let error = stub
        .installation()
        .runner_group(&organization(), "gpu")
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::RunnerGroupMissing);
    for word in ["octo", "\"gpu\"", "Default"] {
        assert!(error.to_string().contains(word), "{error}");
    }
}

/// What the installation was granted.
fn granted(permissions: &Value) -> Reply {
    reply(
        200,
        json!({ "id": 77, "suspended_at": null, "permissions": permissions }),
    )
}

const INSTALLATION: &str = "GET /app/installations/77";

#[tokio::test]
async fn a_refusal_that_a_missing_permission_explains_names_it() {
    // GitHub hides what an App may not do behind either status.
    for status in [403, 404] {
        let stub = Stub::start(move |seen| {
            if seen.line == INSTALLATION {
                let read = json!({ "administration": "read", "metadata": "read" });
                return Some(granted(&read));
            }
            let message = json!({ "message": "Resource not accessible by integration" });
            seen.line
                .contains("/actions/")
                .then(|| reply(status, message))
        })
        .await;
        let installation = stub.installation();
        for (scope, permission) in [
            (organization(), "Self-hosted runners: write"),
            (repository(), "Administration: write"),
        ] {
            let refused = installation
                .jit_config(&scope, &request())
                .await
                .unwrap_err();
            let judged = installation.second_look(&scope, refused).await;
            let listed = installation.runners(&scope, 1).await.unwrap_err();
            for error in [judged, listed] {
                assert_eq!(error.fault(), Fault::GitHubRefused, "{error}");
                assert_eq!(error.refused_status(), Some(status));
                assert!(error.to_string().contains(permission), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_that_nothing_explains_is_an_outage() {
    for status in [401, 403, 404] {
        let stub = Stub::start(move |seen| match seen.line.as_str() {
            INSTALLATION => Some(granted(&json!({
                "administration": "write", "organization_self_hosted_runners": "write"
            }))),
            "GET /repos/octo/hello" => Some(reply(200, "{}")),
            line => line
                .contains("/actions/")
                .then(|| reply(status, json!({ "message": "Not Found" }))),
        })
        .await;
        let installation = stub.installation();
        for scope in [organization(), repository()] {
            let refused = installation
                .jit_config(&scope, &request())
                .await
                .unwrap_err();
            let judged = installation.second_look(&scope, refused).await;
            let listed = installation.runners(&scope, 1).await.unwrap_err();
            for error in [judged, listed] {
                assert_eq!(error.fault(), Fault::GitHubUnavailable, "{status}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_github_calls_wrong_twice_stays_wrong() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        INSTALLATION => Some(granted(&json!({ "administration": "write" }))),
        line => line
            .contains("/actions/")
            .then(|| reply(422, json!({ "message": "Invalid request." }))),
    })
    .await;
    let installation = stub.installation();
    let refused = installation.jit_config(&repository(), &request()).await;
    let error = installation
        .second_look(&repository(), refused.unwrap_err())
        .await;
    assert_eq!(error.refused_status(), Some(422));
}

#[tokio::test]
async fn an_owner_who_disabled_self_hosted_runners_is_told_in_githubs_words() {
    let words = "Repository level self-hosted runners are disabled on this repository.";
    let stub = Stub::start(move |seen| match seen.line.as_str() {
        INSTALLATION => Some(granted(&json!({ "administration": "write" }))),
        line => line
            .contains("/actions/")
            .then(|| reply(403, json!({ "message": words }))),
    })
    .await;
    let installation = stub.installation();
    let refused = installation.jit_config(&repository(), &request()).await;
    let error = installation
        .second_look(&repository(), refused.unwrap_err())
        .await;
    assert_eq!(error.fault(), Fault::GitHubRefused);
    assert!(error.to_string().contains(words), "{error}");
}

#[tokio::test]
async fn one_refusal_costs_no_attempt() {
    for status in [401, 403, 404, 422, 500, 502, 503, 504] {
        let first = AtomicBool::new(true);
        let stub = Stub::start(move |seen| {
            let listing = seen
                .line
                .starts_with("GET /repos/octo/hello/actions/runners");
            if listing && first.swap(false, Ordering::Relaxed) {
                return Some(reply(status, json!({ "message": "Oops" })));
            }
            listing.then(|| reply(200, json!({ "total_count": 0, "runners": [] })))
        })
        .await;
        let found = stub.installation().find_runner(&repository(), "fr-x").await;
        assert_eq!(found.unwrap(), None, "{status}");
    }
}
