//! Adopted warm tasks: who is told of their end, and what is stopped.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use cleanup::Error;
use github_standin::Job;
use protocol::{ParameterPath, RunnerName};
use serde_json::{Value, json};
use support::{PATIENCE, World, attempt, execution_of, order, parameter_of};
use time::OffsetDateTime;

const KEY: &str = "00112233445566778899aabbccddeeff";
const TOKEN: &str = "the task's token";

/// A job whose execution adopted a warm task.
struct Adopted {
    world: World,
    job: Job,
    execution: String,
    runner: RunnerName,
    parameter: ParameterPath,
    task: String,
}

impl Adopted {
    /// The task runs, and the execution is in a state of that status.
    async fn new(status: &str, state: &str) -> Self {
        let adopted = Self::tagged(status, state).await;
        let Self { world, runner, .. } = &adopted;
        let now = OffsetDateTime::now_utc();
        world.aws.adopt(&adopted.task, runner, TOKEN, now);
        adopted
    }

    /// The same, and the execution does not wait for the task yet.
    async fn tagged(status: &str, state: &str) -> Self {
        let mut world = World::new().await;
        world.deps.fleet.pool = Some(world.aws.pool());
        let job = world.job();
        let execution = world.execution(&job, status, None);
        let runner: RunnerName = format!("fr-{execution}").parse().unwrap();
        let parameter = parameter_of(&runner.to_string());
        let task = world
            .aws
            .add_warm_task(KEY, "f/00", OffsetDateTime::now_utc());
        let name = runner.to_string();
        world.aws.state().warm[0]
            .tags
            .insert(protocol::RUNNER_TAG.to_owned(), name.clone());
        let mut input = aws_in_memory::Aws::planned(&name, &parameter.to_string());
        if state != "Token" {
            input["warm"] = json!({ "taskArn": task });
        }
        world.aws.enter(&execution, state, input);
        Self {
            world,
            job,
            execution,
            runner,
            parameter,
            task,
        }
    }

    /// The event of the task's end.
    fn stopped(&self, code: i32) -> Value {
        json!({ "detail-type": "ECS Task State Change", "detail": {
            "taskArn": self.task, "group": "fargate-runners:fr:warm", "lastStatus": "STOPPED",
            "stopCode": "EssentialContainerExited", "stoppedAt": "2026-01-01T00:01:00Z",
            "containers": [{ "name": "runner", "exitCode": code }],
            "overrides": { "containerOverrides": [{ "name": "runner", "environment": [
                { "name": "AGENT_BELL", "value": KEY }, { "name": "AGENT_TICKET", "value": "f/00" },
            ]}]}
        }})
    }

    /// The state machine's input after a failed wait.
    fn wait_failed(&self, runner_id: u64, error: &str) -> Value {
        let failed = json!({ "Error": error, "Cause": "the table's own words" });
        let mut event = attempt(
            &self.job,
            &self.parameter,
            Some(runner_id),
            ("error", failed),
        );
        event["registration"]["warm"] = json!({ "taskArn": self.task });
        event
    }

    fn wait(&self) -> Option<aws_in_memory::Item> {
        let key = ("wait".to_owned(), self.task.clone());
        self.world.aws.state().items.get(&key).cloned()
    }

    fn is_stopped(&self) -> bool {
        let stop = format!("ecs:StopTask {}", self.task);
        self.world.aws.calls().contains(&stop)
    }

    async fn handle(&self, event: Value) -> Result<Value, Error> {
        self.world.handle(event).await
    }
}

fn closed(execution: &str, status: &str) -> Value {
    json!({ "detail-type": "Step Functions Execution Status Change", "detail": { "name": execution, "status": status } })
}

#[tokio::test]
async fn an_execution_is_told_the_end_of_its_warm_task_with_three_calls() {
    let adopted = Adopted::new("RUNNING", "WarmRunner").await;
    adopted.handle(adopted.stopped(0)).await.unwrap();
    let told = adopted.world.aws.state().told.clone();
    let [(token, Ok(task))] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(token, TOKEN);
    // As `runTask.sync` answers.
    assert_eq!(task["TaskArn"], adopted.task.as_str());
    assert_eq!(task["Containers"][0]["ExitCode"], 0);
    assert_eq!(task["StoppedAt"], 1_767_225_660_000_u64);
    assert_eq!(
        adopted.world.aws.calls(),
        [
            "dynamodb:UpdateItem wait".to_owned(),
            format!("states:SendTaskSuccess {TOKEN}"),
            "dynamodb:UpdateItem wait".to_owned(),
        ]
    );
    assert_eq!(adopted.world.github_calls(), 0);
}

