//! Webhooks as they arrive, and the App's record of them.
#![allow(clippy::unwrap_used)]

mod support;

use github_standin::{DeliveryFault, DeliveryFaultKind, NewJob, Via, sign};
use serde_json::Value;
use support::{
    ORGANIZATION, PATIENCE, Receiver, app_token, call, get, job, new_job, register, server,
};

#[tokio::test]
async fn a_job_is_told_about_from_queued_to_completed() {
    let server = server().await;
    let mut receiver = Receiver::of(&server).await;
    let (id, config) = register(&server, ORGANIZATION, "one", &["self-hosted", "X"]).await;
    let mut one = server.connect(&config).unwrap();
    let job = job(&server, "octo/hello", &["self-hosted", "X"]);
    one.take(PATIENCE).await.unwrap();
    one.finish("failure");
    let all = receiver.wait(3).await;
    let actions: Vec<_> = all.iter().map(support::Received::action).collect();
    assert_eq!(actions, ["queued", "in_progress", "completed"]);

    let queued = &all[0].body["workflow_job"];
    assert_eq!(queued["id"].as_u64(), Some(job.id));
    assert_eq!(queued["labels"][1], "X", "labels are as they were given");
    assert_eq!(
        (&queued["runner_id"], &queued["conclusion"]),
        (&Value::Null, &Value::Null)
    );
    let begun = &all[1].body["workflow_job"];
    assert_eq!(begun["runner_id"].as_u64(), Some(id));
    assert_eq!(
        (&begun["runner_name"], &begun["runner_group_id"]),
        (&"one".into(), &1.into())
    );
    assert_eq!(all[2].body["workflow_job"]["conclusion"], "failure");
}

#[tokio::test]
async fn a_webhook_is_signed_and_says_whose_it_is() {
    let server = server().await;
    let mut receiver = Receiver::of(&server).await;
    job(&server, "octo/hello", &["x"]);
    let webhook = receiver.wait(1).await.remove(0);
    assert_eq!(
        webhook.header("x-hub-signature-256"),
        sign(&server.webhook_secret(), &webhook.raw)
    );
    assert_eq!(webhook.header("x-github-event"), "workflow_job");
    assert_eq!(webhook.header("x-github-delivery").len(), 36);
    assert_eq!(
        webhook.header("x-github-hook-installation-target-type"),
        "integration"
    );
    assert_eq!(webhook.header("host"), "abc.lambda-url.us-east-1.on.aws");
    assert_eq!(
        webhook.body["installation"]["id"].as_u64(),
        server.installation("octo")
    );
    assert_eq!(webhook.body["organization"]["login"], "octo");
    assert_eq!(webhook.body["repository"]["owner"]["type"], "Organization");
    assert_eq!(webhook.body["repository"]["private"], true);
}

#[tokio::test]
async fn a_webhook_of_a_repository_names_no_installation() {
    let server = server().await;
    let mut receiver = Receiver::of(&server).await;
    let via = |via| NewJob {
        via,
        ..new_job("octo/hello", &["x"])
    };
    server.create_job(via(Via::Repository)).unwrap();
    let webhook = receiver.wait(1).await.remove(0);
    assert_eq!(webhook.body["installation"], Value::Null);
    assert_eq!(
        webhook.header("x-github-hook-installation-target-type"),
        "repository"
    );
    let recorded = get(&server, &app_token(), "/app/hook/deliveries").await;
    assert_eq!(
        recorded.body.as_array().unwrap().len(),
        0,
        "it is not the App's"
    );

    server.create_job(via(Via::AppAndRepository)).unwrap();
    let both = receiver.wait(3).await;
    assert_ne!(
        both[1].header("x-github-delivery"),
        both[2].header("x-github-delivery")
    );
}

#[tokio::test]
async fn an_organizations_webhook_may_go_elsewhere_than_the_apps() {
    let server = server().await;
    let mut app = Receiver::of(&server).await;
    let mut organization = Receiver::of_organizations(&server).await;
    server
        .create_job(NewJob {
            via: Via::AppAndOrganization,
            ..new_job("octo/hello", &["x"])
        })
        .unwrap();
    for (receiver, whose) in [
        (&mut app, "integration"),
        (&mut organization, "organization"),
    ] {
        let webhook = receiver.wait(1).await.remove(0);
        let target = webhook.header("x-github-hook-installation-target-type");
        assert_eq!(target, whose);
    }
    assert!(server.wait_for_deliveries(PATIENCE).await);
    assert_eq!((app.so_far().len(), organization.so_far().len()), (1, 1));
}

#[tokio::test]
async fn a_user_s_repository_has_no_organization() {
    let server = server().await;
    let mut receiver = Receiver::of(&server).await;
    job(&server, "mona/own", &["x"]);
    let webhook = receiver.wait(1).await.remove(0);
    assert!(webhook.body.get("organization").is_none());
    assert_eq!(webhook.body["repository"]["owner"]["type"], "User");
}

#[tokio::test]
async fn an_app_that_is_not_installed_is_told_nothing() {
    let server = server().await;
    let receiver = Receiver::of(&server).await;
    server.uninstall("octo");
    job(&server, "octo/hello", &["x"]);
    assert!(server.wait_for_deliveries(PATIENCE).await);
    assert!(receiver.so_far().is_empty());
}

#[tokio::test]
async fn an_approval_is_told_as_waiting_and_queued_again() {
    let server = server().await;
    let mut receiver = Receiver::of(&server).await;
    let job = job(&server, "octo/hello", &["x"]);
    server.hold_job(job.id).unwrap();
    server.approve_job(job.id).unwrap();
    let all = receiver.wait(3).await;
    let actions: Vec<_> = all.iter().map(support::Received::action).collect();
    assert_eq!(actions, ["queued", "waiting", "queued"]);
}

