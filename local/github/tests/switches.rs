//! What GitHub may do or not do, each by a switch or a control call of its own.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use github_standin::{
    DeliveryFault, DeliveryFaultKind, Fault, FaultKind, JobStatus, NewJob, RunnerGroup,
};
use serde_json::json;
use support::{
    ORGANIZATION, PATIENCE, REPOSITORY, Receiver, app_token, call, get, job, new_job, register,
    server, token,
};

#[tokio::test]
async fn installation_tokens_are_long_and_have_dots() {
    let server = server().await;
    let token = token(&server, "octo").await;
    assert!(token.starts_with("ghs_") && token.len() >= 500, "{token}");
    assert_eq!(token.matches('.').count(), 2);
}

#[tokio::test]
async fn a_runner_deleted_before_it_hears_of_its_job_gives_the_job_back() {
    let server = server().await;
    server.change_settings(|settings| settings.assignment_gap_ms = 600_000);
    let (id, config) = register(&server, ORGANIZATION, "slow", &["linux"]).await;
    let _runner = server.connect(&config).unwrap();
    let job = job(&server, "octo/hello", &["linux"]);
    assert_eq!(server.job(job.id).unwrap().leased_to, Some(id));
    let token = token(&server, "octo").await;
    let path = format!("{ORGANIZATION}/{id}");
    assert_eq!(get(&server, &token, &path).await.body["busy"], json!(false));
    let deleted = call(&server, &token, "DELETE", &path, None).await;
    assert_eq!(deleted.status, 204);
    let job = server.job(job.id).unwrap();
    assert_eq!((job.status, job.leased_to), (JobStatus::Queued, None));
}

#[tokio::test]
async fn after_the_gap_a_runner_hears_of_its_job() {
    let server = server().await;
    server.change_settings(|settings| settings.assignment_gap_ms = 60);
    let (id, config) = register(&server, ORGANIZATION, "slow", &["linux"]).await;
    let mut runner = server.connect(&config).unwrap();
    let job = job(&server, "octo/hello", &["linux"]);
    assert_eq!(runner.take(PATIENCE).await.unwrap().id, job.id);
    let token = token(&server, "octo").await;
    let path = format!("{ORGANIZATION}/{id}");
    let refused = call(&server, &token, "DELETE", &path, None).await;
    assert_eq!(refused.status, 422);
}

#[tokio::test]
async fn a_busy_runner_that_is_shown_as_idle_is_still_not_deleted() {
    let server = server().await;
    server.change_settings(|settings| settings.busy_unseen = true);
    let (id, config) = register(&server, ORGANIZATION, "quiet", &["linux"]).await;
    let mut runner = server.connect(&config).unwrap();
    job(&server, "octo/hello", &["linux"]);
    runner.take(PATIENCE).await.unwrap();
    let token = token(&server, "octo").await;
    let path = format!("{ORGANIZATION}/{id}");
    assert_eq!(get(&server, &token, &path).await.body["busy"], json!(false));
    let refused = call(&server, &token, "DELETE", &path, None).await;
    assert_eq!(refused.status, 422);
}

#[tokio::test]
async fn a_job_without_labels_goes_to_the_group_that_it_names() {
    let server = server().await;
    let group = RunnerGroup {
        name: "Builders".to_owned(),
        repositories: None,
        allows_public: false,
    };
    let group = server.add_runner_group("octo", group).unwrap();
    let (_, config) = register(&server, ORGANIZATION, "other", &["linux"]).await;
    let _other = server.connect(&config).unwrap();
    let job = server
        .create_job(NewJob {
            group: Some("builders".to_owned()),
            ..new_job("octo/hello", &[])
        })
        .unwrap();
    assert_eq!(server.job(job.id).unwrap().leased_to, None);
    let token = token(&server, "octo").await;
    let body = json!({ "name": "builder", "runner_group_id": group, "labels": ["linux"] });
    let path = format!("{ORGANIZATION}/generate-jitconfig");
    let reply = call(&server, &token, "POST", &path, Some(&body)).await;
    let config = reply.body["encoded_jit_config"].as_str().unwrap();
    let mut builder = server.connect(config).unwrap();
    assert_eq!(builder.take(PATIENCE).await.unwrap().id, job.id);
}

#[tokio::test]
async fn a_hidden_repository_answers_404_to_every_call() {
    let server = server().await;
    let job = job(&server, "octo/hello", &["linux"]);
    server.change_settings(|settings| {
        settings.hidden_repositories = ["Octo/Hello".to_owned()].into();
    });
    let token = token(&server, "octo").await;
    for path in [
        "/repos/octo/hello".to_owned(),
        REPOSITORY.to_owned(),
        format!("/repos/octo/hello/actions/jobs/{}", job.id),
        "/repos/octo/hello/actions/runs".to_owned(),
    ] {
        assert_eq!(get(&server, &token, &path).await.status, 404, "{path}");
    }
    let as_app = get(&server, &app_token(), "/repos/octo/hello/installation").await;
    assert_eq!(as_app.status, 404);
    assert_eq!(get(&server, &token, "/repos/octo/other").await.status, 200);
    let listed = get(&server, &token, "/installation/repositories").await;
    assert_eq!(listed.body["total_count"], json!(2), "it is still included");
}

