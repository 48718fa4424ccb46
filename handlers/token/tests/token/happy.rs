//! What is registered and written when all goes well.

use std::collections::BTreeMap;

use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use github_standin::{Fork, NewJob, OwnerType, RunnerGroup};
use protocol::Registration;
use serde_json::json;
use token::handle;

use crate::stage::{PARAMETER, RUNNER, Ssm, Stage, doubted, payload};

const JIT_AT_REPOSITORY: &str = "POST /repos/{owner}/{repo}/actions/runners/generate-jitconfig";
const JIT_AT_ORGANIZATION: &str = "POST /orgs/{org}/actions/runners/generate-jitconfig";

#[tokio::test]
async fn a_warm_registration_is_one_call_to_github_and_one_to_ssm() {
    let stage = Stage::new().await;
    stage.run().await.unwrap();
    let cold = stage.calls();
    assert_eq!(cold.values().sum::<u64>(), 2, "{cold:?}");

    let mut payload = payload(Some(stage.installation()));
    payload["runner"]["name"] = json!("fr-hello-4242-a2");
    handle(&stage.deps, payload).await.unwrap();
    assert_eq!(
        stage.calls(),
        BTreeMap::from([(JIT_AT_REPOSITORY.to_owned(), 1)])
    );
    assert_eq!(stage.puts().len(), 2);
}

#[tokio::test]
async fn the_runner_is_registered_with_its_jobs_labels_and_answered_by_id() {
    let stage = Stage::new().await;
    let output = stage.run().await.unwrap();
    let [runner] = &stage.server.runners()[..] else {
        panic!("one runner")
    };
    assert_eq!(
        (runner.name.as_str(), runner.scope.as_str()),
        (RUNNER, "octo/hello")
    );
    assert_eq!(runner.labels, ["linux", "self-hosted", "x64"]);
    assert_eq!(
        serde_json::to_value(output).unwrap(),
        json!({ "runnerId": runner.id, "installationId": stage.installation() })
    );
}

