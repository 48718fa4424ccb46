//! What a sweep finds and repairs about warm tasks.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration as StdDuration;

use aws_in_memory::Aws;
use aws_sdk_dynamodb::types::AttributeValue;
use github::{Access, JitRequest, Scope};
use github_standin::{Config as GitHubConfig, NewJob, Server, SimulatedRunner};
use pool::{Ticket, TicketKey};
use protocol::{Order, RunnerName};
use serde_json::json;
use sweep::{Deps, Report, handle};
use time::{Duration, OffsetDateTime};

const KEY: &str = "00112233445566778899aabbccddeeff";
const TOKEN: &str = "the task's token";

struct World {
    aws: Aws,
    server: Server,
    deps: Deps,
}

impl World {
    async fn new() -> Self {
        let server = Server::start(GitHubConfig::default()).await.unwrap();
        let aws = Aws::new();
        let mut deps = support::deps(&aws, &server, &[]);
        deps.fleet.pool = Some(aws.pool());
        Self { aws, server, deps }
    }

    /// A task of the stock that came up `minutes` ago.
    fn task(&self, minutes: i64) -> String {
        self.aws.add_warm_task(KEY, "f/00", ago(minutes))
    }

    /// An execution with a job, and its runner.
    fn execution(&self) -> RunnerName {
        let job = self
            .server
            .create_job(NewJob {
                repository: "octo/hello".into(),
                labels: vec!["self-hosted".into(), "linux".into()],
                ..NewJob::default()
            })
            .unwrap();
        let execution = format!("hello-{}", job.id);
        let at = ago(5)
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap();
        let order: Order = serde_json::from_value(json!({ "job": {
            "id": job.id, "runId": job.run_id, "runAttempt": 1, "name": job.name, "workflow": "CI",
            "repository": "octo/hello", "ownerType": "Organization", "private": true,
            "labels": ["self-hosted", "linux"], "installationId": null, "queuedAt": at
        }}))
        .unwrap();
        self.aws.add_execution(&execution, &order, "RUNNING", None);
        format!("fr-{execution}").parse().unwrap()
    }

    /// Registers a runner at GitHub, and has it listen.
    async fn listening(&self, runner: &RunnerName) -> SimulatedRunner {
        let repository: protocol::Repository = "octo/hello".parse().unwrap();
        let scope = Scope::Repository(repository.clone());
        let access = Access::runners(&scope);
        let serving = self.deps.github.serving(&repository, None, &access);
        let installation = serving.await.unwrap();
        let request = JitRequest {
            name: runner.to_string(),
            runner_group_id: 1,
            labels: vec!["self-hosted".into(), "linux".into()],
            work_folder: "_work".into(),
        };
        let config = installation.jit_config(&scope, &request).await.unwrap();
        self.server.connect(config.config.expose()).unwrap()
    }

    /// The history says which task was adopted.
    fn waits(&self, runner: &RunnerName, task: &str) {
        let mut input = Aws::planned(&runner.to_string(), "");
        input["warm"] = json!({ "taskArn": task });
        let execution = runner.execution().to_string();
        self.aws.enter(&execution, "WarmRunner", input);
    }

    async fn sweep_in(&self, minutes: i64) -> Report {
        let now = OffsetDateTime::now_utc() + Duration::minutes(minutes);
        handle(&self.deps, now).await.unwrap()
    }

    fn item(&self, partition: &str) -> Option<aws_in_memory::Item> {
        let state = self.aws.state();
        let mut items = state.items.iter();
        let found = items.find(|(key, _)| key.0 == partition);
        found.map(|(_, item)| item.clone())
    }

    fn bell(&self) -> Option<String> {
        let bell = self.item(&format!("bell#{KEY}"))?;
        Some(bell["what"].as_s().unwrap().clone())
    }

    fn stops(&self) -> usize {
        let calls = self.aws.calls();
        calls
            .iter()
            .filter(|call| call.starts_with("ecs:StopTask"))
            .count()
    }
}

fn ago(minutes: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() - Duration::minutes(minutes)
}

