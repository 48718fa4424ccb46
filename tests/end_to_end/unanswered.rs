//! GitHub assigns no jobs, or hides existing ones: no job is lost.

use std::collections::BTreeSet;

use github_standin::{Fault, FaultKind, JobStatus, NewJob};
use serde_json::json;
use time::OffsetDateTime;

use crate::faults::{RUNNER_TRIES, order};
use crate::harness::{LIMIT, Site, assert_succeeded, run, script};

/// More than any small limit.
const DROPPED: usize = 5;
const NOT_FOUND: FaultKind = FaultKind::Status {
    status: 404,
    message: None,
    retry_after: None,
};

/// Waits for the next runner of the deployment to come online and makes GitHub delete it.
async fn drop_the_next(site: &Site, dropped: &mut BTreeSet<u64>) {
    let github = &site.deployment.github;
    let id = site
        .observer
        .wait(LIMIT, async || {
            // A runner of an earlier test may still have its job.
            let online = |runner: &&github_standin::Runner| {
                runner.online && !runner.busy && !dropped.contains(&runner.id)
            };
            Ok(github.runners().iter().find(online).map(|runner| runner.id))
        })
        .await
        .unwrap()
        .expect("another runner comes online");
    github.drop_runner(id).unwrap();
    dropped.insert(id);
}

#[test]
fn a_job_is_served_once_github_assigns_again_however_many_runners_got_nothing() {
    run(async |harness| {
        let site = &harness.repository;
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

/// Runs a job whose execution asks GitHub, because of a lack of capacity, and gets `times` 404s.
fn is_served_after_404(repository: &'static str, times: u32, made: time::Duration) {
    run(async |harness| {
        let site = &harness.repository;
        let capacity = json!({
            "service": "ecs", "operation": "RunTask", "effect": "capacity", "match": repository,
            "times": RUNNER_TRIES,
        });
        order(harness, capacity).await;
        let github = &site.deployment.github;
        github.fault(
            Fault::new(NOT_FOUND)
                .on("GET", "/actions/jobs/")
                .times(times),
        );
        let job = site.queue(NewJob {
            created_at: Some(OffsetDateTime::now_utc() - made),
            ..script(repository, "true")
        });
        assert_succeeded(&site.ended(&job).await);
        site.reaches(&job, JobStatus::Completed).await;
        site.nothing_left_of(&job).await;
        github.clear_faults();
    });
}

#[test]
fn a_job_that_github_answers_404_for_once_is_served_after_a_lack_of_capacity() {
    is_served_after_404("octo/hidden-once", 1, time::Duration::ZERO);
}

#[test]
fn a_job_that_github_answers_404_for_again_and_again_is_served_in_the_end() {
    is_served_after_404("octo/hidden-for-long", 12, time::Duration::ZERO);
}

#[test]
fn a_job_whose_webhook_is_two_minutes_late_and_that_is_not_found_then_is_served() {
    is_served_after_404("octo/hidden-and-late", 3, time::Duration::minutes(2));
}