#[tokio::test]
async fn a_task_that_failed_fails_its_execution_as_a_cold_one_would() {
    let adopted = Adopted::new("RUNNING", "WarmRunner").await;
    let output = adopted.handle(adopted.stopped(20)).await.unwrap();
    assert_eq!(output["result"], "executionCleansUp");
    let told = adopted.world.aws.state().told.clone();
    let [(_, Err((error, cause)))] = &told[..] else {
        panic!("{told:?}")
    };
    let failed = json!({ "Error": error, "Cause": cause });
    let mut event = attempt(&adopted.job, &adopted.parameter, None, ("error", failed));
    event["registration"] =
        json!({ "runnerId": null, "installationId": 1, "warm": { "taskArn": adopted.task } });
    let Error::StillQueued(again) = adopted.handle(event).await.unwrap_err() else {
        panic!("the job is still queued")
    };
    assert_eq!(again.outcome.name(), "NeverPickedUp");
    assert_eq!((again.attempt.unpicked, again.attempt.faults), (1, 0));
}

#[tokio::test]
async fn a_repeated_end_tells_nobody_twice() {
    let adopted = Adopted::new("RUNNING", "WarmRunner").await;
    for _ in 0..3 {
        adopted.handle(adopted.stopped(0)).await.unwrap();
    }
    assert_eq!(adopted.world.aws.state().told.len(), 1);
    assert!(adopted.wait().unwrap().contains_key("ended"));
}

#[tokio::test]
async fn an_end_that_was_noted_and_not_told_is_told_by_its_repetition() {
    let adopted = Adopted::new("RUNNING", "WarmRunner").await;
    let key = ("wait".to_owned(), adopted.task.clone());
    // The first call crashed after its first write.
    let ended = aws_sdk_dynamodb::types::AttributeValue::S("{}".to_owned());
    adopted
        .world
        .aws
        .state()
        .items
        .get_mut(&key)
        .unwrap()
        .insert("ended".to_owned(), ended);
    adopted.handle(adopted.stopped(0)).await.unwrap();
    assert_eq!(adopted.world.aws.state().told.len(), 1);
}

#[tokio::test]
async fn a_state_that_waits_no_more_is_no_failure() {
    for code in [0, 20] {
        let adopted = Adopted::new("RUNNING", "Cleanup").await;
        adopted.world.aws.state().waiting.clear();
        adopted.handle(adopted.stopped(code)).await.unwrap();
        assert!(!adopted.wait().unwrap().contains_key("token"));
    }
}

#[tokio::test]
async fn an_end_before_the_wait_is_left_for_it() {
    let adopted = Adopted::tagged("RUNNING", "Start").await;
    let output = adopted.handle(adopted.stopped(25)).await.unwrap();
    assert_eq!(output["result"], "executionCleansUp");
    assert!(adopted.world.aws.state().told.is_empty());
    assert!(adopted.wait().unwrap().contains_key("ended"));

    // The state machine's write fails for it, and the attempt is judged by what was noted.
    let error = "DynamoDb.ConditionalCheckFailedException";
    let error = adopted
        .handle(adopted.wait_failed(1, error))
        .await
        .unwrap_err();
    let Error::StillQueued(again) = error else {
        panic!("{error}")
    };
    assert_eq!(again.outcome.name(), "ListenerFailed");
    assert_eq!(again.attempt.faults, 1);
}

#[tokio::test]
async fn a_lost_note_is_made_up_for_by_what_ecs_says() {
    let adopted = Adopted::tagged("RUNNING", "WarmRunner").await;
    adopted.world.aws.end_warm_task(&adopted.task, 20);
    let error = "DynamoDb.ConditionalCheckFailedException";
    let error = adopted
        .handle(adopted.wait_failed(1, error))
        .await
        .unwrap_err();
    let Error::StillQueued(again) = error else {
        panic!("{error}")
    };
    assert_eq!(again.outcome.name(), "NeverPickedUp");
}

#[tokio::test]
async fn a_wait_that_failed_ends_an_idle_task_and_costs_no_fault() {
    for error in [
        "DynamoDb.ProvisionedThroughputExceededException",
        "DynamoDB.ResourceNotFoundException",
        "States.Permissions",
        "States.Runtime",
    ] {
        let adopted = Adopted::new("RUNNING", "WarmRunner").await;
        adopted.world.server.cancel_job(adopted.job.id).unwrap();
        let (id, _runner) = adopted.world.listening(&adopted.runner.to_string()).await;
        let event = adopted.wait_failed(id, error);
        let output = adopted.handle(event).await.unwrap();
        assert_eq!(output["outcome"], "StepFailed", "{error}");
        assert!(adopted.world.server.runners().is_empty(), "{error}");
        assert!(adopted.is_stopped(), "{error}");
    }
    let adopted = Adopted::new("RUNNING", "WarmRunner").await;
    let event = adopted.wait_failed(1, "States.Permissions");
    let Error::StillQueued(again) = adopted.handle(event).await.unwrap_err() else {
        panic!("the job is still queued")
    };
    assert_eq!(again.attempt.faults, 0);
}

#[tokio::test]
async fn a_wait_that_failed_leaves_a_busy_task_alone() {
    let adopted = Adopted::new("RUNNING", "WarmRunner").await;
    let (id, mut runner) = adopted.world.listening(&adopted.runner.to_string()).await;
    runner.take(PATIENCE).await.unwrap();
    let event = adopted.wait_failed(id, "DynamoDb.ThrottlingException");
    let output = adopted.handle(event).await.unwrap();
    assert_eq!(output["job"], "in progress");
    assert!(!adopted.is_stopped());
}

