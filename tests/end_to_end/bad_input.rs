//! Invalid input: the execution's history and the log name the problem.

use github_standin::{NewJob, OwnerType, RunnerGroup};
use local_stack::{Engine, EngineOptions, Execution, Plan};
use tooling::Checkout;

use protocol::State;

use crate::faults::visits;
use crate::harness::{LIMIT, Site, assert_succeeded, labels, run, script, site};

pub(crate) fn failed(execution: &Execution, error: &str, words: &[&str]) {
    assert_eq!(execution.status, "FAILED");
    assert_eq!(
        execution.error.as_deref(),
        Some(error),
        "{:?}",
        execution.cause
    );
    let cause = execution.cause.as_deref().unwrap_or_default();
    for word in words {
        assert!(
            cause.contains(word),
            "the cause doesn't say {word:?}: {cause}"
        );
    }
}

#[test]
fn a_job_that_nothing_matches_ends_with_the_nearest_offers() {
    run(async |harness| {
        let site = &harness.repository;
        let mut labels = labels();
        labels.push("gpu".to_owned());
        let (_, execution) = site
            .run(NewJob {
                labels,
                ..script("octo/unmatched", "true")
            })
            .await;
        failed(&execution, "Unmatched", &["gpu", "fargate-runners-ubuntu"]);
    });
}

#[test]
fn a_task_definition_without_the_container_is_named() {
    run(async |harness| {
        let site = &harness.repository;
        let labels = ["self-hosted", "broken"].map(str::to_owned).to_vec();
        let (_, execution) = site
            .run(NewJob {
                labels,
                ..script("octo/broken", "true")
            })
            .await;
        failed(
            &execution,
            "ContainerMissing",
            &["fargate-runners-broken", "runner", "main"],
        );
    });
}

#[test]
fn a_runner_that_github_finds_too_old_is_named_and_not_started_again() {
    run(async |harness| {
        let site = harness.organization().await;
        let github = &site.deployment.github;
        github.change_settings(|settings| settings.minimum_runner_version = Some("99.0.0".into()));
        let (job, execution) = site.run(script("octo/outdated", "true")).await;
        github.change_settings(|settings| settings.minimum_runner_version = None);
        failed(&execution, "RunnerTooOld", &["Rebuild the runner image"]);
        assert_eq!(visits(&execution, State::Runner).len(), 1);
        github.cancel_job(job.id).unwrap();
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn an_app_that_is_not_installed_is_named_with_the_repository() {
    run(async |harness| {
        let site = &harness.repository;
        let github = &site.deployment.github;
        github
            .add_repository("stranger/things", OwnerType::Organization, true)
            .unwrap();
        github.uninstall("stranger");
        let new = NewJob {
            via: github_standin::Via::Repository,
            ..script("stranger/things", "true")
        };
        let (job, execution) = site.run(new).await;
        failed(&execution, "AppNotInstalled", &["stranger/things"]);
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn an_unfinished_deployment_names_what_is_missing_until_it_works() {
    run(async |harness| {
        // A deployment with an unknown runner group and without secrets.
        let plan = Plan::new("unfinished", "un")
            .with("runnerScope", "organization")
            .with("runnerGroup", "builders");
        let unfinished = site(&harness.engine, plan).await;
        let site = &unfinished;
        let aws = &site.observer.aws;
        let secret = |name: &str| site.deployment.secret_name(name);
        aws.put_secret(
            &secret("webhook-secret"),
            &site.deployment.github.webhook_secret(),
        )
        .await
        .unwrap();

        let execution = attempt(site, "octo/first").await;
        failed(&execution, "SecretMissing", &["/unfinished/github/"]);

        aws.put_secret(
            &secret("app-id"),
            &site.deployment.github.app_id().to_string(),
        )
        .await
        .unwrap();
        let execution = attempt(site, "octo/second").await;
        failed(
            &execution,
            "SecretMissing",
            &["/unfinished/github/private-key"],
        );

        aws.put_secret(&secret("private-key"), "hunter2hunter2")
            .await
            .unwrap();
        let execution = attempt(site, "octo/third").await;
        failed(
            &execution,
            "AppKeyInvalid",
            &["/unfinished/github/private-key"],
        );
        let history = serde_json::to_string(&execution.events).unwrap();
        assert!(
            !history.contains("hunter2"),
            "the history shows what the parameter holds"
        );

        aws.put_secret(&secret("private-key"), github_standin::APP_PRIVATE_KEY)
            .await
            .unwrap();
        let execution = attempt(site, "octo/fourth").await;
        failed(&execution, "RunnerGroupMissing", &["builders", "octo"]);

        let group = RunnerGroup {
            name: "builders".to_owned(),
            repositories: None,
            allows_public: false,
        };
        site.deployment
            .github
            .add_runner_group("octo", group)
            .unwrap();
        let execution = attempt(site, "octo/fifth").await;
        assert_succeeded(&execution);
    });
}

async fn attempt(site: &Site, repository: &str) -> Execution {
    let (_, execution) = site.run(script(repository, "true")).await;
    execution
}

#[test]
fn a_webhook_with_a_wrong_signature_starts_nothing() {
    run(async |harness| {
        let site = &harness.repository;
        let target = site.deployment.webhook().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for signature in [None, Some("sha256=00"), Some("sha256=zz"), Some("nonsense")] {
            let mut request = client
                .post(&target.url)
                .header("host", target.host.as_deref().unwrap())
                .header("x-github-event", "workflow_job")
                .body("{\"action\":\"queued\"}");
            if let Some(signature) = signature {
                request = request.header("x-hub-signature-256", signature);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401, "{signature:?}");
        }
    });
}

#[test]
fn a_taken_port_is_named_with_what_to_do() {
    run(async |_| {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let checkout = Checkout::here();
        let options = EngineOptions {
            port,
            wait_scale: 1.0,
            control: false,
            enforce_iam: false,
            directory: checkout.local().join("engine-without-a-port"),
        };
        let started = tokio::time::timeout(LIMIT, Engine::start(&checkout, &options))
            .await
            .unwrap();
        let error = format!("{:#}", started.expect_err("the port is taken"));
        assert!(
            error.contains(&port.to_string()) && error.contains("--port"),
            "{error}"
        );
    });
}
