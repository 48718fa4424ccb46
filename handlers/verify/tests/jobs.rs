//! What a `workflow_job` leads to.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test fail as the test does"
)]

mod support;

use std::sync::{Arc, Mutex};

use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionError;
use aws_sdk_sfn::types::ExecutionStatus::{
    Aborted, Failed, PendingRedrive, Running, Succeeded, TimedOut,
};
use aws_sdk_sfn::types::error::ExecutionDoesNotExist;
use aws_smithy_mocks::{Rule, mock};
use serde_json::{Value, json};
use support::{NOW, answer, code, deliver, deps, machine, request, secret, workflow_job};
use time::Duration;

#[tokio::test]
async fn a_queued_job_starts_the_execution_of_its_name() {
    let (start, describe, asked) = machine(&[]);
    let deps = deps(&[], &[&secret(), &start, &describe]);
    let (status, body) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
    assert_eq!(
        (status, body),
        (200, json!({"result": "started", "execution": "hello-4242"}))
    );
    assert_eq!(
        asked.lock().unwrap()[..],
        [(
            "hello-4242".to_owned(),
            json!({
                "job": {
                    "id": 4242, "runId": 99, "runAttempt": 1, "name": "build", "workflow": "CI",
                    "repository": "octo/hello", "ownerType": "Organization", "private": true,
                    "labels": ["linux", "self-hosted"], "installationId": 77,
                    "queuedAt": "1970-01-01T00:00:00Z", "createdAt": "1970-01-01T00:00:00Z"
                },
                "recheck": false,
                "notBefore": null
            })
        )]
    );
    assert_eq!(describe.num_calls(), 0);
}

#[tokio::test]
async fn while_the_deployment_is_paused_jobs_stay_queued_and_few_reads_tell_so() {
    let (start, describe, asked) = machine(&[]);
    let mut deps = deps(&[], &[&secret(), &start, &describe]);
    let (paused, reads) = support::pause(true);
    deps.pause = paused;
    let payload = workflow_job("queued", 4242, None);
    for _ in 0..3 {
        let (status, body) = deliver(&deps, &payload, NOW).await;
        assert_eq!((status, &body["result"]), (423, &json!("paused")));
    }
    assert!(asked.lock().unwrap().is_empty());
    assert_eq!(reads.num_calls(), 1);
    // The end of a pause is known at once, and its beginning within half a minute.
    deliver(&deps, &payload, NOW + Duration::seconds(3)).await;
    assert_eq!(reads.num_calls(), 2);
    let (running, reads) = support::pause(false);
    deps.pause = running;
    for seconds in [0, 10, 29, 31] {
        let now = NOW + Duration::seconds(seconds);
        assert_eq!(deliver(&deps, &payload, now).await.0, 200);
    }
    assert_eq!(reads.num_calls(), 2);
}

#[tokio::test]
async fn a_webhook_of_a_repository_names_no_installation() {
    let (start, describe, asked) = machine(&[]);
    let deps = deps(&[], &[&secret(), &start, &describe]);
    let mut payload = workflow_job("queued", 4242, None);
    payload.as_object_mut().unwrap().remove("installation");
    assert_eq!(deliver(&deps, &payload, NOW).await.0, 200);
    assert_eq!(
        asked.lock().unwrap()[0].1["job"]["installationId"],
        Value::Null
    );
}

#[tokio::test]
async fn a_repeated_delivery_meets_the_execution_at_work() {
    for existing in [
        &[("hello-4242", Running)][..],
        &[("hello-4242", PendingRedrive)],
    ] {
        let (start, describe, asked) = machine(existing);
        let (invoke, seen) = cleanup();
        let deps = deps(&[], &[&secret(), &start, &describe, &invoke]);
        let (status, body) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
        assert_eq!(
            (status, body),
            (200, json!({"result": "running", "execution": "hello-4242"}))
        );
        assert_eq!(asked.lock().unwrap().len(), 1);
        // It may be about to end: cleanup sees to it that somebody asks GitHub once more.
        let told = seen.lock().unwrap();
        assert_eq!(told[0]["kind"], "requeued");
        assert_eq!(told[0]["job"]["id"], 4242);
    }
}

#[tokio::test]
async fn a_closed_execution_is_followed_by_one_that_asks_github_first() {
    for existing in [
        &[("hello-4242", Succeeded)][..],
        &[("hello-4242", Failed)],
        &[("hello-4242", TimedOut)],
        &[("hello-4242", Aborted)],
    ] {
        let (start, describe, asked) = machine(existing);
        let deps = deps(&[], &[&secret(), &start, &describe]);
        let (status, body) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
        assert_eq!(
            (status, body),
            (
                200,
                json!({"result": "started", "execution": "hello-4242-r2"})
            )
        );
        let asked = asked.lock().unwrap();
        let rechecks: Vec<_> = asked.iter().map(|(_, input)| &input["recheck"]).collect();
        assert_eq!(rechecks, [&json!(false), &json!(true)]);
    }
}

