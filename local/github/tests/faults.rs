//! What goes wrong on demand, over the control API as xtask uses it.
#![allow(clippy::unwrap_used)]

mod support;

use github_standin::{Fault, FaultKind};
use serde_json::{Value, json};
use support::{ORGANIZATION, call, get, runner, server, token, try_call};

const STATUS: FaultKind = FaultKind::Status {
    status: 502,
    message: None,
    retry_after: None,
};

#[tokio::test]
async fn the_next_calls_of_a_route_fail_and_no_others() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    server.fault(
        Fault::new(STATUS)
            .on("GET", "/orgs/{org}/actions/runners")
            .times(2),
    );
    assert_eq!(
        get(&server, &octo, "/repos/octo/hello/actions/runners")
            .await
            .status,
        200
    );
    assert_eq!(get(&server, &octo, ORGANIZATION).await.status, 502);
    assert_eq!(get(&server, &octo, ORGANIZATION).await.status, 502);
    assert_eq!(get(&server, &octo, ORGANIZATION).await.status, 200);
    server.fault(Fault::new(STATUS));
    server.clear_faults();
    assert_eq!(get(&server, &octo, ORGANIZATION).await.status, 200);
}

#[tokio::test]
async fn an_answer_can_be_lost_after_its_call_was_carried_out() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    let path = format!("{ORGANIZATION}/generate-jitconfig");
    server.fault(Fault::new(STATUS).on("POST", "generate-jitconfig").after());
    let body = runner("one", &["x"]);
    assert_eq!(
        call(&server, &octo, "POST", &path, Some(&body))
            .await
            .status,
        502
    );
    let met = server.met();
    assert_eq!((met.len(), met[0].path.as_str()), (1, path.as_str()));
    assert!(met[0].body.contains("\"one\""), "{met:?}");
    let again = call(&server, &octo, "POST", &path, Some(&body)).await;
    assert_eq!(again.status, 409, "it was registered");
    assert!(again.message().contains("Already exists"));
}

#[tokio::test]
async fn limits_are_answered_with_the_headers_that_say_how_long() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    server.fault(Fault::new(FaultKind::RateLimited { reset_seconds: 90 }));
    let primary = get(&server, &octo, ORGANIZATION).await;
    assert_eq!(
        (primary.status, primary.header("x-ratelimit-remaining")),
        (403, "0")
    );
    let reset: i64 = primary.header("x-ratelimit-reset").parse().unwrap();
    assert!((now + 89..now + 120).contains(&reset), "{reset}");
    server.fault(Fault::new(FaultKind::SecondaryLimit { retry_after: 7 }));
    let secondary = get(&server, &octo, ORGANIZATION).await;
    assert_eq!(
        (secondary.status, secondary.header("retry-after")),
        (403, "7")
    );
    assert!(secondary.message().contains("secondary rate limit"));
    server.fault(Fault::new(FaultKind::Status {
        status: 429,
        message: None,
        retry_after: Some(3),
    }));
    let throttled = get(&server, &octo, ORGANIZATION).await;
    assert_eq!(
        (throttled.status, throttled.header("retry-after")),
        (429, "3")
    );
}

#[tokio::test]
async fn every_answer_to_an_installation_counts_against_its_hour() {
    let server = server().await;
    server.change_settings(|settings| {
        settings.token_lifetime_seconds = 100_000;
        settings.hourly_limit = 2;
        settings.enforce_limits = true;
    });
    let octo = token(&server, "octo").await;
    let first = get(&server, &octo, ORGANIZATION).await;
    assert_eq!(first.header("x-ratelimit-limit"), "2");
    assert_eq!(first.header("x-ratelimit-remaining"), "1");
    assert_eq!(
        get(&server, &octo, ORGANIZATION)
            .await
            .header("x-ratelimit-used"),
        "2"
    );
    let exceeded = get(&server, &octo, ORGANIZATION).await;
    assert_eq!(
        (exceeded.status, exceeded.header("x-ratelimit-remaining")),
        (403, "0")
    );
    let mona = token(&server, "mona").await;
    let other = get(&server, &mona, "/repos/mona/own/actions/runners").await;
    assert_eq!(other.status, 200, "another installation has its own");
    server.change_settings(|settings| settings.clock_offset_seconds = 3601);
    assert_eq!(
        get(&server, &octo, ORGANIZATION).await.status,
        200,
        "an hour later"
    );
}

