//! Notes about jobs that ended on their own runners, in a deployment with a table.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use aws_in_memory::Aws;
use aws_sdk_dynamodb::error::ErrorMetadata;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use pool::{JobNote, Pool};
use protocol::{JobId, Repository};
use serde_json::{Value, json};
use support::{NOW, deliver, deps, secret, workflow_job};
use time::OffsetDateTime;
use verify::Deps;

const OWN: &str = "fr-hello-4242-r2-a3";

/// A deployment with a table, which may call no other service than SSM.
fn with_table(pool: Pool) -> Deps {
    Deps {
        pool: Some(pool),
        ..deps(&[("ALLOWED_OWNERS", "octo")], &[&secret()])
    }
}

async fn note(pool: &Pool) -> Option<JobNote> {
    let repository: Repository = "octo/hello".parse().unwrap();
    pool.job_note(&repository, JobId(4242)).await.unwrap()
}

fn completed() -> Value {
    let mut payload = workflow_job("completed", 4242, Some(OWN));
    payload["workflow_job"]["started_at"] = json!("1970-01-01T00:00:09Z");
    payload["workflow_job"]["completed_at"] = json!("1970-01-01T00:01:09Z");
    payload["workflow_job"]["conclusion"] = json!("failure");
    payload
}

fn at(seconds: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

#[tokio::test]
async fn a_job_that_ended_on_its_own_runner_is_noted_with_one_write_however_often_it_is_told() {
    let aws = Aws::new();
    let deps = with_table(aws.pool());
    for _ in 0..2 {
        let answer = deliver(&deps, &completed(), NOW).await;
        assert_eq!(answer, (202, json!({"result": "noted"})));
    }
    let over = JobNote {
        runner: OWN.parse().unwrap(),
        started_at: at(9),
        conclusion: Some("failure".to_owned()),
        completed_at: at(69),
    };
    assert_eq!(note(&aws.pool()).await, Some(over));
    let state = aws.state();
    assert_eq!(state.items.len(), 1);
    let (key, item) = state.items.iter().next().unwrap();
    assert_eq!(key.0, "job#octo/hello#4242");
    assert_eq!(item["expires"].as_n().unwrap(), "259200", "three days");
}

#[tokio::test]
async fn a_job_that_began_on_its_own_runner_is_not_noted() {
    let aws = Aws::new();
    let deps = with_table(aws.pool());
    let payload = workflow_job("in_progress", 4242, Some(OWN));
    assert_eq!(deliver(&deps, &payload, NOW).await.1["result"], "ignored");
    assert!(aws.state().items.is_empty());
}

#[tokio::test]
async fn nothing_is_noted_of_other_runners_and_other_owners() {
    let aws = Aws::new();
    let deps = with_table(aws.pool());
    for runner in ["other-hello-4242", "GitHub Actions 5", "fr-hello"] {
        for action in ["in_progress", "completed"] {
            let (status, body) =
                deliver(&deps, &workflow_job(action, 4242, Some(runner)), NOW).await;
            assert_eq!(
                (status, &body["result"]),
                (202, &json!("ignored")),
                "{runner}"
            );
        }
    }
    // Another job's runner of ours: `completed` changes nothing; `in_progress` is handed on, as ever.
    let (status, body) = deliver(
        &deps,
        &workflow_job("completed", 4242, Some("fr-hello-17")),
        NOW,
    )
    .await;
    assert_eq!((status, &body["result"]), (202, &json!("ignored")));
    let mut payload = completed();
    payload["repository"]["full_name"] = json!("stranger/hello");
    let (status, body) = deliver(&deps, &payload, NOW).await;
    assert_eq!((status, &body["result"]), (202, &json!("ignored")));
    assert!(aws.state().items.is_empty());
}

/// A table that refuses every write so.
fn refusing(code: &'static str) -> Rule {
    mock!(aws_sdk_dynamodb::Client::put_item)
        .then_error(move || PutItemError::generic(ErrorMetadata::builder().code(code).build()))
}

#[tokio::test]
async fn a_webhook_is_answered_as_without_a_table_when_the_table_is_gone_or_throttles() {
    for code in [
        "ResourceNotFoundException",
        "ThrottlingException",
        "AccessDeniedException",
        "InternalServerError",
    ] {
        let rule = refusing(code);
        let pool = Pool::over(
            mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, [&rule], |config| {
                config.retry_config(aws::RetryConfig::disabled())
            }),
            "fargate-runners-stock",
        );
        let with = with_table(pool);
        let without = deps(&[], &[&secret()]);
        let told = deliver(&with, &completed(), NOW).await;
        assert_eq!(told, deliver(&without, &completed(), NOW).await, "{code}");
        assert_eq!(told.0, 202);
        assert_eq!(rule.num_calls(), 1, "it is tried once");
    }
}

#[tokio::test]
async fn a_completed_job_that_cannot_be_read_is_still_acknowledged() {
    let deps = with_table(Aws::new().pool());
    let mut payload = completed();
    payload["repository"] = Value::Null;
    let (status, body) = deliver(&deps, &payload, NOW).await;
    assert_eq!((status, &body["result"]), (202, &json!("ignored")));
}
