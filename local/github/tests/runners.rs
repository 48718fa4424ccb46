//! Runners as GitHub's REST API shows them.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use github_standin::{DeletionNotice, RunnerGroup};
use serde_json::json;
use support::{
    ORGANIZATION, PATIENCE, REPOSITORY, call, get, job, register, runner, server, token,
};

#[tokio::test]
async fn a_runner_is_offline_then_idle_then_busy_then_gone() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    let (id, config) = register(&server, ORGANIZATION, "one", &["self-hosted", "X64"]).await;
    let path = format!("{ORGANIZATION}/{id}");
    let shown = get(&server, &octo, &path).await.body;
    assert_eq!(
        (&shown["status"], &shown["busy"]),
        (&json!("offline"), &json!(false))
    );
    assert_eq!(shown["labels"][1]["name"], "x64");

    let mut one = server.connect(&config).unwrap();
    assert_eq!(get(&server, &octo, &path).await.body["status"], "online");

    let job = job(&server, "octo/hello", &["self-hosted"]);
    assert_eq!(one.take(PATIENCE).await.unwrap().id, job.id);
    assert_eq!(get(&server, &octo, &path).await.body["busy"], true);

    assert!(one.finish("success"));
    assert_eq!(get(&server, &octo, &path).await.status, 404);
    assert!(server.leftovers().is_empty(), "{:?}", server.leftovers());
}

#[tokio::test]
async fn a_runner_with_a_job_is_not_deleted() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    let (id, config) = register(&server, REPOSITORY, "one", &["x"]).await;
    let mut one = server.connect(&config).unwrap();
    job(&server, "octo/hello", &["x"]);
    let path = format!("{REPOSITORY}/{id}");
    let leased = call(&server, &octo, "DELETE", &path, None).await;
    assert_eq!(leased.status, 422, "leased is busy, too");
    one.take(PATIENCE).await.unwrap();
    let busy = call(&server, &octo, "DELETE", &path, None).await;
    assert_eq!(busy.status, 422);
    assert!(busy.message().contains("still running a job"));
}

#[tokio::test]
async fn an_idle_runner_is_deleted_once_and_told() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    for notice in [DeletionNotice::Revoked, DeletionNotice::NotFound] {
        server.change_settings(|settings| settings.deletion_notice = notice);
        let (id, config) = register(&server, ORGANIZATION, "one", &["x"]).await;
        let mut one = server.connect(&config).unwrap();
        let path = format!("{ORGANIZATION}/{id}");
        assert_eq!(
            call(&server, &octo, "DELETE", &path, None).await.status,
            204
        );
        assert!(one.take(PATIENCE).await.is_none());
        assert!(one.is_dismissed());
        assert_eq!(
            call(&server, &octo, "DELETE", &path, None).await.status,
            404
        );
        assert!(server.connect(&config).is_err(), "its registration is gone");
    }
}

#[tokio::test]
async fn a_runner_of_another_scope_is_not_found() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    let (id, _) = register(&server, ORGANIZATION, "one", &["x"]).await;
    let path = format!("{REPOSITORY}/{id}");
    assert_eq!(get(&server, &octo, &path).await.status, 404);
    assert_eq!(
        call(&server, &octo, "DELETE", &path, None).await.status,
        404
    );
}

#[tokio::test]
async fn runners_are_found_by_their_exact_name() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    for name in ["x-12", "x-123", "x-124"] {
        register(&server, ORGANIZATION, name, &["x"]).await;
    }
    let found = get(&server, &octo, &format!("{ORGANIZATION}?name=x-12"))
        .await
        .body;
    assert_eq!(found["total_count"], 1);
    assert_eq!(found["runners"][0]["name"], "x-12");
    let page = get(&server, &octo, &format!("{ORGANIZATION}?per_page=2")).await;
    assert_eq!(page.body["total_count"], 3);
    assert_eq!(page.body["runners"].as_array().unwrap().len(), 2);
    assert!(page.header("link").contains("rel=\"next\""));
}

