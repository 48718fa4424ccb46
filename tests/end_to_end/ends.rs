//! Ends that somebody brings about: a cancelled job, an aborted execution.

use github_standin::NewJob;
use serde_json::json;

use crate::world::{LIMIT, run, script};

#[test]
fn a_job_cancelled_before_a_runner_took_it_ends_its_execution_and_its_runner() {
    run(async |world| {
        let site = &world.repository;
        let _shared = site.alone.read().await;
        // No runner of that name ever comes, so the job's own stays idle.
        let runner = Some("somebody-elses".to_owned());
        let job = site.queue(NewJob {
            runner,
            ..script("octo/cancelled", "true")
        });
        let task = site.task_of(&job).await;
        let github = &site.deployment.github;
        let name = format!("fr-{}", site.name(&job));
        github
            .wait_for(LIMIT, |seen| {
                seen.runners
                    .iter()
                    .any(|runner| runner.name == name && runner.online)
            })
            .await
            .expect("the runner comes online");
        github.cancel_job(job.id).unwrap();
        let execution = site.ended(&job).await;
        assert_eq!(
            execution.status, "SUCCEEDED",
            "{:?}: {:?}",
            execution.error, execution.cause
        );
        site.task_is_gone(&task).await;
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn an_aborted_execution_leaves_nothing_behind() {
    run(async |world| {
        let site = &world.repository;
        let _shared = site.alone.read().await;
        let job = site.queue(script("octo/aborted", "sleep 600"));
        let task = site.task_of(&job).await;
        site.deployment
            .github
            .wait_for(LIMIT, |seen| {
                seen.job(job.id)
                    .is_some_and(|job| job.status.as_str() == "in_progress")
            })
            .await
            .expect("the job starts");
        let arn = site.observer.execution_arn(&site.name(&job));
        site.observer
            .aws
            .states("StopExecution", json!({ "executionArn": arn }))
            .await
            .unwrap();
        let execution = site.ended(&job).await;
        assert_eq!(execution.status, "ABORTED");
        site.task_is_gone(&task).await;
        site.nothing_left_of(&job).await;
        let next = format!("{}-r2", site.name(&job));
        let restarted = site.observer.execution(&next).await.unwrap();
        assert!(restarted.is_none(), "an abort is a person's word");
    });
}