#[tokio::test]
async fn an_excluded_repository_is_out_of_reach_and_not_listed() {
    let server = server().await;
    server.exclude("octo", &["octo/Hello"]);
    let token = token(&server, "octo").await;
    assert_eq!(get(&server, &token, "/repos/octo/hello").await.status, 404);
    let as_app = get(&server, &app_token(), "/repos/octo/hello/installation").await;
    assert_eq!(as_app.status, 404);
    let listed = get(&server, &token, "/installation/repositories").await;
    assert_eq!(listed.body["total_count"], json!(1));
}

#[tokio::test]
async fn a_missing_permission_can_look_like_a_missing_thing() {
    let server = server().await;
    server.set_permission("octo", "administration", None);
    let token = token(&server, "octo").await;
    assert_eq!(get(&server, &token, REPOSITORY).await.status, 403);
    server.change_settings(|settings| settings.hide_missing_permission = true);
    assert_eq!(get(&server, &token, REPOSITORY).await.status, 404);
}

#[tokio::test]
async fn a_deletion_answered_with_404_leaves_the_runner() {
    let server = server().await;
    let (id, _) = register(&server, ORGANIZATION, "stays", &["linux"]).await;
    let missing = FaultKind::Status {
        status: 404,
        message: None,
        retry_after: None,
    };
    server.fault(Fault::new(missing).on("DELETE", "/runners/{runner_id}"));
    let token = token(&server, "octo").await;
    let path = format!("{ORGANIZATION}/{id}");
    let answered = call(&server, &token, "DELETE", &path, None).await;
    assert_eq!((answered.status, server.runners().len()), (404, 1));
}

#[tokio::test]
async fn an_approval_can_move_the_time_of_creation() {
    let server = server().await;
    let long_ago = time::OffsetDateTime::UNIX_EPOCH;
    for moves in [false, true] {
        server.change_settings(|settings| settings.approval_moves_created_at = moves);
        let job = server
            .create_job(NewJob {
                status: JobStatus::Waiting,
                created_at: Some(long_ago),
                ..new_job("octo/hello", &["linux"])
            })
            .unwrap();
        let approved = server.approve_job(job.id).unwrap();
        assert_eq!(approved.created_at != long_ago, moves);
    }
}

#[tokio::test]
async fn a_lost_job_stays_queued_and_goes_to_nobody_until_it_is_found() {
    let server = server().await;
    let job = job(&server, "octo/hello", &["linux"]);
    server.lose_job(job.id).unwrap();
    let (_, config) = register(&server, ORGANIZATION, "idle", &["linux"]).await;
    let mut runner = server.connect(&config).unwrap();
    assert!(runner.take(Duration::from_millis(100)).await.is_none());
    assert_eq!(server.job(job.id).unwrap().status, JobStatus::Queued);
    server.release_job(job.id).unwrap();
    assert_eq!(runner.take(PATIENCE).await.unwrap().id, job.id);
}

#[tokio::test]
async fn a_deleted_run_takes_its_jobs_along_and_nothing_tells_of_it() {
    let server = server().await;
    let receiver = Receiver::of(&server).await;
    let job = job(&server, "octo/hello", &["linux"]);
    assert!(server.wait_for_deliveries(PATIENCE).await);
    server.delete_run(job.run_id).unwrap();
    assert!(server.wait_for_deliveries(PATIENCE).await);
    let token = token(&server, "octo").await;
    for path in [
        format!("/repos/octo/hello/actions/jobs/{}", job.id),
        format!("/repos/octo/hello/actions/runs/{}", job.run_id),
    ] {
        assert_eq!(get(&server, &token, &path).await.status, 404, "{path}");
    }
    assert_eq!(receiver.so_far().len(), 1);
}

#[tokio::test]
async fn what_stands_before_the_receiver_answers_in_its_place() {
    for (status, words) in [
        (403, "Forbidden"),
        (408, "Request Timeout"),
        (429, "Too Many Requests"),
    ] {
        let server = server().await;
        let receiver = Receiver::of(&server).await;
        server.delivery_fault(DeliveryFault::new(DeliveryFaultKind::Fail { status }));
        job(&server, "octo/hello", &["linux"]);
        assert!(server.wait_for_deliveries(PATIENCE).await);
        let delivery = server.deliveries().pop().unwrap();
        assert_eq!(
            (delivery.status_code, delivery.status.as_str()),
            (status, words)
        );
        assert!(receiver.so_far().is_empty());
    }
}

#[tokio::test]
async fn every_webhook_can_be_late_and_stays_in_order() {
    let server = server().await;
    let mut receiver = Receiver::of(&server).await;
    server.change_settings(|settings| settings.delivery_delay_ms = 50);
    let job = job(&server, "octo/hello", &["linux"]);
    server.cancel_job(job.id).unwrap();
    let actions: Vec<_> = receiver.wait(2).await;
    let actions: Vec<_> = actions.iter().map(|one| one.action().to_owned()).collect();
    assert_eq!(actions, ["queued", "completed"]);
}