#[tokio::test]
async fn an_end_that_no_event_told_is_told_after_five_minutes() {
    let world = World::new().await;
    let task = world.task(60);
    let runner = world.execution();
    world.aws.adopt(&task, &runner, TOKEN, ago(4));
    world.waits(&runner, &task);
    world.aws.end_warm_task(&task, 20);
    assert_eq!(world.sweep_in(0).await.warm_ends_told, 0, "it may come yet");
    assert_eq!(world.sweep_in(2).await.warm_ends_told, 1);
    let told = world.aws.state().told.clone();
    let (error, cause) = told[0].1.clone().unwrap_err();
    assert_eq!(error, "TaskFailed");
    assert!(cause.contains("\"ExitCode\":20"), "{cause}");
    assert_eq!(world.sweep_in(3).await.warm_ends_told, 0, "once is enough");
}

#[tokio::test]
async fn an_end_that_was_noted_and_not_told_is_told_as_it_was_noted() {
    let world = World::new().await;
    let task = world.task(60);
    let runner = world.execution();
    world.aws.adopt(&task, &runner, TOKEN, ago(10));
    let noted = json!({ "TaskArn": task, "Containers": [{ "Name": "runner", "ExitCode": 0 }] });
    let ended = AttributeValue::S(noted.to_string());
    for item in world.aws.state().items.values_mut() {
        item.insert("ended".to_owned(), ended.clone());
    }
    assert_eq!(world.sweep_in(0).await.warm_ends_told, 1);
    assert_eq!(world.aws.state().told[0].1, Ok(noted));
}

#[tokio::test]
async fn a_task_that_ecs_has_forgotten_has_ended() {
    let world = World::new().await;
    let runner = world.execution();
    world.aws.adopt("gone", &runner, TOKEN, ago(90));
    assert_eq!(world.sweep_in(0).await.warm_ends_told, 1);
    let told = world.aws.state().told.clone();
    assert!(told[0].1.clone().unwrap_err().1.contains("does not know"));
}

/// The executions that the sweep began, and whether this one still runs.
fn handed_over(world: &World, runner: &RunnerName) -> (bool, bool) {
    let state = world.aws.state();
    let own = runner.execution().to_string();
    let next = format!("{own}-r2");
    let runs = state.executions[&own].status == "RUNNING";
    (state.executions.contains_key(&next), runs)
}

#[tokio::test]
async fn who_waits_for_an_ended_task_without_a_wait_in_the_table_hands_its_job_over() {
    for pooled in [true, false] {
        let mut world = World::new().await;
        if !pooled {
            // A deployment has removed the last pool.
            world.deps.fleet.pool = None;
        }
        let task = world.task(60);
        let runner = world.execution();
        world.aws.adopt(&task, &runner, TOKEN, ago(10));
        world.waits(&runner, &task);
        world.aws.state().items.clear();
        assert_eq!(world.sweep_in(0).await.waits_ended, 0, "its task runs");
        world.aws.end_warm_task(&task, 20);
        let report = world.sweep_in(1).await;
        assert_eq!((report.warm_ends_told, report.waits_ended), (0, 1));
        assert_eq!(handed_over(&world, &runner), (true, false), "{pooled}");
        // `why` tells it as what held the job up.
        let own = runner.execution().to_string();
        let error = world.aws.state().executions[&own].error.clone();
        assert_eq!(error.as_deref(), Some("AwsUnavailable"));
    }
}

#[tokio::test]
async fn who_waits_so_for_a_job_that_is_over_is_ended() {
    let world = World::new().await;
    let task = world.task(60);
    let runner = world.execution();
    world.aws.adopt(&task, &runner, TOKEN, ago(10));
    world.waits(&runner, &task);
    world.aws.state().items.clear();
    world.aws.end_warm_task(&task, 0);
    for job in world.server.jobs() {
        world.server.cancel_job(job.id).unwrap();
    }
    assert_eq!(world.sweep_in(0).await.waits_ended, 1);
    assert_eq!(handed_over(&world, &runner), (false, false));
}

#[tokio::test]
async fn a_task_that_runs_is_waited_for_however_long() {
    let world = World::new().await;
    let task = world.task(6_000);
    let runner = world.execution();
    let mut listening = world.listening(&runner).await;
    listening.take(StdDuration::from_secs(10)).await.unwrap();
    world.aws.adopt(&task, &runner, TOKEN, ago(5_000));
    world.waits(&runner, &task);
    let report = world.sweep_in(0).await;
    assert_eq!((report.warm_ends_told, report.tasks_stopped), (0, 0));
    assert!(world.item("wait").is_some());
}

