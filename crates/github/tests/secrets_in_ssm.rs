//! Reading, keeping and renewing, counted at SSM.

#![allow(clippy::unwrap_used)] // Helpers count as tests here.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ErrorMetadata;
use aws_sdk_ssm::operation::get_parameters::{GetParametersError, GetParametersOutput};
use aws_sdk_ssm::types::Parameter;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use github::secrets::AppSecrets;
use github::{App, AppSource};
use protocol::Fault;

const KEY: &str = include_str!("../../github/tests/keys/app.pkcs1.pem");
const ROTATED: &str = include_str!("../../github/tests/keys/rotated.pem");
const APP_ID: &str = "/fargate-runners/github/app-id";
const PRIVATE_KEY: &str = "/fargate-runners/github/private-key";

fn parameter(name: &str, value: &str) -> Parameter {
    Parameter::builder().name(name).value(value).build()
}

/// Answers the only read that is expected, once.
fn holds(parameters: &[(&'static str, &'static str)]) -> Rule {
    let parameters: Vec<_> = parameters
        .iter()
        .map(|(name, value)| parameter(name, value))
        .collect();
    mock!(Client::get_parameters)
        .match_requests(|request| {
            request.names() == [APP_ID, PRIVATE_KEY] && request.with_decryption() == Some(true)
        })
        .then_output(move || {
            GetParametersOutput::builder()
                .set_parameters(Some(parameters.clone()))
                .build()
        })
}

fn refuses(code: &'static str) -> Rule {
    mock!(Client::get_parameters).then_error(move || {
        GetParametersError::generic(ErrorMetadata::builder().code(code).message("no").build())
    })
}

fn secrets(rules: &[&Rule]) -> AppSecrets {
    let ssm = mock_client!(aws_sdk_ssm, RuleMode::Sequential, rules, |config| config
        .retry_config(aws_sdk_ssm::config::retry::RetryConfig::disabled()));
    AppSecrets::new(ssm, "/fargate-runners/")
}

#[tokio::test]
async fn credentials_are_read_once_for_many_calls() {
    let rule = holds(&[(PRIVATE_KEY, KEY), (APP_ID, "1234\n")]);
    let secrets = secrets(&[&rule]);
    let (a, b) = tokio::join!(secrets.app(), secrets.app());
    assert!(a.unwrap().is_same(&b.unwrap()));
    assert_eq!(secrets.app().await.unwrap().id(), "1234");
    assert_eq!(rule.num_calls(), 1);
}

#[tokio::test]
async fn a_failed_read_is_not_kept() {
    let (failing, working) = (
        refuses("InternalServerError"),
        holds(&[(APP_ID, "1234"), (PRIVATE_KEY, KEY)]),
    );
    let secrets = secrets(&[&failing, &working]);
    let error = secrets.app().await.unwrap_err();
    assert_eq!(error.fault, Fault::AwsUnavailable);
    assert!(error.message.contains(PRIVATE_KEY), "{error}");
    assert!(secrets.app().await.is_ok());
}

#[tokio::test]
async fn a_missing_or_empty_parameter_is_named() {
    for (held, missing) in [
        (&[(APP_ID, "1234")][..], PRIVATE_KEY),
        (&[(APP_ID, "1234"), (PRIVATE_KEY, " \n")], PRIVATE_KEY),
        (&[(PRIVATE_KEY, KEY)], APP_ID),
    ] {
        let error = secrets(&[&holds(held)]).app().await.unwrap_err();
        assert_eq!(error.fault, Fault::SecretMissing);
        assert!(error.message.contains(missing), "{error}");
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_named_but_not_shown() {
    let error = secrets(&[&holds(&[(APP_ID, "1234"), (PRIVATE_KEY, "hunter2")])])
        .app()
        .await
        .unwrap_err();
    assert_eq!(error.fault, Fault::AppKeyInvalid);
    assert!(error.message.contains(PRIVATE_KEY), "{error}");
    assert!(!error.message.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_denied_read_stays_and_names_the_call() {
    let error = secrets(&[&refuses("AccessDeniedException")])
        .app()
        .await
        .unwrap_err();
    assert_eq!(error.fault, Fault::AwsRefused);
    assert!(error.message.contains("ssm:GetParameters"), "{error}");
}

#[tokio::test]
async fn a_refused_key_is_read_again_at_once() {
    let (old, new) = (
        holds(&[(APP_ID, "1234"), (PRIVATE_KEY, KEY)]),
        holds(&[(APP_ID, "1234"), (PRIVATE_KEY, ROTATED)]),
    );
    let secrets = secrets(&[&old, &new]);
    let refused = secrets.app().await.unwrap();
    // Two calls were refused at once; the second finds what the first has read.
    let (a, b) = tokio::join!(
        secrets.newer(refused.clone()),
        secrets.newer(refused.clone())
    );
    let rotated = App::new("1234", ROTATED).unwrap();
    assert!(a.unwrap().unwrap().is_same(&rotated));
    assert!(b.unwrap().unwrap().is_same(&rotated));
    assert!(secrets.app().await.unwrap().is_same(&rotated));
    assert_eq!(new.num_calls(), 1);
}

#[tokio::test]
async fn an_unchanged_key_is_not_tried_again() {
    let (first, second) = (
        holds(&[(APP_ID, "1234"), (PRIVATE_KEY, KEY)]),
        holds(&[(APP_ID, "1234"), (PRIVATE_KEY, KEY)]),
    );
    let secrets = secrets(&[&first, &second]);
    let refused = secrets.app().await.unwrap();
    assert!(secrets.newer(refused).await.unwrap().is_none());
}
