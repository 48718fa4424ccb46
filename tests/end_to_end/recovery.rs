//! Recovery of a job after a lost webhook, a displaced job, an approval or a killed task.

use std::collections::BTreeSet;

use github_standin::{DeliveryFault, DeliveryFaultKind, JobStatus, NewJob};
use reqwest::Method;
use serde_json::json;

use crate::harness::{Harness, LIMIT, Site, assert_succeeded, run, script, untaken};

/// Invokes `sweep`, as its schedule does every five minutes.
pub(crate) async fn sweep(site: &Site) {
    let function = format!("{}-sweep", site.observer.prefix);
    site.observer
        .aws
        .invoke(&function, json!({}))
        .await
        .unwrap();
}

/// Ends a task in one of the engine's ways.
pub(crate) async fn end_task(harness: &Harness, task: &str, how: &str) {
    let id = task.rsplit('/').next().unwrap();
    let path = format!("/tasks/{id}/{how}");
    harness.control(Method::POST, &path, json!({})).await;
}

#[test]
fn a_job_whose_webhook_was_lost_is_found_by_sweep() {
    run(async |harness| {
        let site = &harness.repository;
        let github = &site.deployment.github;
        let lost = DeliveryFault::new(DeliveryFaultKind::Fail { status: 502 });
        github.delivery_fault(lost.on("queued"));
        let job = site.queue(script("octo/lost", "true"));
        assert!(github.wait_for_deliveries(LIMIT).await);
        let name = site.name(&job);
        assert!(site.observer.execution(&name).await.unwrap().is_none());
        let found = site
            .observer
            .wait(LIMIT, async || {
                sweep(site).await;
                site.observer.execution(&name).await
            })
            .await
            .unwrap();
        assert!(found.is_some(), "GitHub was not asked to repeat it");
        let execution = site.ended(&job).await;
        assert_succeeded(&execution);
        site.reaches(&job, JobStatus::Completed).await;
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn a_job_whose_runner_took_another_is_served_after_its_approval() {
    run(async |harness| {
        let site = &harness.repository;
        let github = &site.deployment.github;
        // Held back before GitHub assigns it, so that the runner idles and can be assigned another
        // job. Its task is there by then: an execution that begins later would find it held back.
        github.change_settings(|settings| settings.assigning = false);
        let robbed = site.queue(script("octo/robbed", "true"));
        let task = site.task_of(&robbed).await;
        github.hold_job(robbed.id).unwrap();
        github.change_settings(|settings| settings.assigning = true);
        let runner = site.runner_name(&robbed);
        let thief = site.queue(NewJob {
            runner: Some(runner.clone()),
            ..script("octo/robbed", "true")
        });
        site.reaches(&thief, JobStatus::Completed).await;
        assert_eq!(site.job(&thief).runner.as_deref(), Some(runner.as_str()));
        site.task_is_gone(&task).await;
        github.approve_job(robbed.id).unwrap();
        site.reaches(&robbed, JobStatus::Completed).await;
        assert_eq!(site.job(&robbed).conclusion.as_deref(), Some("success"));
        site.retire_surplus().await;
        for job in [&robbed, &thief] {
            let execution = site.ended(job).await;
            assert_succeeded(&execution);
            site.nothing_left_of(job).await;
        }
    });
}

#[test]
fn a_job_whose_task_died_before_its_approval_is_served_after_it() {
    run(async |harness| {
        let site = &harness.repository;
        let github = &site.deployment.github;
        // Held back before GitHub assigns it, so that the runner idles.
        github.change_settings(|settings| settings.assigning = false);
        let job = site.queue(script("octo/held", "true"));
        let task = site.task_of(&job).await;
        github.hold_job(job.id).unwrap();
        github.change_settings(|settings| settings.assigning = true);
        site.runner_is_online(&job).await;
        end_task(harness, &task, "kill").await;
        let execution = site.ended(&job).await;
        assert_succeeded(&execution);
        github.approve_job(job.id).unwrap();
        let next = site.next_name(&job);
        let next = site.observer.ended(&next, LIMIT).await.unwrap();
        assert_succeeded(&next);
        site.reaches(&job, JobStatus::Completed).await;
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn an_idle_runner_is_retired_but_neither_a_young_one_nor_one_with_a_job() {
    run(async |harness| {
        let site = &harness.repository;
        let github = &site.deployment.github;
        let idle = site.queue(untaken("octo/idle"));
        let directory = tempfile::tempdir().unwrap();
        let end = directory.path().join("end");
        let until = format!(
            "for i in $(seq 1200); do test -e {} && exit; sleep 0.1; done; exit 1",
            end.display()
        );
        let busy = site.queue(script("octo/busy", &until));
        let task = site.task_of(&idle).await;
        site.runner_is_online(&idle).await;
        site.reaches(&busy, JobStatus::InProgress).await;

        sweep(site).await;
        assert!(site.is_registered(&idle), "it is young");
        for job in [&idle, &busy] {
            // More than the ten minutes that a runner may idle.
            let aged = json!({ "match": site.runner_name(job), "seconds": 660 });
            harness.control(Method::POST, "/ages", aged).await;
        }
        sweep(site).await;
        site.task_is_gone(&task).await;
        assert!(!site.is_registered(&idle), "it was idle");

        assert_eq!(site.job(&busy).status, JobStatus::InProgress);
        std::fs::write(&end, "").unwrap();
        site.reaches(&busy, JobStatus::Completed).await;
        assert_eq!(site.job(&busy).conclusion.as_deref(), Some("success"));
        github.cancel_job(idle.id).unwrap();
        // It succeeds, or is stopped while it waits for its next attempt.
        site.ended(&idle).await;
        assert_succeeded(&site.ended(&busy).await);
        for job in [&idle, &busy] {
            site.nothing_left_of(job).await;
        }
    });
}

#[test]
fn a_spot_interruption_in_a_job_ends_its_execution_and_leaves_nothing() {
    run(async |harness| {
        let site = &harness.repository;
        let job = site.queue(script("octo/interrupted", "sleep 600"));
        let task = site.task_of(&job).await;
        site.reaches(&job, JobStatus::InProgress).await;
        end_task(harness, &task, "spot-interruption").await;
        let execution = site.ended(&job).await;
        assert_succeeded(&execution);
        site.task_is_gone(&task).await;
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn a_job_is_served_with_no_call_that_its_caller_is_not_granted() {
    run(async |harness| {
        let site = &harness.repository;
        let (job, execution) = site.run(script("octo/granted", "true")).await;
        assert_succeeded(&execution);
        sweep(site).await;
        site.nothing_left_of(&job).await;
        let calls = harness.control(Method::GET, "/calls", json!({})).await;
        let calls = calls["calls"].as_array().unwrap();
        let denied: Vec<_> = calls
            .iter()
            // Other deployments of this engine lose grants on purpose: one whose caps were removed, for example.
            .filter(|call| {
                let caller = call["caller"]["name"].as_str().unwrap_or_default();
                caller.starts_with("fargate-runners") || caller.is_empty()
            })
            .filter(|call| {
                call["denied"]
                    .as_str()
                    .is_some_and(|missing| !missing.is_empty())
            })
            .collect();
        assert!(denied.is_empty(), "{denied:#?}");
        let made: BTreeSet<_> = calls
            .iter()
            .filter_map(|call| Some((call["caller"]["name"].as_str()?, call)))
            .filter(|(caller, _)| caller.starts_with("fargate-runners"))
            .map(|(caller, call)| format!("{caller}: {}:{}", call["service"], call["operation"]))
            .collect();
        for call in &made {
            println!("{call}");
        }
        assert!(!made.is_empty(), "no call of ours was written down");
    });
}
