//! Ends by a user or an operator: a cancelled job, an aborted execution.

use github_standin::JobStatus;
use serde_json::json;

use crate::harness::{assert_succeeded, run, script, untaken};

#[test]
fn a_job_cancelled_before_a_runner_took_it_ends_its_execution_and_its_runner() {
    run(async |harness| {
        let site = &harness.repository;
        let job = site.queue(untaken("octo/cancelled"));
        let task = site.task_of(&job).await;
        site.runner_is_online(&job).await;
        site.deployment.github.cancel_job(job.id).unwrap();
        let execution = site.ended(&job).await;
        assert_succeeded(&execution);
        site.task_is_gone(&task).await;
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn an_aborted_execution_leaves_nothing_behind() {
    run(async |harness| {
        let site = &harness.repository;
        let job = site.queue(script("octo/aborted", "sleep 600"));
        let task = site.task_of(&job).await;
        site.reaches(&job, JobStatus::InProgress).await;
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
        let next = site.next_name(&job);
        let restarted = site.observer.execution(&next).await.unwrap();
        assert!(
            restarted.is_none(),
            "an abort was deliberate: never restart it"
        );
    });
}