#[tokio::test]
async fn a_failed_delivery_is_recorded_and_delivered_again_on_request() {
    let server = server().await;
    let mut receiver = Receiver::of(&server).await;
    receiver.answer(500);
    job(&server, "octo/hello", &["x"]);
    receiver.wait(1).await;
    assert!(server.wait_for_deliveries(PATIENCE).await);
    let failed = get(&server, &app_token(), "/app/hook/deliveries?status=failure").await;
    let first = &failed.body[0];
    assert_eq!(
        (&first["status_code"], &first["redelivery"]),
        (&500.into(), &false.into())
    );

    receiver.answer(200);
    let path = format!("/app/hook/deliveries/{}", first["id"]);
    let detail = get(&server, &app_token(), &path).await.body;
    assert_eq!(detail["request"]["payload"]["action"], "queued");
    let reply = call(
        &server,
        &app_token(),
        "POST",
        &format!("{path}/attempts"),
        None,
    )
    .await;
    assert_eq!(reply.status, 202);
    let all = receiver.wait(2).await;
    assert_eq!(all[0].raw, all[1].raw);
    assert_eq!(
        all[0].header("x-github-delivery"),
        all[1].header("x-github-delivery")
    );
    assert!(server.wait_for_deliveries(PATIENCE).await);
    let newest = &get(&server, &app_token(), "/app/hook/deliveries")
        .await
        .body[0];
    assert_eq!(
        (&newest["status_code"], &newest["redelivery"]),
        (&200.into(), &true.into())
    );
    assert_eq!(newest["guid"], first["guid"]);
    assert_ne!(newest["id"], first["id"]);
    let unknown = "/app/hook/deliveries/1/attempts";
    assert_eq!(
        call(&server, &app_token(), "POST", unknown, None)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn deliveries_are_listed_newest_first_by_cursor() {
    let server = server().await;
    let _receiver = Receiver::of(&server).await;
    for _ in 0..5 {
        job(&server, "octo/hello", &["x"]);
    }
    assert!(server.wait_for_deliveries(PATIENCE).await);
    let mut path = "/app/hook/deliveries?per_page=2".to_owned();
    let mut ids = Vec::new();
    loop {
        let page = get(&server, &app_token(), &path).await;
        ids.extend(
            page.body
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["id"].as_u64().unwrap()),
        );
        let link = page.header("link").to_owned();
        let Some((next, _)) = link.split_once(">; rel=\"next\"") else {
            break;
        };
        path = next.trim_start_matches('<').replace(server.url(), "");
        assert!(ids.len() < 10);
    }
    let mut sorted = ids.clone();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!((ids.len(), &ids), (5, &sorted));
    let wrong = get(&server, &app_token(), "/app/hook/deliveries?cursor=x").await;
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn webhooks_are_lost_doubled_and_overtaken_on_demand() {
    let server = server().await;
    let mut receiver = Receiver::of(&server).await;
    let fault = |kind| DeliveryFault::new(kind).on("queued");

    server.delivery_fault(fault(DeliveryFaultKind::Fail { status: 502 }));
    job(&server, "octo/hello", &["x"]);
    server.delivery_fault(fault(DeliveryFaultKind::NeverSend));
    job(&server, "octo/hello", &["x"]);
    assert!(server.wait_for_deliveries(PATIENCE).await);
    assert!(receiver.so_far().is_empty());
    let recorded = server.deliveries();
    assert_eq!((recorded.len(), recorded[0].status_code), (1, 502));

    server.delivery_fault(fault(DeliveryFaultKind::Duplicate { copies: 1 }));
    job(&server, "octo/hello", &["x"]);
    let twice = receiver.wait(2).await;
    assert_eq!(
        twice[0].header("x-github-delivery"),
        twice[1].header("x-github-delivery")
    );

    server.delivery_fault(fault(DeliveryFaultKind::Delay { milliseconds: 300 }));
    let late = job(&server, "octo/hello", &["x"]);
    server.cancel_job(late.id).unwrap();
    let all = receiver.wait(4).await;
    assert_eq!((all[2].action(), all[3].action()), ("completed", "queued"));
}

#[tokio::test]
async fn a_receiver_that_is_not_there_or_too_slow_is_noted() {
    let server = server().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = |url| Some(github_standin::WebhookTarget { url, host: None });
    server.set_webhook(target(format!(
        "http://{}/",
        listener.local_addr().unwrap()
    )));
    server.change_settings(|settings| settings.delivery_timeout_ms = 50);
    job(&server, "octo/hello", &["x"]);
    assert!(server.wait_for_deliveries(PATIENCE).await);
    drop(listener);
    job(&server, "octo/hello", &["x"]);
    assert!(server.wait_for_deliveries(PATIENCE).await);
    let recorded = server.deliveries();
    let codes: Vec<_> = recorded
        .iter()
        .map(|delivery| delivery.status_code)
        .collect();
    assert_eq!(codes, [504, 502]);
    assert_eq!(recorded[0].status, "timed out");
}

#[tokio::test]
async fn a_job_that_github_forgets_to_announce_is_queued_nevertheless() {
    let server = server().await;
    let mut receiver = Receiver::of(&server).await;
    let silent = NewJob {
        unannounced: true,
        ..new_job("octo/hello", &["x"])
    };
    let silent = server.create_job(silent).unwrap();
    server.ping();
    assert_eq!(receiver.wait(1).await[0].header("x-github-event"), "ping");
    assert_eq!(server.job(silent.id).unwrap().status.as_str(), "queued");
}
