//! What an App may do as itself, and what its tokens open.
#![allow(clippy::unwrap_used)]

mod support;

use github_standin::Access;
use serde_json::json;
use support::{
    ORGANIZATION, REPOSITORY, app_token, call, get, jwt, register, runner, server, token,
};

#[tokio::test]
async fn the_app_shows_itself_to_its_own_token_only() {
    let server = server().await;
    let reply = get(&server, &app_token(), "/app").await;
    assert_eq!((reply.status, &reply.body["id"]), (200, &json!(1234)));
    for bad in ["", "nonsense", "ghs_abc"] {
        let reply = get(&server, bad, "/app").await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.message(), "A JSON web token could not be decoded");
    }
}

#[tokio::test]
async fn a_token_from_a_clock_that_is_ahead_is_refused() {
    let server = server().await;
    server.change_settings(|settings| settings.clock_offset_seconds = -120);
    let reply = get(&server, &app_token(), "/app").await;
    assert_eq!(reply.status, 401);
    assert!(reply.message().contains("'iat'"), "{}", reply.message());
}

#[tokio::test]
async fn a_token_that_was_seen_before_is_refused_on_demand() {
    let server = server().await;
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let claims = |jti| json!({ "iss": 1234, "iat": now - 1, "exp": now + 60, "jti": jti });
    let token = jwt(&claims("a"));
    assert_eq!(get(&server, &token, "/app").await.status, 200);
    assert_eq!(get(&server, &token, "/app").await.status, 200);
    server.change_settings(|settings| settings.refuse_repeated_jwt = true);
    assert_eq!(get(&server, &token, "/app").await.status, 404);
    assert_eq!(get(&server, &jwt(&claims("b")), "/app").await.status, 200);
}