#[tokio::test]
async fn an_end_that_was_told_is_forgotten_after_an_hour() {
    let world = World::new().await;
    let task = world.task(90);
    let runner = world.execution();
    world.aws.adopt(&task, &runner, TOKEN, ago(50));
    world.aws.end_warm_task(&task, 0);
    assert_eq!(world.sweep_in(0).await.warm_ends_told, 1);
    assert!(world.item("wait").is_some(), "an event may be repeated");
    world.sweep_in(11).await;
    assert_eq!(world.item("wait"), None);
}

#[tokio::test]
async fn a_runner_is_idle_since_its_adoption_and_not_since_its_task_started() {
    let world = World::new().await;
    let task = world.task(300);
    let runner = world.execution();
    let _listening = world.listening(&runner).await;
    // Its job is another's by now, so it idles.
    for job in world.server.jobs() {
        let _ = world.server.cancel_job(job.id);
    }
    world.aws.adopt(&task, &runner, TOKEN, ago(1));
    world.waits(&runner, &task);
    assert_eq!(world.sweep_in(0).await.runners_retired, 0);
    assert_eq!(world.stops(), 0);
    let report = world.sweep_in(4).await;
    assert_eq!((report.runners_retired, report.tasks_stopped), (1, 1));
    assert_eq!(world.stops(), 1);
}

#[tokio::test]
async fn a_task_without_a_ticket_is_told_to_leave_and_stopped_if_it_does_not() {
    let world = World::new().await;
    world.task(4);
    assert_eq!(world.sweep_in(0).await.warm_tasks_released, 0);
    assert_eq!(world.bell(), None, "a claim may be under way");
    assert_eq!(world.sweep_in(2).await.warm_tasks_released, 1);
    assert_eq!(world.bell().as_deref(), Some("leave"));
    assert_eq!(world.sweep_in(11).await.warm_tasks_released, 0);
    assert_eq!(world.stops(), 0, "it may be leaving");
    assert_eq!(world.sweep_in(13).await.warm_tasks_released, 1);
    assert_eq!(world.stops(), 1);
}

#[tokio::test]
async fn a_task_that_is_in_stock_or_has_answered_is_left() {
    let world = World::new().await;
    let task = world.task(300);
    let key: TicketKey = "f/00".parse().unwrap();
    let ticket = Ticket {
        key,
        id: KEY.parse().unwrap(),
        state: decisions::TicketState::Ready,
        task_arn: Some(task.clone()),
        revision: 1,
        spot: false,
        born: ago(300),
    };
    let pool = world.aws.pool();
    let reserved = pool.reserve(&ticket, ago(-300)).await.unwrap();
    assert!(reserved.is_done());
    let report = world.sweep_in(0).await;
    assert_eq!((report.warm_tasks_released, report.tasks_stopped), (0, 0));
    assert_eq!(world.bell(), None);

    // It was claimed, and has taken a registration.
    world.aws.state().items.clear();
    let taken = [("what", "taken"), ("pk", "bell"), ("sk", "bell")];
    let taken = taken.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    let mut taken: aws_in_memory::Item = taken.into();
    taken.insert(
        "expires".to_owned(),
        AttributeValue::N("1767225600".to_owned()),
    );
    let at = (format!("bell#{KEY}"), "bell".to_owned());
    world.aws.state().items.insert(at, taken);
    assert_eq!(world.sweep_in(0).await.warm_tasks_released, 0);
    assert_eq!(world.bell().as_deref(), Some("taken"));
    assert_eq!(world.stops(), 0);
}

#[tokio::test]
async fn without_a_pool_no_table_is_asked() {
    let mut world = World::new().await;
    world.deps.fleet.pool = None;
    world.task(300);
    let report = world.sweep_in(0).await;
    assert_eq!((report.warm_tasks_released, report.tasks_stopped), (0, 0));
    let calls = world.aws.calls();
    assert!(
        !calls.iter().any(|call| call.starts_with("dynamodb")),
        "{calls:?}"
    );
}
