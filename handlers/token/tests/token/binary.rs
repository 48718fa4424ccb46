//! The binary itself, between a Lambda runtime API, an SSM and a GitHub that are all models, with the
//! finest log there is: what it answers, and that its log shows no secret.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use github_standin::{APP_PRIVATE_KEY, Config, OwnerType, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::{Mutex as Queue, mpsc};
use tokio::task::JoinHandle;

use crate::secrecy::search;
use crate::stage::payload;

/// Far more than the two invocations take; only a hang meets it.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Clone)]
struct Aws {
    events: Arc<Queue<mpsc::UnboundedReceiver<Value>>>,
    answers: mpsc::UnboundedSender<Value>,
    written: Arc<Mutex<Vec<String>>>,
}

/// The next event; when there is none, the runtime waits for it as it does on Lambda.
async fn next(State(aws): State<Aws>) -> Response {
    let Some(event) = aws.events.lock().await.recv().await else {
        return std::future::pending().await;
    };
    let headers = [
        (
            "lambda-runtime-aws-request-id",
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        ),
        ("lambda-runtime-deadline-ms", "4000000000000"),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:token",
        ),
    ];
    (headers, event.to_string()).into_response()
}

async fn answered(State(aws): State<Aws>, body: String) -> Response {
    aws.answers
        .send(serde_json::from_str(&body).unwrap())
        .unwrap();
    (axum::http::StatusCode::ACCEPTED, "{}").into_response()
}

async fn ssm(State(aws): State<Aws>, headers: HeaderMap, body: String) -> String {
    let request: Value = serde_json::from_str(&body).unwrap();
    match headers["x-amz-target"].to_str().unwrap() {
        "AmazonSSM.GetParameters" => json!({ "Parameters": [
            { "Name": request["Names"][0], "Type": "SecureString", "Value": "1234" },
            { "Name": request["Names"][1], "Type": "SecureString", "Value": APP_PRIVATE_KEY },
        ]}),
        "AmazonSSM.PutParameter" => {
            let value = request["Value"].as_str().unwrap().to_owned();
            aws.written.lock().unwrap().push(value);
            json!({ "Version": 1, "Tier": "Standard" })
        }
        target => unreachable!("{target} is not expected"),
    }
    .to_string()
}

/// All that comes out of a pipe until it is closed.
fn collect(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut text = String::new();
        pipe.read_to_string(&mut text).await.unwrap();
        text
    })
}

#[tokio::test]
async fn the_binary_answers_and_its_finest_log_shows_no_secret() {
    let github = Server::start(Config::default()).await.unwrap();
    github
        .add_repository("octo/hello", OwnerType::Organization, true)
        .unwrap();
    let (send, events) = mpsc::unbounded_channel();
    let (answers, mut answered_with) = mpsc::unbounded_channel();
    let aws = Aws {
        events: Arc::new(Queue::new(events)),
        answers,
        written: Arc::default(),
    };
    let router = Router::new()
        .route("/", post(ssm))
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route(
            "/2018-06-01/runtime/invocation/{id}/{answer}",
            post(answered),
        )
        .with_state(aws.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut token = Command::new(env!("CARGO_BIN_EXE_token"))
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "token"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "token"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "token"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", &format!("http://{address}")),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("DEPLOYMENT", "fr"),
            ("PREFIX", "fargate-runners"),
            ("GITHUB_API_URL", github.url()),
            ("LOG_LEVEL", "trace"),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = collect(token.stdout.take().unwrap());
    let errors = collect(token.stderr.take().unwrap());
    send.send(payload(None)).unwrap();
    send.send(json!({ "order": null })).unwrap();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = tokio::time::timeout(PATIENCE, answered_with.recv()).await;
        answers.push(answer.expect("the binary answers").unwrap());
    }
    token.kill().await.unwrap();
    let log = output.await.unwrap() + &errors.await.unwrap();

    assert_eq!(answers[0]["runnerId"], github.runners()[0].id);
    assert_eq!(answers[1]["errorType"], "BadInput");
    for line in [
        "\"Launches\":1.0",
        "GitHubRateLimitRemaining",
        "runner registered",
        "DEBUG",
    ] {
        assert!(log.contains(line), "{line} is not in the log:\n{log}");
    }
    let written = aws.written.lock().unwrap().clone();
    assert_eq!(written.len(), 1);
    search(&written, &format!("{log}\n{answers:?}"));
}
