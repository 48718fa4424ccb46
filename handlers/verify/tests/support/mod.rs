//! A `verify` over mocked AWS, and requests signed as GitHub signs them.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of a test fail as the test does"
)]
#![allow(clippy::panic, reason = "helpers of a test fail as the test does")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;

use aws::RetryConfig;
use aws::executions::Executions;
use aws_sdk_sfn::error::ErrorMetadata;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::operation::start_execution::{StartExecutionError, StartExecutionOutput};
use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sfn::types::error::ExecutionAlreadyExists;
use aws_sdk_ssm::operation::get_parameter::{GetParameterError, GetParameterOutput};
use aws_sdk_ssm::types::Parameter;
use aws_sdk_ssm::types::error::ParameterNotFound;
use aws_smithy_mocks::{MockResponse, Rule, RuleMode, mock, mock_client};
use runtime::settings::Settings;
use serde_json::{Value, json};
use time::OffsetDateTime;
use verify::pause::Pause;
use verify::secret::Secrets;
use verify::{Answer, Config, Deps, Event, Request, Response, handle};

pub(crate) const SECRET: &str = "It's a Secret to Everybody";
pub(crate) const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
pub(crate) const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:runner";
pub(crate) const QUEUE: (&str, &str) = (
    "OVERFLOW_QUEUE_URL",
    "https://sqs.us-east-1.amazonaws.com/1/q",
);

/// A handler with the given variables besides the required ones, over these mocked calls. A call
/// that no rule answers makes the test fail.
pub(crate) fn deps(variables: &[(&str, &str)], rules: &[&Rule]) -> Deps {
    let required = [
        ("DEPLOYMENT", "fr"),
        ("PREFIX", "fargate-runners"),
        ("STATE_MACHINE_ARN", MACHINE),
        ("CLEANUP_FUNCTION", "cleanup"),
        ("ALLOWED_OWNERS", "*"),
    ];
    let settings = Settings::from_pairs(required.iter().chain(variables).copied());
    let config = Config::from_settings(&settings).unwrap();
    // One interceptor per client, each with all the rules: a rule answers only its own operation.
    Deps {
        secrets: Secrets::new(
            mock_client!(aws_sdk_ssm, RuleMode::MatchAny, rules),
            config.secret_parameter.clone(),
            config.secret_ttl,
        ),
        pause: pause(false).0,
        executions: Executions::over(
            mock_client!(aws_sdk_sfn, RuleMode::MatchAny, rules, |config| {
                config.retry_config(RetryConfig::disabled())
            }),
            config.state_machine.clone(),
        ),
        lambda: mock_client!(aws_sdk_lambda, RuleMode::MatchAny, rules).into(),
        sqs: mock_client!(aws_sdk_sqs, RuleMode::MatchAny, rules).into(),
        pool: None,
        throttle: Mutex::default(),
        config,
    }
}

/// SSM with or without the parameter that pauses the deployment, and its rule, which counts the reads.
pub(crate) fn pause(paused: bool) -> (Pause, Rule) {
    let parameter = "/fargate-runners/paused";
    let read = mock!(aws_sdk_ssm::Client::get_parameter)
        .match_requests(move |request| request.name() == Some(parameter))
        .then_compute_response(move |_| {
            if paused {
                let since = Parameter::builder().value("2026-01-01T00:00:00Z");
                let output = GetParameterOutput::builder().parameter(since.build());
                return MockResponse::Output(output.build());
            }
            let absent = ParameterNotFound::builder().meta(code("ParameterNotFound"));
            MockResponse::Error(GetParameterError::ParameterNotFound(absent.build()))
        });
    let ssm = mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [&read]);
    (Pause::new(ssm, parameter.to_owned()), read)
}

/// SSM with the secret.
pub(crate) fn secret() -> Rule {
    secrets(&[SECRET])
}

/// SSM with these contents, one read after the other; the last one stays.
pub(crate) fn secrets(contents: &'static [&'static str]) -> Rule {
    let read = std::sync::atomic::AtomicUsize::new(0);
    mock!(aws_sdk_ssm::Client::get_parameter)
        .match_requests(|request| {
            request.name() == Some("/fargate-runners/github/webhook-secret")
                && request.with_decryption() == Some(true)
        })
        .then_compute_output(move |_| {
            let index = read.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let text = contents[index.min(contents.len() - 1)];
            GetParameterOutput::builder()
                .parameter(Parameter::builder().value(text).build())
                .build()
        })
}

