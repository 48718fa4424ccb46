//! What is looked at before a webhook's meaning: size, signature, form.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test fail as the test does"
)]

mod support;

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Value, json};
use support::{NOW, SECRET, answer, deps, machine, request, secret, secrets, sign, workflow_job};
use time::Duration;
use verify::event::BODY_LIMIT;
use verify::{Event, Request, handle};

#[tokio::test]
async fn whatever_is_wrong_with_a_signature_the_answer_is_the_same() {
    let secret = secret();
    let deps = deps(&[], &[&secret]);
    let good = request("ping", b"{}");
    let signature = good.headers["x-hub-signature-256"].clone();
    let mut wrong = vec![None];
    for text in [
        String::new(),
        "sha256=".to_owned(),
        "sha256=zz".to_owned(),
        signature[..70].to_owned(),
        format!("{signature}0"),
        signature.replace("sha256=", "sha1="),
        signature.replace("sha256=", ""),
        sign("another secret", b"{}"),
        sign(SECRET, b"{} "),
    ] {
        wrong.push(Some(text));
    }
    for header in wrong {
        let mut request = good.clone();
        match &header {
            Some(text) => request
                .headers
                .insert("x-hub-signature-256".to_owned(), text.clone()),
            None => request.headers.remove("x-hub-signature-256"),
        };
        let response = answer(&deps, request, NOW).await;
        assert_eq!(
            (response.status_code, response.body.as_str()),
            (401, r#"{"error":"unauthorized"}"#),
            "{header:?}"
        );
    }
}

#[tokio::test]
async fn header_names_come_in_any_case_and_bodies_in_base64() {
    let secret = secret();
    let (start, describe, _) = machine(&[]);
    let deps = deps(&[], &[&secret, &start, &describe]);
    let body = workflow_job("queued", 4242, None).to_string();
    let event = json!({
        "version": "2.0",
        "headers": {
            "X-GitHub-Event": "workflow_job",
            "X-Hub-Signature-256": sign(SECRET, body.as_bytes()),
        },
        "body": base64::engine::general_purpose::STANDARD.encode(&body),
        "isBase64Encoded": true
    });
    let event: Event = serde_json::from_value(event).unwrap();
    let answer = serde_json::to_value(handle(&deps, event, NOW).await).unwrap();
    assert_eq!(answer["statusCode"], 200);
    assert_eq!(answer["headers"]["content-type"], "application/json");
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        body,
        json!({"result": "started", "execution": "hello-4242"})
    );
}

#[tokio::test]
async fn a_body_too_large_is_refused_without_a_look() {
    let deps = deps(&[], &[]);
    let request = Request {
        headers: BTreeMap::new(),
        body: "x".repeat(BODY_LIMIT + 1),
        base64: false,
        source: None,
    };
    assert_eq!(answer(&deps, request, NOW).await.status_code, 413);
}

#[tokio::test]
async fn a_stranger_without_a_signature_costs_no_call() {
    let deps = deps(&[], &[]);
    let request = Request {
        headers: BTreeMap::new(),
        body: "{}".to_owned(),
        base64: false,
        source: None,
    };
    assert_eq!(answer(&deps, request, NOW).await.status_code, 401);
}

#[tokio::test]
async fn only_the_address_of_the_connection_decides_where_a_request_is_from() {
    let allowed = ("ALLOWED_SOURCES", "192.30.252.0/22, 2606:50c0::/32");
    for (source, status) in [
        (json!("192.30.252.44"), 200),
        (json!("2606:50c0::44"), 200),
        (json!("203.0.113.7"), 403),
        (json!("2001:db8::7"), 403),
        (Value::Null, 403),
    ] {
        // No rule answers for a request from elsewhere: it costs no call.
        let secret = secret();
        let rules: &[_] = if status == 200 { &[&secret] } else { &[] };
        let deps = deps(&[allowed], rules);
        let event = json!({
            "version": "2.0",
            "headers": {
                "X-GitHub-Event": "ping",
                "X-Hub-Signature-256": sign(SECRET, b"{}"),
                "X-Forwarded-For": "192.30.252.44",
                "X-Real-IP": "192.30.252.44",
                "Forwarded": "for=192.30.252.44",
            },
            "requestContext": { "http": { "sourceIp": source } },
            "body": "{}",
        });
        let event: Event = serde_json::from_value(event).unwrap();
        let answer = serde_json::to_value(handle(&deps, event, NOW).await).unwrap();
        assert_eq!(answer["statusCode"], status, "{source}");
    }
}

