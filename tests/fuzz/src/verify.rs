//! `verify`: whatever comes to the webhook's address, and whatever GitHub may sign.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;

use aws::executions::Executions;
use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_sfn::operation::start_execution::StartExecutionOutput;
use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_ssm::operation::get_parameter::{GetParameterError, GetParameterOutput};
use aws_sdk_ssm::types::Parameter;
use aws_sdk_ssm::types::error::ParameterNotFound;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::{ExecutionName, Order};
use runtime::settings::Settings;
use time::OffsetDateTime;
use tokio::runtime::{Builder, Runtime};
use verify::event::Message;
use verify::pause::Pause;
use verify::secret::Secrets;
use verify::{Answer, Config, Deps, Event, Request, handle};

const SECRET: &str = "a secret that the fuzzer is not told";
const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:runner";
const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// Four ways in, told apart by how the bytes begin:
///
/// - `{`: an event as Lambda delivers it, which nobody has signed;
/// - `/`: a line with a field of a queued job's event that merely informs, then its value as JSON;
/// - `sha256`: a line with a signature, then the body it is said to be of;
/// - else: a line with GitHub's name of an event, then a body of any bytes, rightly signed.
pub fn verify(data: &[u8]) {
    if data.starts_with(b"{") {
        if let Ok(event) = serde_json::from_slice(data) {
            delivered(event);
        }
        return;
    }
    let end = data.iter().position(|byte| *byte == b'\n');
    let (line, body) = data.split_at(end.unwrap_or(data.len()));
    let body = body.strip_prefix(b"\n").unwrap_or(body);
    let Ok(line) = std::str::from_utf8(line) else {
        return;
    };
    if line.starts_with('/') {
        named(line, body);
    } else if line.starts_with("sha256") {
        assert_eq!(status(request("workflow_job", line, body)), 401);
    } else {
        let status = status(request(line, &sign(body), body));
        assert!(matches!(status, 200 | 202 | 422), "{status}");
    }
}

/// Fields that nothing is decided by: whatever they hold, the job's execution is started.
const INFORMING: &[&str] = &[
    "/workflow_job/run_attempt",
    "/workflow_job/name",
    "/workflow_job/workflow_name",
    "/workflow_job/head_branch",
    "/workflow_job/steps",
    "/workflow_job/runner_id",
    "/workflow_job/runner_name",
    "/workflow_job/runner_group_id",
    "/workflow_job/runner_group_name",
    "/workflow_job/created_at",
    "/workflow_job/started_at",
    "/repository/private",
    "/repository/visibility",
    "/repository/description",
    "/repository/owner",
    "/installation",
    "/sender",
    "/a field that nobody knows",
];

/// The field whose value decides whether the job is served.
const LABELS: &str = "/workflow_job/labels";

fn named(field: &str, value: &[u8]) {
    let informs = INFORMING.contains(&field);
    if !informs && field != LABELS {
        return;
    }
    // A value that could end early would change other fields; none that can be read does.
    let readable = protocol::text::readable_json(value);
    if serde_json::from_str::<serde_json::Value>(&readable).is_err() {
        return;
    }
    let mut payload = serde_json::json!({
        "action": "queued",
        "workflow_job": { "id": 4242, "run_id": 7, "labels": ["self-hosted", "linux"] },
        "repository": { "full_name": "octo/hello", "private": true },
    });
    let mut place = &mut payload;
    for key in field.split('/').skip(1) {
        place = &mut place[key];
    }
    *place = "VALUE".into();
    let text = payload.to_string();
    let (before, after) = text.split_once("\"VALUE\"").unwrap();
    let body = [before.as_bytes(), value, after.as_bytes()].concat();
    let status = status(request("workflow_job", &sign(&body), &body));
    assert!(
        status == 200 || (!informs && status == 202),
        "{field}: {status}"
    );
}