#[tokio::test]
async fn too_many_configurations_within_a_minute_meet_the_secondary_limit() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    server.change_settings(|settings| {
        settings.configurations_per_minute = 1;
        settings.enforce_limits = true;
    });
    let path = format!("{ORGANIZATION}/generate-jitconfig");
    let one = call(&server, &octo, "POST", &path, Some(&runner("1", &["x"]))).await;
    assert_eq!(one.status, 201);
    let two = call(&server, &octo, "POST", &path, Some(&runner("2", &["x"]))).await;
    assert_eq!(two.status, 403);
    let wait: u64 = two.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait));
}

#[tokio::test]
async fn a_connection_can_be_cut_and_an_answer_delayed() {
    let server = server().await;
    let octo = token(&server, "octo").await;
    server.fault(Fault::new(FaultKind::Disconnect));
    assert!(
        try_call(&server, &octo, "GET", ORGANIZATION, None)
            .await
            .is_err()
    );
    server.fault(Fault::new(FaultKind::Slow { milliseconds: 60 }));
    let begun = std::time::Instant::now();
    assert_eq!(get(&server, &octo, ORGANIZATION).await.status, 200);
    assert!(begun.elapsed().as_millis() >= 60);
}

#[tokio::test]
async fn the_control_api_does_what_the_library_does() {
    let server = server().await;
    let post = async |path: &str, body: Value| {
        call(
            &server,
            "",
            "POST",
            &format!("/_standin/{path}"),
            Some(&body),
        )
        .await
    };
    let job = post(
        "jobs",
        json!({ "repository": "new/one", "labels": ["x"], "run": "true" }),
    )
    .await;
    assert_eq!(job.status, 201);
    let id = job.body["id"].as_u64().unwrap();
    assert_eq!(server.job(id).unwrap().repository, "new/one");
    assert_eq!(
        get(&server, "", &format!("/_standin/jobs/{id}")).await.body["status"],
        "queued"
    );
    assert_eq!(
        get(&server, "", "/_standin/leftovers")
            .await
            .body
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        post(&format!("jobs/{id}/cancel"), json!({})).await.body["conclusion"],
        "cancelled"
    );
    assert_eq!(
        get(&server, "", "/_standin/leftovers").await.body,
        json!([])
    );

    let settings = json!({ "lease_grace_ms": 5 });
    let changed = call(&server, "", "PATCH", "/_standin/settings", Some(&settings)).await;
    assert_eq!(changed.body["lease_grace_ms"], 5);
    assert_eq!(server.settings().lease_grace_ms, 5);
    let wrong = call(
        &server,
        "",
        "PATCH",
        "/_standin/settings",
        Some(&json!({ "x": 1 })),
    )
    .await;
    assert_eq!(wrong.status, 422);

    assert_eq!(
        post("faults", json!({ "fault": "status", "status": 500 }))
            .await
            .status,
        204
    );
    assert_eq!(get(&server, "x", ORGANIZATION).await.status, 500);
    assert_eq!(
        post("jobs", json!({ "repository": "x", "labels": ["x"] }))
            .await
            .status,
        422
    );
    assert_eq!(
        post(
            "jobs",
            json!({ "repository": "a/b", "labels": ["x"], "status": "completed" })
        )
        .await
        .status,
        422
    );
    assert_eq!(post("jobs/1/cancel", json!({})).await.status, 404);
    assert_eq!(post("reset", json!({})).await.status, 204);
    assert!(server.jobs().is_empty());
}
