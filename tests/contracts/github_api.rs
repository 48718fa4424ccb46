//! What the handlers ask of GitHub and what the stand-in answers, held against GitHub's own
//! description of its API.

use std::time::Duration;

use decisions::JobStatus;
use github::{Access, ApiUrl, App, CheckRun, Deleted, GitHub, JitRequest, Rerun, Scope};
use github_standin::{Config, Fork, NewJob, OwnerType, RunnerGroup, Server, WebhookTarget};
use protocol::{Job, JobId, Repository};
use system_tests::{Recorder, check_exchanges};

const LIMIT: Duration = Duration::from_secs(10);

fn labels() -> Vec<String> {
    vec!["self-hosted".to_owned(), "linux".to_owned()]
}

fn jit(name: &str, runner_group_id: u64) -> JitRequest {
    JitRequest {
        name: name.to_owned(),
        runner_group_id,
        labels: labels(),
        work_folder: "_work".to_owned(),
    }
}

/// A GitHub with one organization, a job in it, and a failed delivery of its webhook.
async fn standin() -> (Server, u64) {
    let server = Server::start(Config::default()).await.unwrap();
    server
        .add_repository("octo/hello", OwnerType::Organization, true)
        .unwrap();
    let group = RunnerGroup {
        name: "builders".to_owned(),
        repositories: None,
        allows_public: false,
    };
    server.add_runner_group("octo", group).unwrap();
    // Nobody listens there: every delivery fails.
    server.set_webhook(Some(WebhookTarget {
        url: "http://127.0.0.1:9/".to_owned(),
        host: None,
    }));
    let job = server
        .create_job(NewJob {
            repository: "octo/hello".to_owned(),
            labels: labels(),
            ..NewJob::default()
        })
        .unwrap();
    assert!(server.wait_for_deliveries(LIMIT).await);
    (server, job.id)
}