fn delivered(event: Event) {
    match event {
        Event::Http(request) => {
            // Nothing can be signed rightly here.
            let status = status(request);
            assert!(matches!(status, 401 | 413 | 422), "{status}");
        }
        Event::Queue(messages) => {
            let orders = |m: &&Message| serde_json::from_str::<Order>(&m.body).is_err();
            let refused: Vec<_> = messages.iter().filter(orders).collect();
            let refused: Vec<_> = refused.iter().map(|m| m.message_id.clone()).collect();
            let Answer::Batch(batch) = answer(Event::Queue(messages)) else {
                panic!("messages were answered as a request");
            };
            let failed = batch.batch_item_failures.into_iter();
            let failed: Vec<_> = failed.map(|item| item.item_identifier).collect();
            // What is an order leaves the queue, and nothing else does.
            assert_eq!(failed, refused);
        }
    }
}

fn request(event: &str, signature: &str, body: &[u8]) -> Request {
    Request {
        headers: BTreeMap::from([
            ("X-GitHub-Event".to_owned(), event.to_owned()),
            ("X-Hub-Signature-256".to_owned(), signature.to_owned()),
        ]),
        body: STANDARD.encode(body),
        base64: true,
        source: None,
    }
}

fn sign(body: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let mut text = "sha256=".to_owned();
    for byte in ring::hmac::sign(&key, body).as_ref() {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn status(request: Request) -> u16 {
    let Answer::Http(response) = answer(Event::Http(request)) else {
        panic!("a request was answered as messages");
    };
    let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    assert!(body.is_object(), "{body}");
    response.status_code
}

thread_local! {
    static HANDLER: OnceCell<(Runtime, Deps)> = const { OnceCell::new() };
}

fn answer(event: Event) -> Answer {
    HANDLER.with(|handler| {
        let (runtime, deps) = handler.get_or_init(|| {
            let mut builder = Builder::new_current_thread();
            (
                builder.enable_time().start_paused(true).build().unwrap(),
                deps(),
            )
        });
        runtime.block_on(handle(deps, event, NOW))
    })
}

/// A handler over AWS that takes everything, and checks what it is asked to start.
fn deps() -> Deps {
    let settings = Settings::from_pairs([
        ("DEPLOYMENT", "fr"),
        ("PREFIX", "fargate-runners"),
        ("STATE_MACHINE_ARN", MACHINE),
        ("CLEANUP_FUNCTION", "cleanup"),
        ("ALLOWED_OWNERS", "*"),
        ("ALLOW_PUBLIC_REPOSITORIES", "true"),
        ("ALLOW_INTERNAL_REPOSITORIES", "true"),
    ]);
    let config = Config::from_settings(&settings).unwrap();
    let rules: &[&Rule] = &[&secret(), &start(), &invoke()];
    Deps {
        secrets: Secrets::new(
            mock_client!(aws_sdk_ssm, RuleMode::MatchAny, rules),
            config.secret_parameter.clone(),
            config.secret_ttl,
        ),
        pause: Pause::new(
            mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [&absent()]),
            config.paused_parameter.clone(),
        ),
        executions: Executions::over(
            mock_client!(aws_sdk_sfn, RuleMode::MatchAny, rules),
            config.state_machine.clone(),
        ),
        lambda: mock_client!(aws_sdk_lambda, RuleMode::MatchAny, rules).into(),
        sqs: mock_client!(aws_sdk_sqs, RuleMode::MatchAny, rules).into(),
        pool: None,
        throttle: Mutex::default(),
        config,
    }
}

fn secret() -> Rule {
    mock!(aws_sdk_ssm::Client::get_parameter).then_output(|| {
        let parameter = Parameter::builder().value(SECRET).build();
        GetParameterOutput::builder().parameter(parameter).build()
    })
}

/// The deployment is not paused.
fn absent() -> Rule {
    mock!(aws_sdk_ssm::Client::get_parameter)
        .then_error(|| GetParameterError::ParameterNotFound(ParameterNotFound::builder().build()))
}

fn start() -> Rule {
    mock!(aws_sdk_sfn::Client::start_execution).then_compute_output(|request| {
        let name: ExecutionName = request.name().unwrap().parse().unwrap();
        let order: Order = serde_json::from_str(request.input().unwrap()).unwrap();
        assert_eq!(
            name,
            ExecutionName::first(&order.job.repository, order.job.id)
        );
        StartExecutionOutput::builder()
            .execution_arn("arn")
            .start_date(DateTime::from_secs(0))
            .build()
            .unwrap()
    })
}

fn invoke() -> Rule {
    mock!(aws_sdk_lambda::Client::invoke).then_output(|| InvokeOutput::builder().build())
}