#[tokio::test]
async fn installations_are_found_by_repository_organization_and_user() {
    let server = server().await;
    let (octo, mona) = (server.installation("octo"), server.installation("mona"));
    for (path, id) in [
        ("/repos/octo/hello/installation", octo),
        ("/repos/Octo/Other/installation", octo),
        ("/orgs/octo/installation", octo),
        ("/users/mona/installation", mona),
        ("/api/v3/repos/mona/own/installation", mona),
    ] {
        let reply = get(&server, &app_token(), path).await;
        assert_eq!(
            (reply.status, reply.body["id"].as_u64()),
            (200, id),
            "{path}"
        );
    }
    server.uninstall("octo");
    for path in [
        "/repos/octo/hello/installation",
        "/orgs/octo/installation",
        "/orgs/mona/installation",
        "/repos/octo/nothing/installation",
    ] {
        assert_eq!(get(&server, &app_token(), path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn installations_are_listed_in_pages() {
    let server = server().await;
    let first = get(&server, &app_token(), "/app/installations?per_page=1").await;
    assert_eq!(first.body.as_array().unwrap().len(), 1);
    assert!(first.header("link").contains("page=2>; rel=\"next\""));
    let second = get(
        &server,
        &app_token(),
        "/app/installations?per_page=1&page=2",
    )
    .await;
    assert_ne!(first.body[0]["id"], second.body[0]["id"]);
    assert!(!second.header("link").contains("rel=\"next\""));
}

#[tokio::test]
async fn a_token_opens_its_own_installation_until_it_expires() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    assert_eq!(get(&server, &octo, ORGANIZATION).await.status, 200);
    let other = get(&server, &octo, "/repos/mona/own/actions/runners").await;
    assert_eq!(other.status, 404);
    server.change_settings(|settings| settings.clock_offset_seconds = 3601);
    let expired = get(&server, &octo, ORGANIZATION).await;
    assert_eq!(
        (expired.status, expired.message()),
        (401, "Bad credentials")
    );
    assert_eq!(get(&server, "", ORGANIZATION).await.status, 401);
}

#[tokio::test]
async fn what_the_installation_was_not_granted_is_forbidden() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    server.set_permission(
        "octo",
        "organization_self_hosted_runners",
        Some(Access::Read),
    );
    assert_eq!(get(&server, &octo, ORGANIZATION).await.status, 200);
    let path = format!("{ORGANIZATION}/generate-jitconfig");
    let reply = call(&server, &octo, "POST", &path, Some(&runner("a", &["x"]))).await;
    assert_eq!(reply.status, 403);
    assert_eq!(reply.message(), "Resource not accessible by integration");
    assert_eq!(
        reply.header("x-accepted-github-permissions"),
        "organization_self_hosted_runners=write"
    );
    server.set_permission("octo", "actions", None);
    let reply = get(&server, &octo, "/repos/octo/hello/actions/runs").await;
    assert_eq!(reply.status, 403);
}

#[tokio::test]
async fn a_token_can_be_narrowed_and_not_widened() {
    let server = server().await;
    let id = server.installation("octo").unwrap();
    let path = format!("/app/installations/{id}/access_tokens");
    let ask = async |body| call(&server, &app_token(), "POST", &path, Some(&body)).await;
    let narrow =
        ask(json!({ "repositories": ["hello"], "permissions": { "actions": "read" } })).await;
    assert_eq!(narrow.body["repository_selection"], "selected");
    let narrow = narrow.body["token"].as_str().unwrap();
    assert_eq!(
        get(&server, narrow, "/repos/octo/hello/actions/runs")
            .await
            .status,
        200
    );
    assert_eq!(
        get(&server, narrow, "/repos/octo/other/actions/runs")
            .await
            .status,
        404
    );
    assert_eq!(get(&server, narrow, REPOSITORY).await.status, 403);
    let listed = get(&server, narrow, "/installation/repositories").await;
    assert_eq!(listed.body["total_count"], 1);
    assert_eq!(
        ask(json!({ "permissions": { "actions": "write" } }))
            .await
            .status,
        422
    );
    assert_eq!(
        ask(json!({ "repositories": ["unknown"] })).await.status,
        422
    );
}

#[tokio::test]
async fn a_suspended_installation_opens_nothing() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    server.suspend("octo", true);
    assert_eq!(get(&server, &octo, ORGANIZATION).await.status, 403);
    let id = server.installation("octo").unwrap();
    let path = format!("/app/installations/{id}/access_tokens");
    assert_eq!(
        call(&server, &app_token(), "POST", &path, None)
            .await
            .status,
        403
    );
    server.suspend("octo", false);
    assert_eq!(get(&server, &octo, ORGANIZATION).await.status, 200);
}

#[tokio::test]
async fn a_rotated_key_is_accepted_until_it_is_deleted() {
    let server = server().await;
    server
        .delete_app_key(github_standin::APP_PRIVATE_KEY)
        .unwrap();
    assert_eq!(get(&server, &app_token(), "/app").await.status, 401);
    server.add_app_key(github_standin::APP_PRIVATE_KEY).unwrap();
    assert_eq!(get(&server, &app_token(), "/app").await.status, 200);
    assert!(server.add_app_key("no key").is_err());
}

#[tokio::test]
async fn calls_are_counted_by_route() {
    let server = server().await;
    register(&server, ORGANIZATION, "a", &["x"]).await;
    register(&server, REPOSITORY, "b", &["x"]).await;
    let octo = token(&server, "octo").await;
    get(
        &server,
        &octo,
        "/api/v3/orgs/octo/actions/runners?per_page=5",
    )
    .await;
    get(&server, &octo, "/no/such/place").await;
    let counts = server.request_counts();
    assert_eq!(
        counts["POST /orgs/{org}/actions/runners/generate-jitconfig"],
        1
    );
    assert_eq!(
        counts["POST /repos/{owner}/{repo}/actions/runners/generate-jitconfig"],
        1
    );
    assert_eq!(counts["GET /orgs/{org}/actions/runners"], 1);
    assert_eq!(
        counts["POST /app/installations/{installation_id}/access_tokens"],
        3
    );
    let last = server.requests().pop().unwrap();
    assert_eq!((last.path.as_str(), last.status), ("/no/such/place", 404));
    server.clear_requests();
    assert!(server.request_counts().is_empty());
}
