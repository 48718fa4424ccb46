//! Whatever comes, the handler answers, and never with a 5xx of its own making.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test fail as the test does"
)]

mod support;

use std::collections::BTreeMap;

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{NOW, SECRET, deps, machine, secret, sign, workflow_job};
use verify::{Answer, Event, Request, handle};

fn status(request: Request) -> u16 {
    let (start, describe, _) = machine(&[]);
    let invoke = aws_smithy_mocks::mock!(aws_sdk_lambda::Client::invoke)
        .then_output(|| aws_sdk_lambda::operation::invoke::InvokeOutput::builder().build());
    let deps = deps(
        &[("ALLOW_PUBLIC_REPOSITORIES", "true")],
        &[&secret(), &start, &describe, &invoke],
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    match runtime.block_on(handle(&deps, Event::Http(request), NOW)) {
        Answer::Http(response) => response.status_code,
        Answer::Batch(batch) => panic!("{batch:?}"),
    }
}

fn signed(event: &str, body: &[u8]) -> Request {
    Request {
        headers: BTreeMap::from([
            ("X-GitHub-Event".to_owned(), event.to_owned()),
            ("X-Hub-Signature-256".to_owned(), sign(SECRET, body)),
        ]),
        body: base64::engine::general_purpose::STANDARD.encode(body),
        base64: true,
        source: None,
    }
}

/// JSON of the kinds that a field of a payload could be.
fn any_json() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        prop::collection::vec("\\PC{0,12}", 0..4).prop_map(Value::from),
        Just(json!({})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn strangers_are_refused(
        headers in prop::collection::btree_map("[A-Za-z0-9-]{0,20}", "\\PC{0,80}", 0..4),
        signature in "(sha256=)?[0-9a-f]{0,70}",
        body in "\\PC{0,200}",
        base64 in any::<bool>(),
    ) {
        let mut headers = headers;
        headers.insert("x-hub-signature-256".to_owned(), signature);
        prop_assert_eq!(status(Request { headers, body, base64, source: None }), 401);
    }

    #[test]
    fn signed_bytes_of_any_kind_are_answered(event in "\\PC{0,20}|workflow_job|ping", body in prop::collection::vec(any::<u8>(), 0..200)) {
        let status = status(signed(&event, &body));
        prop_assert!(matches!(status, 200 | 202 | 422), "{}", status);
    }

    #[test]
    fn a_payload_with_any_field_changed_is_answered(
        action in "queued|in_progress|completed|waiting",
        pointer in prop::sample::select(&[
            "", "/action", "/workflow_job", "/workflow_job/id", "/workflow_job/run_id",
            "/workflow_job/run_attempt", "/workflow_job/name", "/workflow_job/labels",
            "/workflow_job/runner_id", "/workflow_job/runner_name", "/workflow_job/created_at",
            "/repository", "/repository/full_name", "/repository/private", "/repository/owner",
            "/repository/owner/type", "/installation", "/installation/id",
        ]),
        value in any_json(),
    ) {
        let mut payload = workflow_job(&action, 4242, None);
        *payload.pointer_mut(pointer).unwrap() = value;
        let status = status(signed("workflow_job", payload.to_string().as_bytes()));
        prop_assert!(matches!(status, 200 | 202 | 422), "{}", status);
    }

    #[test]
    fn any_event_is_read_or_refused(event in any_json(), headers in any_json(), body in any_json(), records in any_json()) {
        let _ = serde_json::from_value::<Event>(event);
        let _ = serde_json::from_value::<Event>(json!({
            "headers": headers, "body": body, "Records": records
        }));
    }
}
