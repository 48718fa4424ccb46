//! `why` over AWS in memory and GitHub's stand-in: what is found, and with how many calls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use aws_in_memory::Aws;
use cli::why::{Reason, Seen, Situation};
use decisions::Status;
use github::{Access, JitRequest, Scope};
use github_standin::{Fault, FaultKind, Job};
use protocol::{ExecutionName, RunnerName};
use serde_json::json;
use time::OffsetDateTime;
use time::macros::datetime;

use support::{World, order};

#[tokio::test]
async fn a_running_execution_is_followed_to_its_task_and_what_that_said() {
    let world = World::new().await;
    let job = world.job(&["self-hosted", "linux"]);
    let name = world.execution(&job, "", "RUNNING", None);
    let runner = format!("fr-{name}");
    world.aws.enter(&name, "Runner", Aws::planned(&runner, ""));
    let up = OffsetDateTime::now_utc() - time::Duration::minutes(4);
    let task = world.aws.add_task(&runner, "octo/hello", up);
    // By its address, its id, its execution's name and its runner's.
    let address = format!(
        "https://github.com/octo/hello/actions/runs/{}/job/{}",
        job.run_id, job.id
    );
    world.logged(
        &job,
        200,
        &json!({ "result": "started", "execution": name }),
    );
    for asked in [address, job.id.to_string(), name.clone(), runner.clone()] {
        let (evidence, explanation) = world.why(&asked).await;
        assert_eq!(
            explanation.situation,
            Situation::Listening,
            "{asked}: {explanation:#?}"
        );
        assert_eq!(evidence.task.found().unwrap().arn, task);
        assert_eq!(
            evidence.said,
            Seen::Found(vec!["listening for jobs".to_owned()])
        );
        let facts: Vec<_> = explanation.facts.iter().map(|fact| fact.what).collect();
        for what in [
            "GitHub",
            "webhook",
            "execution",
            "state",
            "task",
            "task said",
        ] {
            assert!(facts.contains(&what), "{facts:?}");
        }
    }
}

#[tokio::test]
async fn a_job_is_found_by_its_id_where_the_log_is_gone() {
    let world = World::new().await;
    let job = world.job(&["self-hosted", "moon"]);
    world.execution(&job, "", "FAILED", Some("Unmatched"));
    world.execution(&job, "-r2", "FAILED", Some("Unmatched"));
    let (evidence, explanation) = world.why(&job.id.to_string()).await;
    assert_eq!(
        explanation.situation,
        Situation::GivenUp,
        "{explanation:#?}"
    );
    assert_eq!(evidence.executions.found().unwrap().len(), 2);
    assert!(explanation.summary.contains("Unmatched"));
    assert!(explanation.change.unwrap().contains("runs-on"));
}

#[tokio::test]
async fn a_job_without_an_execution_is_told_what_verify_answered() {
    let world = World::new().await;
    for (labels, reason, situation, said) in [
        (
            &["linux"][..],
            "the job does not ask for [self-hosted]",
            Situation::NotServed,
            "self-hosted",
        ),
        (
            &["self-hosted"],
            "octo/hello is public, and ALLOW_PUBLIC_REPOSITORIES is false",
            Situation::NotServed,
            "is public",
        ),
    ] {
        let job = world.job(labels);
        world.logged(&job, 202, &json!({ "result": "ignored", "reason": reason }));
        let (_, explanation) = world.why(&job.id.to_string()).await;
        assert_eq!(
            explanation.situation, situation,
            "{labels:?}: {explanation:#?}"
        );
        assert!(explanation.summary.contains(said), "{explanation:#?}");
    }
}