#[tokio::test]
async fn the_registration_lies_encrypted_and_tagged_where_the_runner_looks() {
    let stage = Stage::new().await;
    stage.run().await.unwrap();
    let [put] = &stage.puts()[..] else {
        panic!("one parameter")
    };
    assert_eq!(put.name(), Some(PARAMETER));
    assert_eq!(put.r#type(), Some(&ParameterType::SecureString));
    assert_eq!(put.tier(), Some(&ParameterTier::Standard));
    assert_eq!((put.key_id(), put.overwrite()), (None, None));
    let tags: Vec<_> = put
        .tags()
        .iter()
        .map(|tag| (tag.key(), tag.value()))
        .collect();
    assert_eq!(
        tags,
        [
            ("fargate-runners:deployment", "fr"),
            ("fargate-runners:execution", "hello-4242"),
            ("fargate-runners:job-id", "4242"),
            ("fargate-runners:repository", "octo/hello"),
        ]
    );
}

#[tokio::test]
async fn what_is_written_starts_the_runner() {
    let stage = Stage::new().await;
    stage.run().await.unwrap();
    let Registration::Jit(config) = stage.registration() else {
        panic!("a configuration")
    };
    stage.server.connect(config.expose()).unwrap();
}

#[tokio::test]
async fn the_group_that_the_task_definition_names_goes_first_and_is_looked_up_once() {
    let variables = [
        ("RUNNER_SCOPE", "organization"),
        ("RUNNER_GROUP", "builders"),
    ];
    let stage = Stage::with(&variables, &Ssm::Works).await;
    let [_, deployers] = ["Builders", "Deployers"].map(|name| {
        let group = RunnerGroup {
            name: name.to_owned(),
            repositories: None,
            allows_public: false,
        };
        stage.server.add_runner_group("octo", group).unwrap()
    });
    let mut payload = payload(Some(stage.installation()));
    payload["runner"]["group"] = json!("deployers");
    handle(&stage.deps, payload.clone()).await.unwrap();
    payload["runner"]["name"] = json!("fr-hello-4242-a2");
    handle(&stage.deps, payload).await.unwrap();
    for runner in stage.server.runners() {
        assert_eq!(runner.group_id, deployers, "{}", runner.name);
    }
    assert_eq!(stage.calls()["GET /orgs/{org}/actions/runner-groups"], 1);
}

#[tokio::test]
async fn an_organizations_runner_goes_into_its_group() {
    let stage = Stage::with(
        &[
            ("RUNNER_SCOPE", "organization"),
            ("RUNNER_GROUP", "builders"),
            ("KMS_KEY_ID", "alias/x"),
        ],
        &Ssm::Works,
    )
    .await;
    let group = RunnerGroup {
        name: "Builders".to_owned(),
        repositories: None,
        allows_public: false,
    };
    let group = stage.server.add_runner_group("octo", group).unwrap();
    stage.run().await.unwrap();
    let [runner] = &stage.server.runners()[..] else {
        panic!("one runner")
    };
    assert_eq!((runner.scope.as_str(), runner.group_id), ("octo", group));
    assert_eq!(stage.puts()[0].key_id(), Some("alias/x"));

    stage.calls();
    let mut payload = payload(Some(stage.installation()));
    payload["runner"]["name"] = json!("fr-hello-4242-a2");
    handle(&stage.deps, payload).await.unwrap();
    assert_eq!(
        stage.calls(),
        BTreeMap::from([(JIT_AT_ORGANIZATION.to_owned(), 1)])
    );
}

#[tokio::test]
async fn a_users_runner_is_registered_at_the_repository() {
    let stage = Stage::with(&[("RUNNER_SCOPE", "organization")], &Ssm::Works).await;
    stage
        .server
        .add_repository("mona/hello", OwnerType::User, true)
        .unwrap();
    let mut payload = payload(stage.server.installation("mona"));
    payload["order"]["job"]["repository"] = json!("mona/hello");
    payload["order"]["job"]["ownerType"] = json!("User");
    handle(&stage.deps, payload).await.unwrap();
    assert_eq!(stage.server.runners()[0].scope, "mona/hello");
}

#[tokio::test]
async fn an_order_without_an_installation_is_served_by_the_one_that_github_names() {
    let stage = Stage::new().await;
    let output = handle(&stage.deps, payload(None)).await.unwrap();
    assert_eq!(output.installation_id, stage.installation());
}

#[tokio::test]
async fn a_registration_token_comes_with_what_config_sh_asks_for() {
    let stage = Stage::with(
        &[("REGISTRATION", "token"), ("RUNNER_SCOPE", "organization")],
        &Ssm::Works,
    )
    .await;
    let output = stage.run().await.unwrap();
    assert_eq!(output.runner_id, None);
    let Registration::Token(token) = stage.registration() else {
        panic!("a token")
    };
    assert_eq!(token.url, format!("{}/octo", stage.server.url()));
    assert_eq!(
        (token.name.as_str(), token.labels.as_str()),
        (RUNNER, "self-hosted,linux,x64")
    );
    assert_eq!(token.group.as_deref(), Some("Default"));
    assert!(!token.token.expose().is_empty());
}

#[tokio::test]
async fn a_doubted_job_that_is_still_queued_gets_its_runner() {
    let stage = Stage::new().await;
    let job = NewJob {
        repository: "octo/hello".to_owned(),
        labels: vec!["linux".to_owned(), "x64".to_owned()],
        ..NewJob::default()
    };
    let job = stage.server.create_job(job).unwrap();
    handle(&stage.deps, doubted(job.id, stage.installation()))
        .await
        .unwrap();
    let mut payload = doubted(job.id, stage.installation());
    payload["order"]["recheck"] = json!(false);
    payload["runner"]["name"] = json!("fr-hello-4242-a2");
    payload["attempt"] = json!({
        "number": 2, "faults": 0, "refusals": 0, "unpicked": 0, "capacityStep": 0,
        "subnetStep": 0, "recheck": true
    });
    stage.calls();
    handle(&stage.deps, payload).await.unwrap();
    // Where the job stands, whether its repository is still private, and the registration.
    assert_eq!(stage.calls().values().sum::<u64>(), 3);
}

#[tokio::test]
async fn a_repository_that_became_public_is_noticed_where_the_job_is_doubted() {
    for (public, served) in [("false", false), ("true", true)] {
        let stage = Stage::with(&[("ALLOW_PUBLIC_REPOSITORIES", public)], &Ssm::Works).await;
        let job = stage
            .server
            .create_job(NewJob {
                repository: "octo/hello".to_owned(),
                labels: vec!["self-hosted".to_owned()],
                ..NewJob::default()
            })
            .unwrap();
        handle(&stage.deps, doubted(job.id, stage.installation()))
            .await
            .unwrap();
        stage
            .server
            .add_repository("octo/hello", OwnerType::Organization, false)
            .unwrap();
        let mut payload = doubted(job.id, stage.installation());
        payload["runner"]["name"] = json!("fr-hello-4242-a2");
        let answer = handle(&stage.deps, payload).await;
        assert_eq!(answer.is_ok(), served, "{answer:?}");
        if let Err(error) = answer {
            assert_eq!(error.fault(), protocol::Fault::NotAdmitted);
            assert!(
                error.to_string().contains("octo/hello is public"),
                "{error}"
            );
        }
        assert_eq!(stage.server.runners().len(), 1 + usize::from(served));
    }
}

#[tokio::test]
async fn where_forks_are_not_served_the_runs_code_is_looked_at_each_time() {
    let stage = Stage::with(&[("ALLOW_FORKS", "false")], &Ssm::Works).await;
    let job = stage
        .server
        .create_job(NewJob {
            repository: "octo/hello".to_owned(),
            labels: vec!["self-hosted".to_owned()],
            ..NewJob::default()
        })
        .unwrap();
    let mut payload = payload(Some(stage.installation()));
    payload["order"]["job"]["id"] = json!(job.id);
    payload["order"]["job"]["runId"] = json!(job.run_id);
    stage.calls();
    handle(&stage.deps, payload.clone()).await.unwrap();
    assert_eq!(
        stage.calls()["GET /repos/{owner}/{repo}/actions/runs/{run_id}"],
        1
    );
    for (fork, named) in [
        (Fork::At("stranger/hello".to_owned()), "stranger/hello"),
        (Fork::Deleted, "a fork that was deleted"),
    ] {
        let job = stage
            .server
            .create_job(NewJob {
                repository: "octo/hello".to_owned(),
                labels: vec!["self-hosted".to_owned()],
                fork: Some(fork),
                ..NewJob::default()
            })
            .unwrap();
        payload["order"]["job"]["id"] = json!(job.id);
        payload["order"]["job"]["runId"] = json!(job.run_id);
        payload["runner"]["name"] = json!("fr-hello-4242-a2");
        let error = handle(&stage.deps, payload.clone()).await.unwrap_err();
        assert_eq!(error.fault(), protocol::Fault::NotAdmitted);
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(stage.server.runners().len(), 1);
    }
}
