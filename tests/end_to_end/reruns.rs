//! A second chance for a job that Spot takes away, and none for one that fails by itself.

use std::path::Path;

use github_standin::{Access, Job, JobStatus, NewJob, OwnerType};
use local_stack::Plan;

use crate::harness::{Harness, LIMIT, Site, assert_succeeded, deployed, run, script};
use crate::recovery::{end_task, sweep};
use crate::variants::providers;

const REPOSITORY: &str = "octo/again";

/// The jobs of a run's later attempts.
fn again(site: &Site, job: &Job) -> Vec<Job> {
    let jobs = site.deployment.github.jobs().into_iter();
    jobs.filter(|other| other.run_id == job.run_id && other.run_attempt > 1)
        .collect()
}

/// A job of a run (a new one if not given) that works for long in its first attempt only. Returns when it
/// has begun, with its task.
async fn begins(site: &Site, directory: &Path, name: &str, run_id: Option<u64>) -> (Job, String) {
    let begun = directory.join(name);
    let file = begun.display();
    let work = format!("[ -e '{file}' ] && exit 0; touch '{file}'; sleep 600");
    let job = site.queue(NewJob {
        run_id,
        ..script(REPOSITORY, &work)
    });
    let task = site.task_of(&job).await;
    let found = site
        .observer
        .wait(LIMIT, async || Ok(begun.exists().then_some(())))
        .await
        .unwrap();
    assert!(found.is_some(), "the job never began");
    (job, task)
}

/// Spot takes the task of a job away.
async fn is_interrupted(harness: &Harness, site: &Site, (job, task): &(Job, String)) {
    end_task(harness, task, "spot-interruption").await;
    let execution = site.ended(job).await;
    assert_succeeded(&execution);
    assert_eq!(providers(&execution), ["FARGATE_SPOT"]);
    site.reaches(job, JobStatus::Completed).await;
    println!("attempt 1: {:?}", site.job(job).conclusion);
}

async fn is_green_on_demand(site: &Site, job: &Job) {
    site.reaches(job, JobStatus::Completed).await;
    assert_eq!(site.job(job).conclusion.as_deref(), Some("success"));
    let execution = site.ended(job).await;
    assert_succeeded(&execution);
    assert_eq!(providers(&execution), ["FARGATE"]);
    site.nothing_left_of(job).await;
}

#[test]
fn a_job_that_spot_took_away_is_green_on_demand_and_a_failed_one_stays_failed() {
    run(async |harness| {
        let plan = Plan::new("again", "ag")
            .with("rerunAfterInterruption", "true")
            .with("capacity", "FARGATE_SPOT,FARGATE");
        let site = deployed(&harness.engine, plan).await;
        let github = &site.deployment.github;
        github
            .add_repository(REPOSITORY, OwnerType::Organization, true)
            .unwrap();
        github.set_permission("octo", "actions", Some(Access::Write));
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();

        let lost = begins(&site, place, "one", None).await;
        is_interrupted(harness, &site, &lost).await;
        sweep(&site).await;
        let attempts = again(&site, &lost.0);
        let [second] = attempts.as_slice() else {
            panic!("{attempts:#?}")
        };
        is_green_on_demand(&site, second).await;

        // A run of two jobs: GitHub takes nothing until both have ended, and then both together.
        let first = begins(&site, place, "first", None).await;
        let other = begins(&site, place, "other", Some(first.0.run_id)).await;
        is_interrupted(harness, &site, &first).await;
        sweep(&site).await;
        assert!(again(&site, &first.0).is_empty());
        is_interrupted(harness, &site, &other).await;
        sweep(&site).await;
        let attempts = again(&site, &first.0);
        assert_eq!(attempts.len(), 2, "{attempts:#?}");
        for job in &attempts {
            is_green_on_demand(&site, job).await;
        }

        // What a job does to itself is its own business, and what somebody cancelled stays so.
        let (failed, execution) = site.run(script(REPOSITORY, "exit 1")).await;
        assert_succeeded(&execution);
        assert_eq!(failed.conclusion.as_deref(), Some("failure"));
        let (cancelled, _) = begins(&site, place, "cancelled", None).await;
        github.cancel_job(cancelled.id).unwrap();
        site.reaches(&cancelled, JobStatus::Completed).await;
        site.ended(&cancelled).await;
        for _ in 0..2 {
            sweep(&site).await;
        }
        let count = |job: &Job| again(&site, job).len();
        assert_eq!((count(&failed), count(&cancelled)), (0, 0));
        assert_eq!((count(&lost.0), count(&first.0)), (1, 2));
        for job in [&lost.0, &first.0, &other.0, &failed, &cancelled] {
            site.nothing_left_of(job).await;
        }
    });
}
