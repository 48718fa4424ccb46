//! What happens while AWS does not answer as it should. Never 2xx for what is dropped, never 5xx for
//! what is kept.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test fail as the test does"
)]

mod support;

use std::sync::{Arc, Mutex};

use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_sfn::operation::start_execution::StartExecutionOutput;
use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::operation::change_message_visibility_batch::ChangeMessageVisibilityBatchOutput;
use aws_sdk_sqs::operation::send_message::SendMessageOutput;
use aws_sdk_ssm::operation::get_parameter::{GetParameterError, GetParameterOutput};
use aws_sdk_ssm::types::Parameter;
use aws_sdk_ssm::types::error::ParameterNotFound;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use serde_json::{Value, json};
use support::{
    NOW, QUEUE, SECRET, answer, deliver, deps, machine, request, secret, sign, workflow_job,
};
use time::Duration;
use tokio::time::Instant;
use verify::event::{ItemFailure, Message};
use verify::secret::Secrets;
use verify::{Answer, BatchResponse, Deps, Event, handle};

/// What SSM returns for a parameter with that value.
fn parameter(value: &str) -> GetParameterOutput {
    GetParameterOutput::builder()
        .parameter(Parameter::builder().value(value).build())
        .build()
}

/// An error as the JSON protocol writes it.
fn error_body(code: &str) -> String {
    format!(r#"{{"__type":"{code}","message":"no"}}"#)
}

/// Step Functions that always answers with an error.
fn refusing(code: &str) -> Rule {
    mock!(aws_sdk_sfn::Client::start_execution)
        .sequence()
        .http_status(400, Some(error_body(code)))
        .repeatedly()
        .build()
}

fn queue_takes() -> Rule {
    mock!(aws_sdk_sqs::Client::send_message)
        .match_requests(|request| {
            let order: Value = serde_json::from_str(request.message_body().unwrap()).unwrap();
            request.queue_url() == Some(QUEUE.1)
                && order["job"]["id"] == 4242
                // Nobody knows when it leaves the queue.
                && order["recheck"] == true
        })
        .then_output(|| SendMessageOutput::builder().build())
}

fn queue_refuses() -> Rule {
    mock!(aws_sdk_sqs::Client::send_message)
        .sequence()
        .http_status(400, Some(error_body("AccessDenied")))
        .build()
}

#[tokio::test(start_paused = true)]
async fn a_throttled_start_is_tried_again() {
    let start = mock!(aws_sdk_sfn::Client::start_execution)
        .sequence()
        .http_status(400, Some(error_body("ThrottlingException")))
        .times(2)
        .output(|| {
            StartExecutionOutput::builder()
                .execution_arn("arn")
                .start_date(DateTime::from_secs(0))
                .build()
                .unwrap()
        })
        .build();
    let deps = deps(&[], &[&secret(), &start]);
    let (status, body) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
    assert_eq!((status, &body["result"]), (200, &json!("started")));
    assert_eq!(start.num_calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_kept_after_the_first_throttle() {
    for code in ["ThrottlingException", "ExecutionLimitExceeded"] {
        let (start, queue) = (refusing(code), queue_takes());
        let deps = deps(&[QUEUE], &[&secret(), &start, &queue]);
        let begun = Instant::now();
        let (status, body) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
        assert_eq!((status, body), (202, json!({"result": "kept"})));
        assert_eq!((start.num_calls(), queue.num_calls()), (1, 1));
        assert!(begun.elapsed().is_zero(), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_started_within_a_second_is_kept() {
    let (start, queue) = (refusing("ServiceUnavailable"), queue_takes());
    let deps = deps(&[QUEUE], &[&secret(), &start, &queue]);
    let begun = Instant::now();
    let (status, _) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
    assert_eq!((status, queue.num_calls()), (202, 1));
    assert!(start.num_calls() > 1);
    assert!(begun.elapsed().as_secs_f64() <= 1.1);
}

#[tokio::test(start_paused = true)]
async fn after_a_throttle_jobs_are_kept_without_a_call_for_a_few_seconds() {
    let (start, queue) = (refusing("ThrottlingException"), queue_takes());
    let deps = deps(&[QUEUE], &[&secret(), &start, &queue]);
    for (seconds, calls) in [(0, 1), (1, 1), (4, 2)] {
        tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
        let (status, _) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
        assert_eq!(
            (status, start.num_calls()),
            (202, calls),
            "{seconds} s later"
        );
    }
    assert_eq!(queue.num_calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_queue_does_not_take_is_started_although_another_was_throttled() {
    let start = mock!(aws_sdk_sfn::Client::start_execution)
        .sequence()
        .http_status(400, Some(error_body("ThrottlingException")))
        .output(|| {
            StartExecutionOutput::builder()
                .execution_arn("arn")
                .start_date(DateTime::from_secs(0))
                .build()
                .unwrap()
        })
        .build();
    let refused = queue_refuses();
    let deps = deps(&[QUEUE], &[&secret(), &start, &refused]);
    let (status, body) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
    assert_eq!((status, &body["result"]), (200, &json!("started")));
    assert_eq!((start.num_calls(), refused.num_calls()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_neither_started_nor_kept_is_503() {
    let refused = queue_refuses();
    for (variables, rules) in [(vec![], vec![]), (vec![QUEUE], vec![&refused])] {
        let (secret, start) = (secret(), refusing("ThrottlingException"));
        let rules: Vec<_> = rules.into_iter().chain([&secret, &start]).collect();
        let deps = deps(&variables, &rules);
        let (status, body) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
        assert_eq!(status, 503, "{body}");
    }
    assert_eq!(refused.num_calls(), 1);
}

#[tokio::test]
async fn what_waiting_does_not_mend_is_500_and_not_kept() {
    let start = refusing("AccessDeniedException");
    let deps = deps(&[QUEUE], &[&secret(), &start]);
    let (status, body) = deliver(&deps, &workflow_job("queued", 4242, None), NOW).await;
    assert_eq!(
        (status, body),
        (
            500,
            json!({"error": "no execution was started; see the log"})
        )
    );
    assert_eq!(start.num_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_for_cleanup_that_lambda_does_not_take_is_503() {
    let invoke = mock!(aws_sdk_lambda::Client::invoke)
        .sequence()
        .http_status(429, Some(error_body("TooManyRequestsException")))
        .repeatedly()
        .build();
    let deps = deps(&[QUEUE], &[&secret(), &invoke]);
    let (status, _) = deliver(&deps, &workflow_job("completed", 4242, None), NOW).await;
    assert_eq!(status, 503);
}

#[tokio::test]
async fn a_missing_or_empty_secret_is_500_and_not_named_to_strangers() {
    let missing = mock!(aws_sdk_ssm::Client::get_parameter)
        .then_error(|| GetParameterError::ParameterNotFound(ParameterNotFound::builder().build()));
    let empty = mock!(aws_sdk_ssm::Client::get_parameter).then_output(|| parameter(" \n"));
    for ssm in [missing, empty] {
        let response = answer(&deps(&[], &[&ssm]), request("ping", b"{}"), NOW).await;
        assert_eq!(
            (response.status_code, response.body.as_str()),
            (
                500,
                r#"{"error":"the signature cannot be checked; see the log"}"#
            )
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_of_the_secret_is_remembered_for_seconds_only() {
    let ssm = mock!(aws_sdk_ssm::Client::get_parameter)
        .sequence()
        .http_status(400, Some(error_body("AccessDeniedException")))
        .output(|| parameter(SECRET))
        .build();
    let deps = deps(&[], &[&ssm]);
    for (seconds, status) in [(0, 500), (0, 500), (5, 200)] {
        let now = NOW + Duration::seconds(seconds);
        let response = answer(&deps, request("ping", b"{}"), now).await;
        assert_eq!(response.status_code, status, "after {seconds} s");
    }
    assert_eq!(ssm.num_calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_first_webhook_outlasts_one_throttled_read_of_the_secret() {
    let ssm = mock!(aws_sdk_ssm::Client::get_parameter)
        .sequence()
        .http_status(400, Some(error_body("ThrottlingException")))
        .output(|| parameter(SECRET))
        .build();
    let deps = deps(&[], &[&ssm]);
    let begun = Instant::now();
    let response = answer(&deps, request("ping", b"{}"), NOW).await;
    assert_eq!(response.status_code, 200);
    assert!(begun.elapsed().as_secs() < 6);
}

#[tokio::test(start_paused = true)]
async fn the_known_secret_serves_for_an_hour_while_it_cannot_be_read() {
    let ssm = mock!(aws_sdk_ssm::Client::get_parameter)
        .sequence()
        .output(|| parameter(SECRET))
        .http_status(400, Some(error_body("ThrottlingException")))
        .repeatedly()
        .build();
    let deps = deps(&[], &[&ssm]);
    for (minutes, status) in [(0, 200), (5, 200), (6, 200), (59, 200), (60, 503)] {
        let now = NOW + Duration::minutes(minutes);
        let response = answer(&deps, request("ping", b"{}"), now).await;
        assert_eq!(response.status_code, status, "after {minutes} min");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_cannot_be_checked_with_the_newest_secret_is_503_so_that_it_is_repeated() {
    let ssm = mock!(aws_sdk_ssm::Client::get_parameter)
        .sequence()
        .output(|| parameter("the one before"))
        .http_status(400, Some(error_body("ThrottlingException")))
        .output(|| parameter(SECRET))
        .build();
    let deps = deps(&[], &[&ssm]);
    deps.secrets.prefetch(NOW).await;
    // Changed meanwhile. The read fails, then it is too early for another, then it succeeds.
    for (seconds, status) in [(10, 503), (11, 503), (70, 200)] {
        let now = NOW + Duration::seconds(seconds);
        let response = answer(&deps, request("ping", b"{}"), now).await;
        assert_eq!(response.status_code, status, "after {seconds} s");
    }
    assert_eq!(ssm.num_calls(), 3);
}

fn throttled() -> Rule {
    mock!(aws_sdk_ssm::Client::get_parameter)
        .sequence()
        .http_status(400, Some(error_body("ThrottlingException")))
        .repeatedly()
        .build()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_forged_requests_make_few_calls_of_a_throttling_ssm() {
    // At once, and within a few minutes.
    for apart in [Duration::ZERO, Duration::milliseconds(200)] {
        let ssm = throttled();
        let deps = deps(&[], &[&ssm]);
        let mut forged = request("ping", b"{}");
        forged.body = "{ }".to_owned();
        for number in 0..1_000 {
            let response = answer(&deps, forged.clone(), NOW + apart * number).await;
            assert_eq!(response.status_code, 503);
        }
        assert!(ssm.num_calls() <= 10, "{} calls", ssm.num_calls());
    }
}

#[tokio::test(start_paused = true)]
async fn forged_requests_to_three_hundred_sandboxes_leave_ssm_to_the_rest_of_the_account() {
    for ssm in [secret(), throttled()] {
        let client = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [&ssm]);
        let signature = sign("a guess", b"{}").parse().unwrap();
        for _ in 0..300 {
            let parameter = "/fargate-runners/github/webhook-secret".to_owned();
            let secrets = Secrets::new(client.clone(), parameter, Duration::minutes(5));
            secrets.prefetch(NOW).await;
            for second in 0..60 {
                let now = NOW + Duration::seconds(second);
                assert!(secrets.check(b"{}", &signature, now).await.is_err());
            }
        }
        assert!(ssm.num_calls() <= 600, "{} calls", ssm.num_calls());
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_changes_under_a_flood_is_accepted_after_its_time_at_the_latest() {
    let ssm = mock!(aws_sdk_ssm::Client::get_parameter)
        .sequence()
        .output(|| parameter("the one before"))
        .times(4)
        .output(|| parameter(SECRET))
        .repeatedly()
        .build();
    let deps = deps(&[], &[&ssm]);
    let mut forged = request("ping", b"{}");
    forged.body = "{ }".to_owned();
    for second in 0..=500 {
        let now = NOW + Duration::seconds(second);
        assert_eq!(answer(&deps, forged.clone(), now).await.status_code, 401);
    }
    let now = NOW + Duration::seconds(501);
    let response = answer(&deps, request("ping", b"{}"), now).await;
    assert_eq!(response.status_code, 200);
}

fn order(id: u64) -> String {
    json!({
        "job": {
            "id": id, "runId": 99, "runAttempt": 1, "name": "build", "workflow": "CI",
            "repository": "octo/hello", "ownerType": "Organization", "private": true,
            "labels": ["self-hosted"], "installationId": null, "queuedAt": "1970-01-01T00:00:00Z"
        },
        "recheck": true,
        "notBefore": null
    })
    .to_string()
}

async fn drain(deps: &Deps, bodies: &[String]) -> Vec<String> {
    let messages: Vec<Message> = bodies
        .iter()
        .enumerate()
        .map(|(index, body)| {
            let record = json!({
                "messageId": index.to_string(), "body": body, "receiptHandle": format!("r{index}"),
                "attributes": { "ApproximateReceiveCount": "4" },
            });
            serde_json::from_value(record).unwrap()
        })
        .collect();
    match handle(deps, Event::Queue(messages), NOW).await {
        Answer::Batch(BatchResponse {
            batch_item_failures,
        }) => batch_item_failures
            .into_iter()
            .map(|ItemFailure { item_identifier }| item_identifier)
            .collect(),
        Answer::Http(response) => panic!("{response:?}"),
    }
}

#[tokio::test]
async fn kept_jobs_are_started_and_only_what_is_no_order_goes_back() {
    let (start, describe, asked) = machine(&[]);
    let deps = deps(&[], &[&start, &describe]);
    let failed = drain(&deps, &[order(1), "{}".to_owned(), order(2)]).await;
    assert_eq!(failed, ["1"]);
    let asked = asked.lock().unwrap();
    let names: Vec<_> = asked.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hello-1", "hello-2"]);
    assert!(asked.iter().all(|(_, input)| input["recheck"] == true));
}

/// Receipt handles of messages that were put off, and for how many seconds.
type Noted = Arc<Mutex<Vec<(String, i32)>>>;

/// SQS that notes what it is to put off.
fn putting_off() -> (Rule, Noted) {
    let noted = Noted::default();
    let log = noted.clone();
    let rule = mock!(aws_sdk_sqs::Client::change_message_visibility_batch).then_compute_output(
        move |request| {
            assert_eq!(request.queue_url(), Some(QUEUE.1));
            log.lock()
                .unwrap()
                .extend(request.entries().iter().map(|entry| {
                    let seconds = entry.visibility_timeout().unwrap();
                    (entry.receipt_handle().to_owned(), seconds)
                }));
            ChangeMessageVisibilityBatchOutput::builder()
                .set_successful(Some(Vec::new()))
                .set_failed(Some(Vec::new()))
                .build()
                .unwrap()
        },
    );
    (rule, noted)
}

#[tokio::test(start_paused = true)]
async fn while_step_functions_takes_no_more_messages_go_back_for_longer_each_time() {
    let (start, (visibility, noted)) = (refusing("ThrottlingException"), putting_off());
    let deps = deps(&[QUEUE], &[&start, &visibility]);
    let begun = Instant::now();
    let failed = drain(&deps, &[order(1), order(2), order(3)]).await;
    assert_eq!(failed, ["0", "1", "2"]);
    assert!(begun.elapsed().as_secs() < 9);
    // Ever slower: not once for each message and half second.
    assert!(
        (3..=9).contains(&start.num_calls()),
        "{}",
        start.num_calls()
    );
    let noted = noted.lock().unwrap();
    let handles: Vec<_> = noted.iter().map(|(handle, _)| handle.as_str()).collect();
    assert_eq!(handles, ["r0", "r1", "r2"]);
    // Eight seconds for the fourth time, less up to a quarter.
    assert!(
        noted.iter().all(|(_, seconds)| (6..=8).contains(seconds)),
        "{noted:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_waiting_does_not_help_comes_back_soon_until_it_is_put_aside() {
    let (start, (visibility, noted)) = (refusing("AccessDeniedException"), putting_off());
    let deps = deps(&[QUEUE], &[&start, &visibility]);
    let failed = drain(&deps, &["nonsense".to_owned(), order(1)]).await;
    assert_eq!(failed, ["0", "1"]);
    assert_eq!(start.num_calls(), 1);
    let noted = noted.lock().unwrap();
    assert!(noted.iter().all(|(_, seconds)| *seconds == 5), "{noted:?}");
}

#[tokio::test(start_paused = true)]
async fn messages_that_cannot_be_put_off_go_back_all_the_same() {
    let visibility = mock!(aws_sdk_sqs::Client::change_message_visibility_batch)
        .sequence()
        .http_status(400, Some(error_body("AccessDenied")))
        .build();
    let deps = deps(&[QUEUE], &[&refusing("ThrottlingException"), &visibility]);
    assert_eq!(drain(&deps, &[order(1)]).await, ["0"]);
    assert_eq!(visibility.num_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_message_is_tried_again_in_the_same_batch() {
    let start = mock!(aws_sdk_sfn::Client::start_execution)
        .sequence()
        .http_status(400, Some(error_body("ThrottlingException")))
        .times(2)
        .output(|| {
            StartExecutionOutput::builder()
                .execution_arn("arn")
                .start_date(DateTime::from_secs(0))
                .build()
                .unwrap()
        })
        .repeatedly()
        .build();
    let deps = deps(&[QUEUE], &[&start]);
    let failed = drain(&deps, &[order(1), order(2), order(3)]).await;
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(start.num_calls(), 5);
}

#[tokio::test]
async fn a_kept_job_whose_execution_is_at_work_is_told_to_cleanup() {
    let (start, describe, _) = machine(&[("hello-1", ExecutionStatus::Running)]);
    let invoke = mock!(aws_sdk_lambda::Client::invoke)
        .match_requests(|request| {
            let event: Value = serde_json::from_slice(request.payload().unwrap().as_ref()).unwrap();
            event.to_string().contains("equeued")
        })
        .then_output(|| InvokeOutput::builder().status_code(202).build());
    let deps = deps(&[QUEUE], &[&start, &describe, &invoke]);
    assert!(drain(&deps, &[order(1)]).await.is_empty());
    assert_eq!(invoke.num_calls(), 1);
}

#[tokio::test]
async fn an_answer_to_the_queue_names_what_goes_back() {
    let event = json!({"Records": [{"messageId": "m", "body": "nonsense"}]});
    let event: Event = serde_json::from_value(event).unwrap();
    let answer = handle(&deps(&[], &[]), event, NOW).await;
    assert_eq!(
        serde_json::to_value(answer).unwrap(),
        json!({"batchItemFailures": [{"itemIdentifier": "m"}]})
    );
}

#[tokio::test]
async fn lambda_is_asked_asynchronously() {
    let invoke = mock!(aws_sdk_lambda::Client::invoke)
        .match_requests(|request| {
            request.invocation_type() == Some(&aws_sdk_lambda::types::InvocationType::Event)
        })
        .then_output(|| InvokeOutput::builder().status_code(202).build());
    let deps = deps(&[], &[&secret(), &invoke]);
    let (status, _) = deliver(&deps, &workflow_job("completed", 4242, None), NOW).await;
    assert_eq!((status, invoke.num_calls()), (202, 1));
}
