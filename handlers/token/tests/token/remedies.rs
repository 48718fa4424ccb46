//! What goes wrong and is put right on the spot.

use github::{Access, Scope};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::put_parameter::PutParameterOutput;
use aws_sdk_ssm::types::ParameterTier;
use aws_smithy_mocks::mock;
use github_standin::{
    APP_PRIVATE_KEY, Config, Fault as Trouble, FaultKind, NewJob, OwnerType, Server,
};
use protocol::Fault;
use token::handle;

use crate::stage::{Ssm, Stage, deps, earlier_runner, payload, secrets};

/// Another throwaway key, for a rotation.
const ROTATED: &str = include_str!("../../../../crates/github/tests/keys/rotated.pem");

#[tokio::test]
async fn a_name_left_behind_by_an_earlier_try_is_freed() {
    let stage = Stage::new().await;
    let earlier = earlier_runner(&stage.deps.github, stage.installation()).await;
    let output = stage.run().await.unwrap();
    let [runner] = &stage.server.runners()[..] else {
        panic!("one runner")
    };
    assert_ne!(runner.id, earlier.id);
    assert_eq!(output.runner_id, Some(runner.id));
}

fn status(status: u16) -> FaultKind {
    FaultKind::Status {
        status,
        message: None,
        retry_after: None,
    }
}

#[tokio::test]
async fn one_bad_answer_to_a_registration_costs_no_attempt() {
    let kinds = [401, 403, 404, 422, 500, 502, 503].map(status);
    for kind in kinds.into_iter().chain([FaultKind::Disconnect]) {
        for scope in ["repository", "organization"] {
            for after in [false, true] {
                let stage = Stage::with(&[("RUNNER_SCOPE", scope)], &Ssm::Works).await;
                let mut fault = Trouble::new(kind.clone()).on("POST", "generate-jitconfig");
                fault.after = after;
                stage.server.fault(fault);
                let output = stage.run().await.unwrap();
                let [runner] = &stage.server.runners()[..] else {
                    panic!("one runner after {kind:?}")
                };
                assert_eq!(output.runner_id, Some(runner.id), "{kind:?} {after}");
            }
        }
    }
}

#[tokio::test]
async fn one_bad_answer_to_a_token_costs_no_attempt() {
    for kind in [401, 403, 404, 422, 502].map(status) {
        let stage = Stage::new().await;
        stage
            .server
            .fault(Trouble::new(kind.clone()).on("POST", "access_tokens"));
        stage.run().await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_that_stays_and_that_nothing_explains_passes() {
    for refused in [401, 403, 404] {
        let stage = Stage::new().await;
        stage.server.fault(
            Trouble::new(status(refused))
                .on("POST", "generate-jitconfig")
                .times(99),
        );
        let error = stage.run().await.unwrap_err();
        assert_eq!(
            error.fault(),
            Fault::GitHubUnavailable,
            "{refused}: {error}"
        );
    }
}

#[tokio::test]
async fn a_runner_of_that_name_with_a_job_is_left_alone() {
    let stage = Stage::new().await;
    let earlier = earlier_runner(&stage.deps.github, stage.installation()).await;
    let mut runner = stage.server.connect(earlier.config.expose()).unwrap();
    let job = NewJob {
        repository: "octo/hello".to_owned(),
        labels: vec!["linux".to_owned()],
        ..NewJob::default()
    };
    stage.server.create_job(job).unwrap();
    runner.take(Duration::from_secs(10)).await.unwrap();

    let error = stage.run().await.unwrap_err();
    // Transient, so that the machine makes a new attempt with a new name.
    assert_eq!(error.fault(), Fault::GitHubUnavailable);
    assert_eq!(stage.server.runners()[0].id, earlier.id);
    assert!(stage.puts().is_empty());
}

#[tokio::test]
async fn a_parameter_left_behind_by_an_earlier_try_is_replaced() {
    let stage = Stage::with(&[], &Ssm::Holds).await;
    stage.run().await.unwrap();
    let [put] = &stage.puts()[..] else {
        panic!("one parameter")
    };
    assert_eq!(put.overwrite(), Some(true));
    assert!(
        put.tags().is_empty(),
        "SSM refuses tags where it overwrites"
    );
    assert_eq!(put.tier(), Some(&ParameterTier::IntelligentTiering));
}

#[tokio::test]
async fn a_runner_whose_registration_cannot_be_written_is_withdrawn() {
    let stage = Stage::with(&[], &Ssm::Refuses("ThrottlingException")).await;
    let error = stage.run().await.unwrap_err();
    assert_eq!(error.fault(), Fault::Throttled);
    assert!(stage.server.runners().is_empty());
}

#[tokio::test]
async fn a_runner_group_is_looked_up_again_when_github_does_not_know_it() {
    let stage = Stage::with(&[("RUNNER_SCOPE", "organization")], &Ssm::Works).await;
    stage.run().await.unwrap();
    stage.calls();
    stage
        .server
        .fault(Trouble::new(status(404)).on("POST", "generate-jitconfig"));
    // The name is taken by the run before and is freed on the way.
    stage.run().await.unwrap();
    let calls = stage.calls();
    assert_eq!(calls["GET /orgs/{org}/actions/runner-groups"], 1);
    assert_eq!(
        calls["POST /orgs/{org}/actions/runners/generate-jitconfig"],
        3
    );
}

#[tokio::test]
async fn a_token_that_was_revoked_is_issued_anew() {
    let stage = Stage::new().await;
    // What the handler itself needs, so that the token is at hand.
    let organization = Scope::Organization("octo".to_owned());
    let access = Access::runners(&organization);
    stage
        .deps
        .github
        .serving(&"octo/hello".parse().unwrap(), None, &access)
        .await
        .unwrap();
    stage.server.expire_tokens();
    stage.run().await.unwrap();
}

#[tokio::test]
async fn an_installation_that_was_made_anew_is_found() {
    let stage = Stage::new().await;
    let old = stage.installation();
    stage.server.uninstall("octo");
    let new = stage.server.install("octo").unwrap();
    assert_ne!(old, new);
    let output = handle(&stage.deps, payload(Some(old))).await.unwrap();
    assert_eq!(output.installation_id, new);
}

#[tokio::test]
async fn a_rotated_key_fails_no_job() {
    let server = Server::start(Config::default()).await.unwrap();
    server
        .add_repository("octo/hello", OwnerType::Organization, true)
        .unwrap();
    let reads = AtomicUsize::new(0);
    let secrets = secrets("1234", move || {
        match reads.fetch_add(1, Ordering::Relaxed) {
            0 => APP_PRIVATE_KEY,
            _ => ROTATED,
        }
    });
    let written =
        mock!(Client::put_parameter).then_output(|| PutParameterOutput::builder().build());
    let deps = deps(&server, &[], &[&secrets, &written]);
    let repository = "octo/hello".parse().unwrap();
    deps.github
        .serving(&repository, None, &Access::jobs(&repository))
        .await
        .unwrap();
    server.add_app_key(ROTATED).unwrap();
    server.delete_app_key(APP_PRIVATE_KEY).unwrap();
    server.expire_tokens();
    handle(&deps, payload(None)).await.unwrap();
    assert_eq!(server.runners().len(), 1);
}