#[tokio::test]
async fn a_registration_that_github_would_refuse_is_refused() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    register(&server, ORGANIZATION, "taken", &["x"]).await;
    let many: Vec<String> = (0..101).map(|n| format!("l{n}")).collect();
    let path = format!("{ORGANIZATION}/generate-jitconfig");
    for (body, status) in [
        (runner("TAKEN", &["x"]), 409),
        (runner(&"n".repeat(65), &["x"]), 422),
        (runner("", &["x"]), 422),
        (runner("a", &[]), 422),
        (
            json!({ "name": "a", "runner_group_id": 1, "labels": many }),
            422,
        ),
        (
            json!({ "name": "a", "runner_group_id": 99, "labels": ["x"] }),
            404,
        ),
        (json!({ "name": "a", "labels": ["x"] }), 422),
        (
            json!({ "name": "a", "runner_group_id": "1", "labels": ["x"] }),
            422,
        ),
    ] {
        let reply = call(&server, &octo, "POST", &path, Some(&body)).await;
        assert_eq!(reply.status, status, "{body} {reply:?}");
    }
    let elsewhere = format!("{REPOSITORY}/generate-jitconfig");
    let reply = call(
        &server,
        &octo,
        "POST",
        &elsewhere,
        Some(&runner("taken", &["x"])),
    )
    .await;
    assert_eq!(reply.status, 201, "names are unique within their scope");
}

#[tokio::test]
async fn runner_groups_are_listed_with_their_ids() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    let group = RunnerGroup {
        name: "Big machines".to_owned(),
        repositories: Some(BTreeSet::from(["octo/other".to_owned()])),
        allows_public: false,
    };
    let id = server.add_runner_group("octo", group).unwrap();
    let path = "/orgs/octo/actions/runner-groups";
    let all = get(&server, &octo, path).await.body;
    assert_eq!(all["total_count"], 2);
    assert_eq!(all["runner_groups"][0]["name"], "Default");
    assert_eq!(all["runner_groups"][1]["id"].as_u64(), Some(id));
    let visible = get(
        &server,
        &octo,
        &format!("{path}?visible_to_repository=hello"),
    )
    .await
    .body;
    assert_eq!(visible["total_count"], 1);
}

#[tokio::test]
async fn a_registration_serves_one_session_at_a_time_and_one_job() {
    let server = server().await;
    let (_, config) = register(&server, ORGANIZATION, "one", &["x"]).await;
    let mut one = server.connect(&config).unwrap();
    assert!(server.connect(&config).is_err(), "it is in use");
    job(&server, "octo/hello", &["x"]);
    one.take(PATIENCE).await.unwrap();
    one.finish("failure");
    assert!(server.connect(&config).is_err(), "it is used up");
    assert!(server.connect("bm90aGluZw==").is_err());
}

#[tokio::test]
async fn a_runner_that_shuts_down_in_order_can_connect_again() {
    let server = server().await;
    let (_, config) = register(&server, ORGANIZATION, "one", &["x"]).await;
    server.connect(&config).unwrap().shut_down();
    assert!(!server.runners()[0].online);
    assert!(server.connect(&config).is_ok());
}

#[tokio::test]
async fn an_idle_runner_is_dropped_after_its_limit() {
    let server = server().await;
    server.change_settings(|settings| settings.idle_limit_ms = Some(1));
    let (_, config) = register(&server, ORGANIZATION, "one", &["x"]).await;
    let mut one = server.connect(&config).unwrap();
    assert!(one.take(PATIENCE).await.is_none());
    assert!(server.runners().is_empty());
}

#[tokio::test]
async fn a_ghost_is_in_no_list_gets_no_job_and_goes_on_listening() {
    let server = server().await;
    let (id, config) = register(&server, ORGANIZATION, "one", &["x"]).await;
    let one = server.connect(&config).unwrap();
    server.ghost_runner(id).unwrap();
    let job = job(&server, "octo/hello", &["x"]);
    assert!(server.runners().is_empty());
    assert!(!one.is_dismissed());
    assert_eq!(server.job(job.id).unwrap().leased_to, None);
}
