//! All kinds of webhook at all scopes.

use github_standin::{Hook, NewJob, Via};

use crate::harness::{Site, assert_succeeded, run, script};

/// Runs a job announced by this kind of webhook. Its repository is new, so an installation that the
/// webhook does not name has to be looked up.
async fn works(site: &Site, via: Via, repository: &str) {
    let (job, execution) = site
        .run(NewJob {
            via,
            ..script(repository, "true")
        })
        .await;
    assert_succeeded(&execution);
    assert_eq!(job.conclusion.as_deref(), Some("success"));
    let deliveries = site.deployment.github.deliveries();
    let queued = deliveries
        .iter()
        .find(|delivery| {
            delivery.job == Some(job.id) && delivery.action.as_deref() == Some("queued")
        })
        .unwrap();
    let named = queued.installation_id.is_some();
    assert_eq!(
        named,
        queued.hook == Hook::App,
        "only the App's webhook names the installation"
    );
    assert!(queued.status_code < 300, "{queued:?}");
    site.nothing_left_of(&job).await;
}

#[test]
fn the_apps_webhook_works_at_repository_scope() {
    run(async |harness| works(&harness.repository, Via::App, "octo/app-hook").await);
}

#[test]
fn a_repositorys_webhook_works_at_repository_scope() {
    run(async |harness| works(&harness.repository, Via::Repository, "first/own-hook").await);
}

#[test]
fn an_organizations_webhook_works_at_repository_scope() {
    run(async |harness| works(&harness.repository, Via::Organization, "second/own-hook").await);
}

#[test]
fn the_apps_webhook_works_at_organization_scope() {
    run(async |harness| works(harness.organization().await, Via::App, "octo/app-hook").await);
}

#[test]
fn a_repositorys_webhook_works_at_organization_scope() {
    run(async |harness| {
        works(
            harness.organization().await,
            Via::Repository,
            "first/own-hook",
        )
        .await;
    });
}

#[test]
fn an_organizations_webhook_works_at_organization_scope() {
    run(async |harness| {
        works(
            harness.organization().await,
            Via::Organization,
            "second/own-hook",
        )
        .await;
    });
}

#[test]
fn a_job_that_is_told_of_twice_gets_one_runner() {
    run(async |harness| {
        let site = &harness.repository;
        let via = Via::AppAndRepository;
        let (job, execution) = site
            .run(NewJob {
                via,
                ..script("octo/twice", "true")
            })
            .await;
        assert_succeeded(&execution);
        let path = "/repos/octo/twice/actions/runners/generate-jitconfig";
        let issued = site
            .recorder
            .exchanges()
            .iter()
            .filter(|call| call.path == path)
            .count();
        assert_eq!(issued, 1);
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn a_job_for_githubs_own_runners_starts_nothing() {
    run(async |harness| {
        let site = &harness.repository;
        let job = site.queue(NewJob {
            labels: vec!["ubuntu-latest".to_owned()],
            ..script("octo/hosted", "true")
        });
        assert!(
            site.deployment
                .github
                .wait_for_deliveries(crate::harness::LIMIT)
                .await
        );
        assert!(
            site.observer
                .execution(&site.name(&job))
                .await
                .unwrap()
                .is_none()
        );
    });
}
