//! More webhooks than Step Functions accepts: a job answered with 2xx is stored, and one that
//! cannot be stored is not answered with 2xx.

use github_standin::{Delivery, Job, JobStatus};
use reqwest::Method;
use serde_json::{Value, json};

use crate::faults::order;
use crate::harness::{Harness, LIMIT, Site, assert_succeeded, run, script};
use crate::recovery::sweep;

/// Makes Step Functions throttle a repository's jobs until [`is_over`].
async fn throttled(harness: &Harness, repository: &str) {
    let fault = json!({
        "service": "states", "operation": "StartExecution", "match": repository, "times": 10_000,
    });
    order(harness, fault).await;
}

/// Withdraws the faults ordered for a repository.
async fn is_over(harness: &Harness, repository: &str) {
    let path = format!("/faults?match={repository}");
    harness.control(Method::DELETE, &path, Value::Null).await;
}

/// The first response to the job's `queued` webhook.
async fn answered(site: &Site, job: &Job) -> Delivery {
    let found = site
        .observer
        .wait(LIMIT, async || {
            let deliveries = site.deployment.github.deliveries();
            let queued = deliveries.into_iter().find(|delivery| {
                delivery.job == Some(job.id)
                    && delivery.action.as_deref() == Some("queued")
                    && delivery.status_code != 0
            });
            Ok(queued)
        })
        .await
        .unwrap();
    found.expect("the webhook is answered")
}

/// URL of the deployment's queue whose name contains `name`.
async fn queue(site: &Site, name: &str) -> String {
    let input = json!({ "QueueNamePrefix": site.observer.prefix });
    let found = site.observer.aws.sqs("ListQueues", input).await.unwrap();
    let urls = found["QueueUrls"].as_array().unwrap();
    let mut urls = urls.iter().filter_map(Value::as_str);
    urls.find(|url| url.contains(name))
        .unwrap_or_else(|| panic!("no queue {name}: {found}"))
        .to_owned()
}

/// Number of messages in a queue, including those in flight.
async fn messages(site: &Site, queue: &str) -> u64 {
    let names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
    ];
    let input = json!({ "QueueUrl": queue, "AttributeNames": names });
    let found = site
        .observer
        .aws
        .sqs("GetQueueAttributes", input)
        .await
        .unwrap();
    let count = |name: &&str| found["Attributes"][*name].as_str()?.parse::<u64>().ok();
    names.iter().filter_map(count).sum()
}

async fn has_messages(site: &Site, queue: &str, count: u64) {
    let reached = site
        .observer
        .wait(LIMIT, async || {
            Ok((messages(site, queue).await == count).then_some(()))
        })
        .await
        .unwrap();
    assert!(reached.is_some(), "{queue} never has {count} messages");
}

/// Sets how often a queue's message is received before it goes to the dead letters; answers with how
/// often it was before.
async fn received_at_most(site: &Site, queue: &str, times: u64) -> u64 {
    let aws = &site.observer.aws;
    let names = json!({ "QueueUrl": queue, "AttributeNames": ["RedrivePolicy"] });
    let found = aws.sqs("GetQueueAttributes", names).await.unwrap();
    let policy = found["Attributes"]["RedrivePolicy"].as_str().unwrap();
    let mut policy: Value = serde_json::from_str(policy).unwrap();
    let before = policy["maxReceiveCount"].clone();
    policy["maxReceiveCount"] = times.into();
    let attributes = json!({ "RedrivePolicy": policy.to_string() });
    let input = json!({ "QueueUrl": queue, "Attributes": attributes });
    aws.sqs("SetQueueAttributes", input).await.unwrap();
    let text = before.to_string();
    text.trim_matches('"').parse().unwrap()
}

/// Waits until a repository's job was throttled in the webhook's invocation, and twice for the queue.
async fn is_tried_again(harness: &Harness, repository: &str) {
    let tried = harness
        .repository
        .observer
        .wait(LIMIT, async || {
            let ordered = harness.control(Method::GET, "/faults", Value::Null).await;
            let faults = ordered["faults"].as_array().unwrap();
            let hits = faults
                .iter()
                .filter(|fault| fault["match"] == repository)
                .filter_map(|fault| fault["hits"].as_u64());
            Ok((hits.sum::<u64>() >= 3).then_some(()))
        })
        .await
        .unwrap();
    assert!(tried.is_some(), "the queue is not read again");
}

#[test]
fn a_throttled_start_is_kept_answered_202_and_served_without_anybody() {
    run(async |harness| {
        let site = &harness.repository;
        let overflow = queue(site, "verflow").await;
        throttled(harness, "octo/crowded").await;
        let job = site.queue(script("octo/crowded", "true"));
        let delivery = answered(site, &job).await;
        assert_eq!(delivery.status_code, 202, "{delivery:?}");
        let name = site.name(&job);
        assert!(site.observer.execution(&name).await.unwrap().is_none());
        // The queue's own invocations are throttled too, and what they cannot start stays in the
        // queue.
        is_tried_again(harness, "octo/crowded").await;
        assert_eq!(messages(site, &overflow).await, 1, "it is kept");

        is_over(harness, "octo/crowded").await;
        site.reaches(&job, JobStatus::Completed).await;
        let execution = site.ended(&job).await;
        assert_succeeded(&execution);
        let input = &execution.events[0]["executionStartedEventDetails"]["input"];
        let order: Value = serde_json::from_str(input.as_str().unwrap()).unwrap();
        assert_eq!(order["recheck"], true, "it may be late: {order}");
        has_messages(site, &overflow, 0).await;
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn what_can_be_neither_started_nor_kept_is_refused_and_repeated() {
    run(async |harness| {
        let site = &harness.repository;
        throttled(harness, "octo/drowned").await;
        let lost = json!({
            "service": "sqs", "operation": "SendMessage", "match": "octo/drowned", "times": 10_000,
            "error": "InternalFailure", "status": 500,
        });
        order(harness, lost).await;
        let job = site.queue(script("octo/drowned", "true"));
        let delivery = answered(site, &job).await;
        assert!(delivery.status_code >= 500, "{delivery:?}");

        is_over(harness, "octo/drowned").await;
        let name = site.name(&job);
        let found = site
            .observer
            .wait(LIMIT, async || {
                sweep(site).await;
                site.observer.execution(&name).await
            })
            .await
            .unwrap();
        assert!(found.is_some(), "GitHub was not asked to repeat it");
        assert_succeeded(&site.ended(&job).await);
        site.nothing_left_of(&job).await;
    });
}

#[test]
fn a_kept_message_that_nobody_can_read_is_put_aside_for_a_person() {
    run(async |harness| {
        let site = &harness.repository;
        let aws = &site.observer.aws;
        let overflow = queue(site, "verflow").await;
        let dead = queue(site, "ead").await;
        let before = messages(site, &dead).await;
        let times = received_at_most(site, &overflow, 2).await;
        let foreign = json!({ "QueueUrl": overflow, "MessageBody": "{\"job\": \"none of ours\"}" });
        aws.sqs("SendMessage", foreign).await.unwrap();
        has_messages(site, &dead, before + 1).await;
        has_messages(site, &overflow, 0).await;
        received_at_most(site, &overflow, times).await;
        // Cleans up for the other tests, as an operator would after reading it.
        aws.sqs("PurgeQueue", json!({ "QueueUrl": dead }))
            .await
            .unwrap();
    });
}