#[tokio::test]
async fn the_last_of_several_executions_is_found() {
    let (start, describe, asked) = machine(&[
        ("hello-4242", Failed),
        ("hello-4242-r2", Succeeded),
        ("hello-4242-r3", Running),
    ]);
    let (invoke, _) = cleanup();
    let deps = deps(&[], &[&secret(), &start, &describe, &invoke]);
    let (_, body) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
    assert_eq!(
        body,
        json!({"result": "running", "execution": "hello-4242-r3"})
    );
    assert_eq!((asked.lock().unwrap().len(), describe.num_calls()), (3, 3));
}

#[tokio::test]
async fn an_execution_too_young_to_be_described_is_at_work() {
    let (start, _, _) = machine(&[("hello-4242", Running)]);
    let unknown = mock!(aws_sdk_sfn::Client::describe_execution).then_error(|| {
        DescribeExecutionError::ExecutionDoesNotExist(
            ExecutionDoesNotExist::builder()
                .meta(code("ExecutionDoesNotExist"))
                .build(),
        )
    });
    let (invoke, _) = cleanup();
    let deps = deps(&[], &[&secret(), &start, &unknown, &invoke]);
    let (_, body) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
    assert_eq!(body["result"], "running");
}

#[tokio::test]
async fn a_delivery_that_is_sent_again_and_again_starts_no_sixth_execution() {
    let (start, describe, asked) = machine(&[
        ("hello-4242", Succeeded),
        ("hello-4242-r2", Succeeded),
        ("hello-4242-r3", Succeeded),
        ("hello-4242-r4", Succeeded),
        ("hello-4242-r5", Succeeded),
    ]);
    let deps = deps(&[], &[&secret(), &start, &describe]);
    let (status, body) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
    assert_eq!((status, &body["result"]), (202, &json!("ignored")));
    assert_eq!(body["execution"], "hello-4242-r5");
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|(name, _)| name != "hello-4242-r6"));
}

#[tokio::test]
async fn a_webhook_that_comes_late_has_github_asked_first() {
    for (seconds, recheck) in [
        (0, false),
        (60, false),
        (61, true),
        (86_400, true),
        (-5, false),
    ] {
        let (start, describe, asked) = machine(&[]);
        let deps = deps(&[], &[&secret(), &start, &describe]);
        let now = NOW + Duration::seconds(seconds);
        deliver(&deps, &workflow_job("queued", 4242, None), now).await;
        assert_eq!(
            asked.lock().unwrap()[0].1["recheck"],
            recheck,
            "{seconds} s"
        );
    }
}

#[tokio::test]
async fn what_is_not_served_is_answered_202_with_the_reason() {
    for (variable, change, reason) in [
        (
            ("REQUIRED_LABELS", "self-hosted"),
            ("/workflow_job/labels", json!(["ubuntu-latest"])),
            "the job does not ask for [self-hosted]",
        ),
        (
            ("ALLOWED_OWNERS", "other"),
            ("/action", json!("queued")),
            "octo is not among ALLOWED_OWNERS",
        ),
        (
            ("ALLOWED_REPOSITORIES", "octo/world"),
            ("/action", json!("queued")),
            "octo/hello is not among ALLOWED_REPOSITORIES",
        ),
        (
            ("ALLOW_PUBLIC_REPOSITORIES", "false"),
            ("/repository/private", json!(false)),
            "octo/hello is public, and ALLOW_PUBLIC_REPOSITORIES is false",
        ),
        (
            ("ALLOW_INTERNAL_REPOSITORIES", "false"),
            ("/repository/visibility", json!("internal")),
            "octo/hello is internal, and ALLOW_INTERNAL_REPOSITORIES is false",
        ),
    ] {
        let deps = deps(&[variable], &[&secret()]);
        let mut payload = workflow_job("queued", 4242, None);
        *payload.pointer_mut(change.0).unwrap() = change.1;
        let (status, body) = deliver(&deps, &payload, NOW).await;
        assert_eq!(
            (status, body),
            (202, json!({"result": "ignored", "reason": reason}))
        );
        // A cancel of a job that never started anything is none of our business either.
        payload["action"] = json!("completed");
        assert_eq!(deliver(&deps, &payload, NOW).await.0, 202);
    }
}

/// Lambda, and what it was asked to invoke with.
fn cleanup() -> (Rule, Arc<Mutex<Vec<Value>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let invoke = mock!(aws_sdk_lambda::Client::invoke)
        .match_requests(|request| request.function_name() == Some("cleanup"))
        .then_compute_output(move |request| {
            let payload = request.payload().unwrap().as_ref();
            log.lock()
                .unwrap()
                .push(serde_json::from_slice(payload).unwrap());
            InvokeOutput::builder().status_code(202).build()
        });
    (invoke, seen)
}

