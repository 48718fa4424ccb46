//! Which installation serves whom, counted at the wire.

use crate::stub::{Stub, reply};
use github::Access;
use protocol::{Fault, Repository};
use serde_json::json;

const LOOK_UP: &str = "GET /repos/octo/hello/installation";

fn repository() -> Repository {
    "octo/hello".parse().unwrap()
}

fn jobs() -> Access {
    Access::jobs(&repository())
}

#[tokio::test]
async fn the_webhooks_installation_needs_no_look_up() {
    let stub = Stub::start(|_| None).await;
    let github = stub.github();
    for _ in 0..2 {
        let installation = github
            .serving(&repository(), Some(77), &jobs())
            .await
            .unwrap();
        assert_eq!(installation.id(), 77);
    }
    assert_eq!((stub.hits(LOOK_UP), stub.hits("POST")), (0, 1));
}

#[tokio::test]
async fn an_installation_is_looked_up_once() {
    let stub = Stub::start(|seen| (seen.line == LOOK_UP).then(|| reply(200, r#"{"id":88}"#))).await;
    let github = stub.github();
    for _ in 0..3 {
        let installation = github.serving(&repository(), None, &jobs()).await.unwrap();
        assert_eq!(installation.id(), 88);
    }
    assert_eq!((stub.hits(LOOK_UP), stub.hits("POST")), (1, 1));
}

#[tokio::test]
async fn an_installation_that_was_made_anew_is_found() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        LOOK_UP => Some(reply(200, r#"{"id":88}"#)),
        "POST /app/installations/77/access_tokens" => Some(reply(404, "{}")),
        _ => None,
    })
    .await;
    let installation = stub
        .github()
        .serving(&repository(), Some(77), &jobs())
        .await
        .unwrap();
    assert_eq!(installation.id(), 88);
}

#[tokio::test]
async fn where_the_app_is_not_installed_the_error_says_where_to_do_it() {
    let stub = Stub::start(|seen| {
        (seen.line == "GET /app").then(|| {
            reply(
                200,
                json!({ "html_url": "https://github.com/apps/our-runners" }),
            )
        })
    })
    .await;
    let error = stub
        .github()
        .serving(&repository(), None, &jobs())
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::AppNotInstalled);
    assert_eq!(
        error.to_string(),
        "the GitHub App is not installed on octo/hello: install it at https://github.com/apps/our-runners/installations/new"
    );
}

#[tokio::test]
async fn a_wrong_app_id_is_not_taken_for_a_missing_installation() {
    let stub = Stub::start(|seen| match seen.line.as_str() {
        "GET /app" => Some(reply(
            401,
            r#"{"message":"A JSON web token could not be decoded"}"#,
        )),
        _ => None,
    })
    .await;
    let error = stub
        .github()
        .serving(&repository(), None, &jobs())
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::AppKeyInvalid);
}

#[tokio::test]
async fn organizations_are_looked_up_by_their_own_path() {
    let stub = Stub::start(|seen| {
        (seen.line == "GET /orgs/octo/installation").then(|| reply(200, r#"{"id":88}"#))
    })
    .await;
    assert_eq!(
        stub.github()
            .installation_of_org("octo")
            .await
            .unwrap()
            .id(),
        88
    );
}

#[tokio::test]
async fn installations_and_their_repositories_are_read_by_page() {
    let installation = |id: usize| {
        json!({
            "id": id, "account": { "login": format!("org-{id}"), "type": "Organization" },
            "suspended_at": (id == 3).then_some("2026-01-01T00:00:00Z")
        })
    };
    let stub = Stub::start(move |seen| match seen.line.as_str() {
        "GET /app/installations?per_page=100&page=1" => Some(reply(
            200,
            json!((1..=100).map(installation).collect::<Vec<_>>()),
        )),
        "GET /app/installations?per_page=100&page=2" => Some(reply(200, json!([]))),
        "GET /installation/repositories?per_page=100&page=1" => Some(reply(
            200,
            json!({ "total_count": 1, "repositories": [{
                "full_name": "octo/hello", "private": true, "archived": false,
                "owner": { "login": "octo", "type": "User" }
            }] }),
        )),
        _ => None,
    })
    .await;
    let github = stub.github();
    let first = github.installations(1).await.unwrap();
    assert!(first.more && first.items[2].suspended && !first.items[3].suspended);
    assert!(!github.installations(2).await.unwrap().more);
    let repositories = github.installation(77).repositories(1).await.unwrap();
    assert_eq!(repositories.items[0].repository, repository());
}

#[tokio::test]
async fn deliveries_are_read_along_their_cursor_and_redelivered() {
    let delivery = json!({
        "id": 12_345_678_901_u64, "guid": "0b989ba4", "delivered_at": "2026-01-01T00:00:00Z",
        "redelivery": false, "duration": 0.27, "status": "Invalid HTTP Response: 502",
        "status_code": 502, "event": "workflow_job", "action": "queued",
        "installation_id": 123, "repository_id": 456
    });
    let next =
        r#"<https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_9>; rel="next""#;
    let stub = Stub::start(move |seen| match seen.line.as_str() {
        "GET /app/hook/deliveries?per_page=100" => {
            Some(reply(200, json!([delivery])).header("link", next))
        }
        "GET /app/hook/deliveries?per_page=100&cursor=v1_9"
        | "GET /app/hook/deliveries?per_page=100&status=failure" => Some(reply(200, json!([]))),
        "POST /app/hook/deliveries/12345678901/attempts" => Some(reply(202, "{}")),
        _ => None,
    })
    .await;
    let github = stub.github();
    let page = github.deliveries(None).await.unwrap();
    assert!(!page.deliveries[0].succeeded());
    assert_eq!(github.failed_deliveries().await.unwrap().deliveries, []);
    github.redeliver(page.deliveries[0].id).await.unwrap();
    assert_eq!(
        github.deliveries(page.next.as_deref()).await.unwrap().next,
        None
    );
}