/// What Step Functions was asked to start: name and input.
pub(crate) type Asked = std::sync::Arc<std::sync::Mutex<Vec<(String, Value)>>>;

/// Step Functions with executions in these states, in which anything else can be started.
pub(crate) fn machine(existing: &'static [(&'static str, ExecutionStatus)]) -> (Rule, Rule, Asked) {
    let asked = Asked::default();
    let log = asked.clone();
    let start = mock!(aws_sdk_sfn::Client::start_execution)
        .match_requests(|request| request.state_machine_arn() == Some(MACHINE))
        .then_compute_response(move |request| {
            let name = request.name().unwrap();
            let input = serde_json::from_str(request.input().unwrap()).unwrap();
            log.lock().unwrap().push((name.to_owned(), input));
            if existing.iter().any(|(taken, _)| *taken == name) {
                return MockResponse::Error(StartExecutionError::ExecutionAlreadyExists(
                    ExecutionAlreadyExists::builder()
                        .meta(code("ExecutionAlreadyExists"))
                        .build(),
                ));
            }
            MockResponse::Output(
                StartExecutionOutput::builder()
                    .execution_arn("arn")
                    .start_date(DateTime::from_secs(0))
                    .build()
                    .unwrap(),
            )
        });
    let describe =
        mock!(aws_sdk_sfn::Client::describe_execution).then_compute_output(move |request| {
            let arn = request.execution_arn().unwrap();
            let name = arn
                .strip_prefix("arn:aws:states:us-east-1:123456789012:execution:runner:")
                .unwrap();
            let (_, status) = existing.iter().find(|(taken, _)| *taken == name).unwrap();
            DescribeExecutionOutput::builder()
                .execution_arn(arn)
                .state_machine_arn(MACHINE)
                .start_date(DateTime::from_secs(0))
                .status(status.clone())
                .build()
                .unwrap()
        });
    (start, describe, asked)
}

/// What a real answer says of its error; the modeled one alone says nothing.
pub(crate) fn code(code: &str) -> ErrorMetadata {
    ErrorMetadata::builder().code(code).build()
}

/// A job as GitHub describes it, queued at [`NOW`].
pub(crate) fn workflow_job(action: &str, id: u64, runner: Option<&str>) -> Value {
    json!({
        "action": action,
        "workflow_job": {
            "id": id, "run_id": 99, "run_attempt": 1, "name": "build", "workflow_name": "CI",
            "labels": ["self-hosted", "linux"],
            "runner_id": runner.map(|_| 5), "runner_name": runner,
            "created_at": "1970-01-01T00:00:00Z", "started_at": "1970-01-01T00:00:00Z"
        },
        "repository": {
            "full_name": "octo/hello", "private": true, "visibility": "private",
            "owner": { "type": "Organization" }
        },
        "installation": { "id": 77 }
    })
}

/// The signature header of a body.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let tag = ring::hmac::sign(&key, body);
    tag.as_ref()
        .iter()
        .fold("sha256=".to_owned(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}

/// A request with GitHub's headers, rightly signed.
pub(crate) fn request(event: &str, body: &[u8]) -> Request {
    Request {
        headers: BTreeMap::from([
            ("x-github-event".to_owned(), event.to_owned()),
            ("x-github-delivery".to_owned(), "d".to_owned()),
            ("x-hub-signature-256".to_owned(), sign(SECRET, body)),
        ]),
        body: String::from_utf8(body.to_vec()).unwrap(),
        base64: false,
        source: None,
    }
}

/// What the handler answers a request.
pub(crate) async fn answer(deps: &Deps, request: Request, now: OffsetDateTime) -> Response {
    match handle(deps, Event::Http(request), now).await {
        Answer::Http(response) => response,
        Answer::Batch(batch) => panic!("{batch:?}"),
    }
}

/// What the handler answers a rightly signed `workflow_job`: the status and the body.
pub(crate) async fn deliver(deps: &Deps, payload: &Value, now: OffsetDateTime) -> (u16, Value) {
    let request = request("workflow_job", payload.to_string().as_bytes());
    let response = answer(deps, request, now).await;
    (
        response.status_code,
        serde_json::from_str(&response.body).unwrap(),
    )
}
