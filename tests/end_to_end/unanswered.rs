//! GitHub assigns nothing, or does not show what is there: no job is lost over it.

use std::collections::BTreeSet;

use github_standin::{Fault, FaultKind, JobStatus};
use serde_json::json;

use crate::world::{LIMIT, Site, assert_succeeded, run, script};

/// More than any small count.
const DROPPED: usize = 5;
const NOT_FOUND: FaultKind = FaultKind::Status { status: 404 };

/// Waits for the next runner of the deployment that comes online, and has GitHub drop it.
async fn drop_the_next(site: &Site, dropped: &mut BTreeSet<u64>) {
    let github = &site.deployment.github;
    let id = site
        .observer
        .wait(LIMIT, async || {
            let online = |runner: &&github_standin::Runner| {
                runner.online && !dropped.contains(&runner.id)
            };
            Ok(github.runners().iter().find(online).map(|runner| runner.id))
        })
        .await
        .unwrap();
    github.drop_runner(id).unwrap();
    dropped.insert(id);
}

#[test]
fn a_job_is_served_once_github_assigns_again_however_many_runners_got_nothing() {
    run(async |world| {
        let site = &world.repository;
        let _alone = site.alone.write().await;
        let github = &site.deployment.github;
        github.change_settings(|settings| settings.assigning = false);
        let job = site.queue(script("octo/unassigned", "true"));
        let mut dropped = BTreeSet::new();
        while dropped.len() < DROPPED {
            drop_the_next(site, &mut dropped).await;
        }
        github.change_settings(|settings| settings.assigning = true);
        let execution = site.ended(&job).await;
        assert_succeeded(&execution);
        site.reaches(&job, JobStatus::Completed).await;
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn a_job_that_github_answers_404_for_once_is_served_after_a_lack_of_capacity() {
    run(async |world| {
        let site = &world.repository;
        let _alone = site.alone.write().await;
        let capacity = json!({
            "service": "ecs", "operation": "RunTask", "effect": "capacity", "match": "octo/hidden"
        });
        world
            .control(reqwest::Method::POST, "/faults", capacity)
            .await;
        let github = &site.deployment.github;
        github.fault(Fault::new(NOT_FOUND).on("GET", "/actions/jobs/").times(1));
        let job = site.queue(script("octo/hidden", "true"));
        assert_succeeded(&site.ended(&job).await);
        site.reaches(&job, JobStatus::Completed).await;
        site.nothing_left_of(&job).await;
    });
}