#[tokio::test]
async fn signed_nonsense_is_refused_and_says_why() {
    let secret = secret();
    let deps = deps(&[], &[&secret]);
    for (event, body, told) in [
        ("workflow_job", "payload=%7B%7D", "not JSON"),
        ("push", "", "not JSON"),
        (
            "workflow_job",
            r#"{"workflow_job":{"id":"x"}}"#,
            "cannot parse",
        ),
    ] {
        let response = answer(&deps, request(event, body.as_bytes()), NOW).await;
        assert_eq!(response.status_code, 422, "{body}");
        assert!(response.body.contains(told), "{}", response.body);
    }
    let mut nameless = request("push", b"{}");
    nameless.headers.remove("x-github-event");
    assert_eq!(answer(&deps, nameless, NOW).await.status_code, 422);
}

#[tokio::test]
async fn ping_and_unknown_events_are_acknowledged() {
    let secret = secret();
    let deps = deps(&[], &[&secret]);
    for (event, status) in [("ping", 200), ("push", 202), ("no-such-event", 202)] {
        let response = answer(&deps, request(event, b"{}"), NOW).await;
        assert_eq!(response.status_code, status, "{event}");
    }
    // One read serves them all.
    assert_eq!(secret.num_calls(), 1);
}

#[tokio::test]
async fn the_secret_is_read_again_when_its_time_is_over() {
    let secret = secret();
    let deps = deps(&[("SECRET_TTL_SECONDS", "60")], &[&secret]);
    deps.secrets.prefetch(NOW).await;
    for (second, reads) in [(0, 1), (59, 1), (60, 2), (119, 2), (120, 3)] {
        let now = NOW + Duration::seconds(second);
        assert_eq!(
            answer(&deps, request("ping", b"{}"), now).await.status_code,
            200
        );
        assert_eq!(secret.num_calls(), reads, "after {second} s");
    }
}

#[tokio::test]
async fn a_secret_that_was_changed_costs_no_webhook() {
    let secret = secrets(&["old", SECRET]);
    let deps = deps(&[], &[&secret]);
    deps.secrets.prefetch(NOW).await;
    let later = NOW + Duration::seconds(6);
    assert_eq!(
        answer(&deps, request("ping", b"{}"), later)
            .await
            .status_code,
        200
    );
    assert_eq!(secret.num_calls(), 2);
}

#[tokio::test]
async fn forged_webhooks_do_not_drive_reads_of_the_secret() {
    let secret = secret();
    let deps = deps(&[], &[&secret]);
    for second in 0..10 {
        let mut forged = request("ping", b"{}");
        forged.body = "{ }".to_owned();
        let now = NOW + Duration::seconds(second);
        assert_eq!(answer(&deps, forged, now).await.status_code, 401);
    }
    // At the start, and once five seconds later.
    assert_eq!(secret.num_calls(), 2);
}

#[tokio::test]
async fn both_secrets_are_accepted_while_one_replaces_the_other() {
    let secret = secrets(&["new\nIt's a Secret to Everybody\n"]);
    let deps = deps(&[], &[&secret]);
    let mut by_new = request("ping", b"{}");
    by_new
        .headers
        .insert("x-hub-signature-256".to_owned(), sign("new", b"{}"));
    assert_eq!(answer(&deps, by_new, NOW).await.status_code, 200);
    assert_eq!(
        answer(&deps, request("ping", b"{}"), NOW).await.status_code,
        200
    );
}