#[tokio::test]
async fn without_a_trace_the_policy_and_githubs_deliveries_tell() {
    let world = World::new().await;
    let address = |job: &Job| {
        format!(
            "https://github.com/octo/hello/actions/runs/1/job/{}",
            job.id
        )
    };
    let job = world.job(&["linux"]);
    let (_, explanation) = world.why(&address(&job)).await;
    assert_eq!(
        explanation.situation,
        Situation::NotServed,
        "{explanation:#?}"
    );
    let job = world.job(&["self-hosted"]);
    let (_, explanation) = world.why(&address(&job)).await;
    assert_eq!(
        explanation.situation,
        Situation::NoWebhook,
        "{explanation:#?}"
    );
    let job = world.undelivered_job().await;
    let (evidence, explanation) = world.why(&address(&job)).await;
    assert_eq!(
        explanation.situation,
        Situation::DeliveryFailed,
        "{explanation:#?}\n{evidence:#?}"
    );
    assert!(
        matches!(
            explanation.reasons[..],
            [Reason::DeliveryFailed { certain: false, .. }]
        ),
        "{explanation:#?}"
    );
}

#[tokio::test]
async fn a_job_that_nobody_knows_and_an_app_that_is_not_there_are_told_apart() {
    let world = World::new().await;
    world.job(&["self-hosted"]);
    let (_, explanation) = world
        .why("https://github.com/octo/hello/actions/runs/1/job/987654")
        .await;
    assert_eq!(
        explanation.situation,
        Situation::Unknown,
        "{explanation:#?}"
    );
    world.server.uninstall("octo");
    let (_, explanation) = world
        .why("https://github.com/octo/hello/actions/runs/1/job/987654")
        .await;
    assert_eq!(
        explanation.situation,
        Situation::NotServed,
        "{explanation:#?}"
    );
    assert!(explanation.change.unwrap().contains("Install the App"));
}

#[tokio::test]
async fn without_the_apps_secrets_the_explanation_says_so_and_goes_on() {
    let world = World::new().await;
    let job = world.job(&["self-hosted"]);
    let name = world.execution(&job, "", "SUCCEEDED", None);
    world.aws.close(&name, OffsetDateTime::now_utc(), "RanJob");
    let world = World {
        secrets: None,
        ..world
    };
    let (evidence, explanation) = world.why(&name).await;
    assert_eq!(explanation.situation, Situation::Ended, "{explanation:#?}");
    assert!(
        explanation.summary.contains("secrets cannot be read"),
        "{explanation:#?}"
    );
    assert!(matches!(evidence.github, Seen::Unknown(_)));
}

#[tokio::test]
async fn whatever_is_refused_or_lost_the_bound_on_calls_holds() {
    for (status, executions) in [(401, 5), (403, 4), (404, 98), (500, 99)] {
        let world = World::new().await;
        let job = world.job(&["self-hosted"]);
        let first: ExecutionName = world
            .execution(&job, "", "FAILED", Some("BudgetSpent"))
            .parse()
            .unwrap();
        let all = std::iter::successors(Some(first), |name| name.next().ok());
        let all: Vec<_> = all.take(executions).collect();
        for name in &all[1..] {
            let suffix = format!("-r{}", name.restart());
            world.execution(&job, &suffix, "FAILED", Some("BudgetSpent"));
        }
        let kind = FaultKind::Status {
            status,
            message: None,
            retry_after: None,
        };
        world.server.fault(Fault::new(kind).times(100));
        let (evidence, explanation) = world.why(&job.id.to_string()).await;
        assert_eq!(
            explanation.situation,
            Situation::GivenUp,
            "{explanation:#?}"
        );
        let newest = evidence.newest().unwrap();
        assert_eq!(Some(&newest.name), all.last());
    }
}