#[tokio::test]
async fn every_call_and_every_answer_fits_githubs_own_description() {
    let (server, id) = standin().await;
    for permission in ["actions", "checks"] {
        server.set_permission("octo", permission, Some(github_standin::Access::Write));
    }
    let recorder = Recorder::start(server.url()).await.unwrap();
    let url: ApiUrl = recorder.url.parse().unwrap();
    let app = App::new(
        &server.app_id().to_string(),
        github_standin::APP_PRIVATE_KEY,
    )
    .unwrap();
    let github = GitHub::new(url, app).unwrap();
    let repository: Repository = "octo/hello".parse().unwrap();
    let of = |id: u64| -> Job {
        let run = server.job(id).unwrap().run_id;
        serde_json::from_value(serde_json::json!({
            "id": id, "runId": run, "runAttempt": 1, "name": "build", "workflow": "CI",
            "repository": "octo/hello", "ownerType": "Organization", "private": true,
            "labels": labels(), "installationId": null, "queuedAt": "2026-01-01T00:00:00Z"
        }))
        .unwrap()
    };

    // As the App.
    let installation = github
        .serving(&repository, None, &Access::jobs(&repository))
        .await
        .unwrap();
    github.installation_of_org("octo").await.unwrap();
    assert_eq!(github.installations(1).await.unwrap().items.len(), 1);
    let deliveries = github.deliveries(None).await.unwrap().deliveries;
    let failed = deliveries
        .iter()
        .find(|delivery| !delivery.succeeded())
        .unwrap();
    github.redeliver(failed.id).await.unwrap();
    let stranger: Repository = "nobody/nothing".parse().unwrap();
    let access = Access::jobs(&stranger);
    let serving = github.serving(&stranger, None, &access);
    assert!(serving.await.is_err());

    // As an installation, at both scopes.
    for scope in [
        Scope::Repository(repository.clone()),
        Scope::Organization("octo".to_owned()),
    ] {
        let group = match scope {
            Scope::Repository(_) => 1,
            Scope::Organization(_) => installation.runner_group(&scope, "builders").await.unwrap(),
        };
        let runner = installation
            .jit_config(&scope, &jit("fr-hello-1", group))
            .await
            .unwrap();
        assert!(
            installation
                .jit_config(&scope, &jit("fr-hello-1", group))
                .await
                .is_err()
        );
        installation.registration_token(&scope).await.unwrap();
        assert!(
            installation
                .find_runner(&scope, "fr-hello-1")
                .await
                .unwrap()
                .is_some()
        );
        assert_eq!(
            installation.runners(&scope, 1).await.unwrap().items.len(),
            1
        );
        assert_eq!(
            installation.delete_runner(&scope, runner.id).await.unwrap(),
            Deleted::Gone
        );
        assert_eq!(
            installation.delete_runner(&scope, runner.id).await.unwrap(),
            Deleted::Absent
        );
    }
    assert!(
        installation
            .runner_group(&Scope::Organization("octo".to_owned()), "nowhere")
            .await
            .is_err()
    );

    // A check run on the commit of a job, created and updated.
    assert!(installation.may_write_checks().await.unwrap());
    let commit = installation.commit_of(&repository, JobId(id)).await;
    let sha = commit.unwrap().unwrap().sha;
    let run = CheckRun {
        name: "Self-hosted runner for build",
        external_id: "fr-hello-1",
        title: "No runner: Unmatched",
        summary: "Fix the cause.",
        details_url: "https://example.org/",
    };
    let find = || installation.find_check_run(&repository, &sha, run.name, run.external_id);
    assert_eq!(find().await.unwrap(), None);
    installation
        .create_check_run(&repository, &sha, &run)
        .await
        .unwrap();
    let check_run = find().await.unwrap().unwrap();
    installation
        .update_check_run(&repository, check_run, &run)
        .await
        .unwrap();

    // A job, before, while and after a runner has it.
    let scope = Scope::Repository(repository.clone());
    let runner = installation
        .jit_config(&scope, &jit("fr-hello-2", 1))
        .await
        .unwrap();
    assert!(installation.job(&of(id)).await.unwrap().is_queued());
    let mut listener = server.connect(runner.config.expose()).unwrap();
    listener.take(LIMIT).await.expect("the job is the runner's");
    installation.job(&of(id)).await.unwrap();
    assert_eq!(
        installation.delete_runner(&scope, runner.id).await.unwrap(),
        Deleted::Busy
    );
    let runs = installation
        .runs(&repository, "in_progress", 1)
        .await
        .unwrap()
        .items;
    installation
        .run_jobs(&repository, runs[0].id, 1)
        .await
        .unwrap();
    listener.finish("success");
    installation.job(&of(id)).await.unwrap();

    // It is run again, alone, and with all that failed.
    assert!(installation.may_rerun().await.unwrap());
    let run = of(id).run_id;
    let seen = installation.look_at_run(&repository, run).await.unwrap();
    assert_eq!(seen.unwrap().conclusion.as_deref(), Some("success"));
    let alone = installation.rerun_job(&repository, JobId(id));
    assert_eq!(alone.await.unwrap(), Rerun::Begun);
    let running = installation.rerun_job(&repository, JobId(id));
    assert!(matches!(running.await.unwrap(), Rerun::Later(_)));
    let jobs = installation.jobs_of_attempt(&repository, run).await;
    let (again, _) = jobs.unwrap()[0];
    server.cancel_job(again.0).unwrap();
    let failed = installation.rerun_failed(&repository, run);
    assert_eq!(failed.await.unwrap(), Rerun::Begun);
    let contributed = server
        .create_job(NewJob {
            repository: "octo/hello".to_owned(),
            labels: labels(),
            fork: Some(Fork::At("stranger/hello".to_owned())),
            ..NewJob::default()
        })
        .unwrap();
    for (job, from) in [(id, "octo/hello"), (contributed.id, "stranger/hello")] {
        let source = installation.run_source(&of(job)).await.unwrap();
        assert_eq!(source.head.unwrap().full_name, from);
    }
    installation.repositories(1).await.unwrap();

    // A refusal and a job that is gone are looked into.
    let refused = installation.jit_config(&scope, &jit("", 1)).await;
    installation.second_look(&scope, refused.unwrap_err()).await;
    let gone = of(id);
    server.delete_run(gone.run_id).unwrap();
    assert_eq!(installation.job(&gone).await.unwrap(), JobStatus::Absent);
    let run_is_gone = installation.run_is_gone(&repository, gone.run_id);
    assert!(run_is_gone.await.unwrap());

    let exchanges = recorder.exchanges();
    assert!(
        exchanges.len() > 25,
        "only {} calls were made",
        exchanges.len()
    );
    if let Err(error) = check_exchanges("contract", &exchanges) {
        panic!("{error:#}");
    }
    server.stop().await;
}