#[tokio::test]
async fn a_cancelled_job_is_handed_to_cleanup() {
    let (invoke, seen) = cleanup();
    let deps = deps(&[], &[&secret(), &invoke]);
    let (status, body) = deliver(&deps, &workflow_job("completed", 4242, None), NOW).await;
    assert_eq!(
        (status, body),
        (202, json!({"result": "handed on", "kind": "cancelled"}))
    );
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0]["kind"], "cancelled");
    assert_eq!(seen[0]["job"]["id"], 4242);
}

#[tokio::test]
async fn a_job_taken_by_another_jobs_runner_is_handed_to_cleanup() {
    let (invoke, seen) = cleanup();
    let deps = deps(&[], &[&secret(), &invoke]);
    let mut payload = workflow_job("in_progress", 4242, Some("fr-hello-17-r2-a3"));
    // Not a job that is served here; the runner it took is ours all the same.
    payload["repository"]["private"] = json!(false);
    let (status, body) = deliver(&deps, &payload, NOW).await;
    assert_eq!(
        (status, body),
        (202, json!({"result": "handed on", "kind": "displaced"}))
    );
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0]["kind"], "displaced");
    assert_eq!(seen[0]["job"]["id"], 4242);
    assert_eq!(seen[0]["runner"], "fr-hello-17-r2-a3");
}

#[tokio::test]
async fn a_job_of_a_stranger_on_a_runner_of_our_name_is_nobodys_business() {
    // No rule answers Lambda: nothing is handed on.
    let deps = deps(&[("ALLOWED_OWNERS", "octo")], &[&secret()]);
    let mut payload = workflow_job("in_progress", 4242, Some("fr-hello-17"));
    payload["repository"]["full_name"] = json!("stranger/hello");
    let (status, body) = deliver(&deps, &payload, NOW).await;
    assert_eq!(
        (status, body),
        (
            202,
            json!({"result": "ignored", "reason": "stranger is not among ALLOWED_OWNERS"})
        )
    );
}

#[tokio::test]
async fn an_owner_given_by_its_id_is_served_under_any_name() {
    for (id, status) in [
        (json!(7), "started"),
        (json!(8), "ignored"),
        (json!(null), "ignored"),
    ] {
        let (start, describe, _) = machine(&[]);
        let deps = deps(
            &[("ALLOWED_OWNERS", "before:7")],
            &[&secret(), &start, &describe],
        );
        let mut payload = workflow_job("queued", 4242, None);
        payload["repository"]["owner"]["id"] = id.clone();
        let (_, body) = deliver(&deps, &payload, NOW).await;
        assert_eq!(body["result"], status, "{id}");
    }
}

#[tokio::test]
async fn a_job_in_the_hands_of_its_own_or_a_foreign_runner_needs_nothing() {
    let deps = deps(&[], &[&secret()]);
    for runner in [
        "fr-hello-4242",
        "fr-hello-4242-r2-a5",
        "other-hello-17",
        "GitHub Actions 5",
        "fr-hello",
    ] {
        for action in ["in_progress", "completed"] {
            let payload = workflow_job(action, 4242, Some(runner));
            let (status, body) = deliver(&deps, &payload, NOW).await;
            assert_eq!(
                (status, &body["result"]),
                (202, &json!("ignored")),
                "{runner}"
            );
        }
    }
}

#[tokio::test]
async fn waiting_is_not_queued() {
    let deps = deps(&[], &[&secret()]);
    let (status, body) = deliver(&deps, &workflow_job("waiting", 4242, None), NOW).await;
    assert_eq!((status, &body["result"]), (202, &json!("ignored")));
}

#[tokio::test]
async fn a_workflow_job_without_a_job_is_acknowledged() {
    let deps = deps(&[], &[&secret()]);
    let response = answer(
        &deps,
        request("workflow_job", b"{\"action\":\"queued\"}"),
        NOW,
    )
    .await;
    assert_eq!(response.status_code, 200);
}

#[tokio::test]
async fn repository_names_of_any_length_start_executions() {
    for (name, execution) in [
        ("r".to_owned(), "r-4242".to_owned()),
        ("n".repeat(100), format!("{}-4242", "n".repeat(43))),
        (".github".to_owned(), "github-4242".to_owned()),
    ] {
        let (start, describe, asked) = machine(&[]);
        let deps = deps(&[], &[&secret(), &start, &describe]);
        let mut payload = workflow_job("queued", 4242, None);
        payload["repository"]["full_name"] = json!(format!("octo/{name}"));
        deliver(&deps, &payload, NOW).await;
        assert_eq!(asked.lock().unwrap()[0].0, execution);
    }
}