#[tokio::test]
async fn the_end_of_a_task_whose_execution_was_closed_before_is_told_by_ecs() {
    let world = World::new().await;
    let job = world.job(&["self-hosted", "linux"]);
    let first = world.execution(&job, "", "TIMED_OUT", None);
    let runner: RunnerName = format!("fr-{first}").parse().unwrap();
    let now = OffsetDateTime::now_utc();
    let task = world.aws.add_warm_task("bell", "ticket", now);
    let mut input = Aws::planned(&runner.to_string(), "");
    input["warm"] = json!({ "taskArn": task });
    world.aws.enter(&first, "WarmRunner", input);
    world.aws.adopt(&task, &runner, "token", now);
    world.aws.end_warm_task(&task, 137);
    let second = world.execution(&job, "-r2", "RUNNING", None);
    let next = format!("fr-{second}");
    world.aws.enter(&second, "Runner", Aws::planned(&next, ""));
    let (evidence, explanation) = world.why(&second).await;
    let killed = explanation.reasons.iter().any(
        |reason| matches!(reason, Reason::Setback(setback) if setback.was_killed() && setback.runner.as_ref() == Some(&runner)),
    );
    assert!(killed, "{explanation:#?}\n{evidence:#?}");
    for words in [
        "its task was killed (exit code 137)",
        "exceeded its time limit",
    ] {
        assert!(explanation.summary.contains(words), "{explanation:#?}");
    }
}

#[tokio::test]
async fn a_delivery_that_was_lost_and_came_again_is_named_afterwards() {
    let world = World::new().await;
    let job = world.undelivered_job().await;
    let lost = world.server.deliveries().last().unwrap().clone();
    let name = format!("hello-{}", job.id);
    let mut order = order(&job);
    // The log's lines are of noon.
    order.job.queued_at = datetime!(2026-01-01 11:55 UTC);
    world.aws.add_execution(&name, &order, "RUNNING", None);
    world.log.lock().unwrap().push(json!({
        "message": "webhook taken", "status": 200, "answer": r#"{"result":"started"}"#,
        "span": { "delivery": lost.guid, "job_id": job.id, "repository": "octo/hello" },
    }));
    let (_, explanation) = world.why(&name).await;
    let status = lost.status_code;
    assert_eq!(
        explanation.reasons,
        [
            Reason::DeliveryFailed {
                status,
                certain: true
            },
            Reason::WebhookLate { seconds: 300 }
        ]
    );
    for words in [
        "a delivery of its webhook failed",
        "5 min after it was queued",
    ] {
        assert!(explanation.summary.contains(words), "{explanation:#?}");
    }
}

#[tokio::test]
async fn a_job_that_ended_with_another_jobs_runner_is_told_what_became_of_that() {
    let world = World::new().await;
    let job = world.job(&["self-hosted", "linux"]);
    let name = world.execution(&job, "", "SUCCEEDED", None);
    world.aws.close(&name, OffsetDateTime::now_utc(), "RanJob");
    world
        .aws
        .add_execution("hello-999", &order(&job), "ABORTED", Some("Stopped"));
    let repository = "octo/hello".parse().unwrap();
    let scope = Scope::Repository("octo/hello".parse().unwrap());
    let github = world.github();
    let access = Access::runners(&scope);
    let installation = github.serving(&repository, None, &access).await.unwrap();
    let request = JitRequest {
        name: "fr-hello-999".to_owned(),
        runner_group_id: 1,
        labels: vec!["self-hosted".to_owned(), "linux".to_owned()],
        work_folder: "_work".to_owned(),
    };
    let registered = installation.jit_config(&scope, &request).await.unwrap();
    let mut runner = world.server.connect(registered.config.expose()).unwrap();
    let limit = std::time::Duration::from_secs(20);
    let taken = runner.take(limit).await;
    assert_eq!(taken.expect("the runner gets the job").id, job.id);
    runner.finish("failure");
    let (evidence, explanation) = world.why(&job.id.to_string()).await;
    assert_eq!(
        explanation.situation,
        Situation::Completed,
        "{explanation:#?}"
    );
    assert!(evidence.host.found().is_some(), "{evidence:#?}");
    assert_eq!(
        explanation.reasons,
        [Reason::Execution {
            execution: "hello-999".parse().unwrap(),
            status: Status::Aborted,
            error: Some("Stopped".to_owned()),
        }]
    );
    assert!(
        explanation
            .summary
            .contains("execution hello-999 was aborted by somebody"),
        "{explanation:#?}"
    );
}
