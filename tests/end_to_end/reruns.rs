//! A second chance for a job that Spot takes away, and none for one that fails by itself.

use std::path::Path;

use github_standin::{Access, Job, JobStatus, OwnerType};
use local_stack::Plan;

use crate::harness::{LIMIT, Site, assert_succeeded, deployed, run, script};
use crate::recovery::{end_task, sweep};
use crate::variants::providers;

const REPOSITORY: &str = "octo/again";

/// The jobs of a run's later attempts.
fn again(site: &Site, job: &Job) -> Vec<Job> {
    let jobs = site.deployment.github.jobs().into_iter();
    jobs.filter(|other| other.run_id == job.run_id && other.run_attempt > 1)
        .collect()
}

async fn exists(site: &Site, file: &Path) {
    let found = site
        .observer
        .wait(LIMIT, async || Ok(file.exists().then_some(())))
        .await
        .unwrap();
    assert!(found.is_some(), "the job never began");
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
        let begun = directory.path().join("begun");
        let file = begun.display();
        let work = format!("[ -e '{file}' ] && exit 0; touch '{file}'; sleep 600");
        let lost = site.queue(script(REPOSITORY, &work));
        let task = site.task_of(&lost).await;
        exists(&site, &begun).await;
        end_task(harness, &task, "spot-interruption").await;
        let execution = site.ended(&lost).await;
        assert_succeeded(&execution);
        assert_eq!(providers(&execution), ["FARGATE_SPOT"]);
        site.reaches(&lost, JobStatus::Completed).await;
        println!("the first attempt: {:?}", site.job(&lost).conclusion);
        sweep(&site).await;
        let attempts = again(&site, &lost);
        let [second] = attempts.as_slice() else {
            panic!("{attempts:#?}")
        };
        site.reaches(second, JobStatus::Completed).await;
        assert_eq!(site.job(second).conclusion.as_deref(), Some("success"));
        let execution = site.ended(second).await;
        assert_succeeded(&execution);
        assert_eq!(providers(&execution), ["FARGATE"]);

        // What a job does to itself is its own business.
        let (failed, execution) = site.run(script(REPOSITORY, "exit 1")).await;
        assert_succeeded(&execution);
        assert_eq!(failed.conclusion.as_deref(), Some("failure"));
        sweep(&site).await;
        sweep(&site).await;
        assert!(again(&site, &failed).is_empty());
        assert_eq!(again(&site, &lost).len(), 1);
        for job in [&lost, second, &failed] {
            site.nothing_left_of(job).await;
        }
    });
}
