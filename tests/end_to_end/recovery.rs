//! What brings a job back: after a lost webhook, a stolen runner, an approval, a killed task.

use std::time::Duration;

use github_standin::{DeliveryFault, DeliveryFaultKind, Job, NewJob};
use serde_json::{Value, json};

use crate::world::{LIMIT, Site, World, run, script};

/// Has `sweep` make its round, as its schedule does every five minutes.
async fn sweep(site: &Site) {
    let aws = &site.observer.aws;
    let url = format!(
        "{}/2015-03-31/functions/{}-sweep/invocations",
        aws.endpoint(),
        site.observer.prefix
    );
    let answer = client()
        .post(url)
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0",
        )
        .body("{}")
        .send()
        .await
        .unwrap();
    let failed = answer.headers().contains_key("x-amz-function-error");
    let text = answer.text().await.unwrap();
    // Another test has a job where the App is not installed; `sweep` does the rest and says so.
    let undone = text.contains("\"Incomplete\"") && text.contains("stranger/things");
    assert!(!failed || undone, "{text}");
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_mins(1))
        .build()
        .unwrap()
}

/// Ends a job's task in one of the ways that the engine knows.
async fn end_task(world: &World, task: &str, how: &str) {
    let id = task.rsplit('/').next().unwrap();
    let control = world.engine.control().unwrap();
    let answer = client()
        .post(format!("{control}/tasks/{id}/{how}"))
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{how} {id}: {answer:?}");
}

async fn has_status(site: &Site, job: &Job, status: &str) {
    site.deployment
        .github
        .wait_for(LIMIT, |seen| {
            seen.job(job.id)
                .is_some_and(|job| job.status.as_str() == status)
        })
        .await
        .unwrap_or_else(|_| panic!("the job is never {status}"));
}

async fn is_online(site: &Site, runner: &str) {
    site.deployment
        .github
        .wait_for(LIMIT, |seen| {
            seen.runners
                .iter()
                .any(|seen| seen.name == runner && seen.online)
        })
        .await
        .unwrap_or_else(|_| panic!("{runner} never comes online"));
}

#[test]
fn a_job_whose_webhook_was_lost_is_found_by_sweep() {
    run(async |world| {
        let site = &world.repository;
        let _alone = site.alone.write().await;
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
        assert_eq!(execution.status, "SUCCEEDED", "{:?}", execution.cause);
        has_status(site, &job, "completed").await;
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn a_job_whose_runner_took_another_is_served_after_its_approval() {
    run(async |world| {
        let site = &world.repository;
        let _alone = site.alone.write().await;
        let github = &site.deployment.github;
        // Held back before its runner is there, so that this idles and can be given another job.
        let robbed = site.queue(script("octo/robbed", "true"));
        assert!(github.wait_for_deliveries(LIMIT).await);
        github.hold_job(robbed.id).unwrap();
        let task = site.task_of(&robbed).await;
        let runner = format!("fr-{}", site.name(&robbed));
        let thief = site.queue(NewJob {
            runner: Some(runner.clone()),
            ..script("octo/robbed", "true")
        });
        has_status(site, &thief, "completed").await;
        assert_eq!(site.job(&thief).runner.as_deref(), Some(runner.as_str()));
        site.task_is_gone(&task).await;
        github.approve_job(robbed.id).unwrap();
        has_status(site, &robbed, "completed").await;
        assert_eq!(site.job(&robbed).conclusion.as_deref(), Some("success"));
        site.retire_surplus().await;
        for job in [&robbed, &thief] {
            let execution = site.ended(job).await;
            assert_eq!(execution.status, "SUCCEEDED", "{:?}", execution.cause);
            site.nothing_left_of(job).await;
        }
    });
}

#[test]
fn a_job_whose_task_died_before_its_approval_is_served_after_it() {
    run(async |world| {
        let site = &world.repository;
        let _alone = site.alone.write().await;
        let github = &site.deployment.github;
        // Held back before its runner is there, so that this idles.
        let job = site.queue(script("octo/held", "true"));
        assert!(github.wait_for_deliveries(LIMIT).await);
        github.hold_job(job.id).unwrap();
        let task = site.task_of(&job).await;
        is_online(site, &format!("fr-{}", site.name(&job))).await;
        end_task(world, &task, "kill").await;
        let execution = site.ended(&job).await;
        assert_eq!(execution.status, "SUCCEEDED", "{:?}", execution.cause);
        github.approve_job(job.id).unwrap();
        let next = format!("{}-r2", site.name(&job));
        let next = site.observer.ended(&next, LIMIT).await.unwrap();
        assert_eq!(next.status, "SUCCEEDED", "{:?}", next.cause);
        has_status(site, &job, "completed").await;
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn a_spot_interruption_in_a_job_ends_its_execution_and_leaves_nothing() {
    run(async |world| {
        let site = &world.repository;
        let _alone = site.alone.write().await;
        let job = site.queue(script("octo/interrupted", "sleep 600"));
        let task = site.task_of(&job).await;
        has_status(site, &job, "in_progress").await;
        end_task(world, &task, "spot-interruption").await;
        let execution = site.ended(&job).await;
        assert_eq!(execution.status, "SUCCEEDED", "{:?}", execution.cause);
        site.task_is_gone(&task).await;
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn a_job_is_served_with_no_call_that_its_caller_is_not_granted() {
    run(async |world| {
        let site = &world.repository;
        let _alone = site.alone.write().await;
        let (job, execution) = site.run(script("octo/granted", "true")).await;
        assert_eq!(execution.status, "SUCCEEDED", "{:?}", execution.cause);
        sweep(site).await;
        site.nothing_left_of(&job).await;
        let control = world.engine.control().unwrap();
        let answer = client()
            .get(format!("{control}/calls"))
            .send()
            .await
            .unwrap();
        let calls: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let calls = calls["calls"].as_array().unwrap();
        let denied: Vec<_> = calls
            .iter()
            .filter(|call| {
                call["denied"]
                    .as_str()
                    .is_some_and(|missing| !missing.is_empty())
            })
            .collect();
        assert!(denied.is_empty(), "{denied:#?}");
        let made: std::collections::BTreeSet<_> = calls
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