#[tokio::test]
async fn the_time_limit_of_a_job_ends_its_warm_task_busy_or_not() {
    let adopted = Adopted::new("RUNNING", "WarmRunner").await;
    let (id, mut runner) = adopted.world.listening(&adopted.runner.to_string()).await;
    runner.take(PATIENCE).await.unwrap();
    let event = adopted.wait_failed(id, "States.Timeout");
    let output = adopted.handle(event).await.unwrap();
    assert_eq!(output["outcome"], "TimedOut");
    assert!(adopted.is_stopped());
}

#[tokio::test]
async fn an_operators_abort_stops_an_adopted_task_busy_or_not() {
    for (status, state, stops) in [
        ("ABORTED", "WarmRunner", true),
        ("TIMED_OUT", "WarmRunner", true),
        ("ABORTED", "Start", true),
        ("FAILED", "WarmRunner", false),
    ] {
        let adopted = Adopted::new(status, state).await;
        let (_, mut runner) = adopted.world.listening(&adopted.runner.to_string()).await;
        runner.take(PATIENCE).await.unwrap();
        let event = closed(&adopted.execution, status);
        adopted.handle(event).await.unwrap();
        assert_eq!(adopted.is_stopped(), stops, "{status} in {state}");
    }
}

#[tokio::test]
async fn an_abort_in_token_stops_a_tagged_task_only_if_github_deletes_its_runner() {
    for busy in [false, true] {
        let adopted = Adopted::tagged("ABORTED", "Token").await;
        if !busy {
            adopted.world.server.cancel_job(adopted.job.id).unwrap();
        }
        let (_, mut runner) = adopted.world.listening(&adopted.runner.to_string()).await;
        if busy {
            runner.take(PATIENCE).await.unwrap();
        }
        let event = closed(&adopted.execution, "ABORTED");
        adopted.handle(event).await.unwrap();
        assert_eq!(adopted.is_stopped(), !busy, "busy: {busy}");
    }
}

#[tokio::test]
async fn a_cancelled_jobs_warm_task_is_retired_as_a_cold_one() {
    let adopted = Adopted::new("RUNNING", "WarmRunner").await;
    adopted.world.server.cancel_job(adopted.job.id).unwrap();
    let (_, _runner) = adopted.world.listening(&adopted.runner.to_string()).await;
    let event = json!({ "kind": "cancelled", "job": order(&adopted.job).job });
    let output = adopted.handle(event).await.unwrap();
    assert_eq!(output["executions"][0]["result"], "retired");
    assert!(adopted.is_stopped());
    assert!(adopted.world.server.runners().is_empty());
    assert_eq!(
        adopted.world.aws.state().executions[&adopted.execution].status,
        "RUNNING"
    );
}

#[tokio::test]
async fn what_a_warm_task_of_a_closed_execution_left_is_removed() {
    let adopted = Adopted::new("ABORTED", "WarmRunner").await;
    adopted.world.parameters(&[&adopted.parameter]);
    let output = adopted.handle(adopted.stopped(25)).await.unwrap();
    assert_eq!(output["result"], "removed");
    assert!(adopted.world.aws.state().parameters.is_empty());
}

#[tokio::test]
async fn the_end_of_a_task_that_nobody_adopted_touches_nothing() {
    for code in [33, 26] {
        let mut adopted = Adopted::tagged("RUNNING", "Token").await;
        adopted.world.aws.state().warm[0].tags.clear();
        adopted.handle(adopted.stopped(code)).await.unwrap();
        assert!(adopted.world.aws.state().told.is_empty());
        assert_eq!(adopted.world.github_calls(), 0);
        // Without a table, or of another deployment, not even its end is noted.
        let calls = adopted.world.aws.calls().len();
        let mut others = adopted.stopped(code);
        others["detail"]["group"] = json!("fargate-runners:dev:warm");
        assert_eq!(adopted.handle(others).await.unwrap()["result"], "notOurs");
        adopted.world.deps.fleet.pool = None;
        let output = adopted.handle(adopted.stopped(code)).await.unwrap();
        assert_eq!(output["result"], "notOurs");
        assert_eq!(adopted.world.aws.calls().len(), calls);
    }
}

#[tokio::test]
async fn a_lost_warm_task_leaves_the_registration_to_the_cold_one_that_follows() {
    // Both carry the same runner's tag; the warm one leaves while the other needs the registration.
    let adopted = Adopted::tagged("RUNNING", "Runner").await;
    adopted.world.parameters(&[&adopted.parameter]);
    let output = adopted.handle(adopted.stopped(26)).await.unwrap();
    assert_eq!(output["result"], "executionCleansUp");
    assert_eq!(adopted.world.aws.state().parameters.len(), 1);
    assert_eq!(execution_of(&adopted.job), adopted.execution);
}
