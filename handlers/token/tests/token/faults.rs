//! What fails, and what it is called.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::get_parameters::GetParametersOutput;
use aws_smithy_mocks::mock;
use github_standin::{
    APP_PRIVATE_KEY, Config, Fault as Trouble, FaultKind, NewJob, OwnerType, Server,
};
use lambda_runtime::Diagnostic;
use protocol::Fault;
use serde_json::json;
use token::{Error, handle};

use crate::stage::{Ssm, Stage, deps, doubted, payload, secrets};

#[tokio::test]
async fn a_rate_limit_is_thrown_as_bare_seconds() {
    for (limit, seconds) in [
        (FaultKind::SecondaryLimit { retry_after: 17 }, 17..=17),
        (FaultKind::RateLimited { reset_seconds: 90 }, 80..=91),
    ] {
        let stage = Stage::new().await;
        stage
            .server
            .fault(Trouble::new(limit).on("POST", "generate-jitconfig"));
        let thrown = Diagnostic::from(stage.run().await.unwrap_err());
        assert_eq!(thrown.error_type, "GitHubRateLimited");
        let told: u64 = thrown.error_message.parse().unwrap();
        assert!(seconds.contains(&told), "{told}");
    }
}

#[tokio::test]
async fn an_outage_of_github_passes() {
    let stage = Stage::new().await;
    let outage = FaultKind::Status {
        status: 502,
        message: None,
        retry_after: None,
    };
    stage.server.fault(
        Trouble::new(outage)
            .on("POST", "generate-jitconfig")
            .times(99),
    );
    assert_eq!(
        stage.run().await.unwrap_err().fault(),
        Fault::GitHubUnavailable
    );
    assert!(stage.puts().is_empty());
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    for (scope, lacking, named) in [
        ("repository", "administration", "`Administration: write`"),
        (
            "organization",
            "organization_self_hosted_runners",
            "`Self-hosted runners: write`",
        ),
    ] {
        let stage = Stage::with(&[("RUNNER_SCOPE", scope)], &Ssm::Works).await;
        stage.server.set_permission("octo", lacking, None);
        let error = stage.run().await.unwrap_err();
        assert_eq!(error.fault(), Fault::GitHubRefused);
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[tokio::test]
async fn a_missing_group_is_named_with_those_that_are_there() {
    let stage = Stage::with(
        &[("RUNNER_SCOPE", "organization"), ("RUNNER_GROUP", "gpu")],
        &Ssm::Works,
    )
    .await;
    let error = stage.run().await.unwrap_err();
    assert_eq!(error.fault(), Fault::RunnerGroupMissing);
    for word in ["octo", "\"gpu\"", "Default"] {
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_repository_without_the_app_is_named_with_where_to_install_it() {
    let stage = Stage::new().await;
    stage.server.uninstall("octo");
    let error = handle(&stage.deps, payload(None)).await.unwrap_err();
    assert_eq!(error.fault(), Fault::AppNotInstalled);
    for word in ["octo/hello", "/apps/fargate-runners/installations/new"] {
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_job_that_left_the_queue_gets_no_runner() {
    let stage = Stage::new().await;
    let new = || NewJob {
        repository: "octo/hello".to_owned(),
        labels: vec!["linux".to_owned()],
        ..NewJob::default()
    };
    let cancelled = stage.server.create_job(new()).unwrap().id;
    stage.server.cancel_job(cancelled).unwrap();
    let waiting = stage.server.create_job(new()).unwrap().id;
    stage.server.hold_job(waiting).unwrap();
    for (job, word) in [
        (cancelled, "completed (cancelled)"),
        (waiting, "waiting"),
        (1, "its run was deleted"),
    ] {
        let error = handle(&stage.deps, doubted(job, stage.installation()))
            .await
            .unwrap_err();
        assert_eq!(error.fault(), Fault::JobNotQueued);
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(stage.server.runners().is_empty());
}

#[tokio::test]
async fn secrets_that_are_missing_or_wrong_are_named() {
    let server = Server::start(Config::default()).await.unwrap();
    server
        .add_repository("octo/hello", OwnerType::Organization, true)
        .unwrap();
    let missing =
        mock!(Client::get_parameters).then_output(|| GetParametersOutput::builder().build());
    for (rule, fault, word) in [
        (
            missing,
            Fault::SecretMissing,
            "/fargate-runners/github/app-id",
        ),
        (
            secrets("1234", || "hunter2"),
            Fault::AppKeyInvalid,
            "/fargate-runners/github/private-key",
        ),
        (
            secrets("999", || APP_PRIVATE_KEY),
            Fault::AppKeyInvalid,
            "Integration not found",
        ),
    ] {
        let deps = deps(&server, &[], &[&rule]);
        let error = handle(&deps, payload(None)).await.unwrap_err();
        assert_eq!(error.fault(), fault);
        assert!(error.to_string().contains(word), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_refused_parameter_names_the_call_and_the_path() {
    let stage = Stage::with(&[], &Ssm::Refuses("AccessDeniedException")).await;
    let error = stage.run().await.unwrap_err();
    assert_eq!(error.fault(), Fault::AwsRefused);
    for word in [
        "ssm:PutParameter",
        "/fargate-runners/runners/fr-hello-4242/",
    ] {
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_payload_that_is_none_of_the_machines_is_bad_input() {
    let stage = Stage::new().await;
    let error = handle(&stage.deps, json!({ "order": null }))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::BadInput(_)));
    assert_eq!(Diagnostic::from(error).error_type, "BadInput");
}
