//! How a runner's task is found: from its execution's history, or from what ECS describes.
//!
//! The answers are wire shapes. Those of Step Functions have the fields, their order and their spelling
//! as recorded on AWS by `LocalStack`'s authors (`test_ecs_task_service.py`: `test_run_task_sync`
//! 2024-02-23, `test_run_task_sync_raise_failure` 2024-02-25; Apache-2.0), with our names filled in.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use aws::executions::Executions;
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use fleet::Fleet;
use pool::Pool;
use protocol::RunnerName;
use serde_json::{Value, json};

const TASK: &str = "arn:aws:ecs:eu-central-1:111111111111:task/runners/0a";

fn answer(status: u16, body: &Value) -> HttpResponse {
    let status = StatusCode::try_from(status).unwrap();
    HttpResponse::new(status, SdkBody::from(body.to_string()))
}

fn runner(name: &str) -> RunnerName {
    name.parse().unwrap()
}

/// Step Functions and ECS that answer with these, and what ECS was asked.
struct Wire {
    history: (u16, Value),
    listed: Vec<&'static str>,
    described: Vec<Value>,
    calls: Arc<Mutex<Vec<&'static str>>>,
    /// Whether the deployment keeps warm tasks.
    pooled: bool,
}

impl Wire {
    fn of(mut events: Vec<Value>) -> Self {
        // Newest first, as it is asked for.
        for (event, id) in events.iter_mut().zip(1..) {
            event["id"] = json!(id);
            event["previousEventId"] = json!(id - 1);
            event["timestamp"] = json!(1_708_715_000.5);
        }
        events.reverse();
        Self {
            history: (200, json!({ "events": events })),
            listed: Vec::new(),
            described: vec![json!({ "tasks": [], "failures": [] })],
            calls: Arc::default(),
            pooled: false,
        }
    }

    fn noted(&self, call: &'static str) -> impl Fn() + Send + Sync + 'static {
        let calls = Arc::clone(&self.calls);
        move || calls.lock().unwrap().push(call)
    }

    fn fleet(&self) -> Fleet {
        let (status, body) = self.history.clone();
        let history = mock!(aws_sdk_sfn::Client::get_execution_history)
            .match_requests(|request| {
                request.reverse_order() == Some(true)
                    && request
                        .execution_arn()
                        .is_some_and(|arn| arn.ends_with(":fr:x-12"))
            })
            .then_http_response(move || answer(status, &body));
        let (listed, note) = (self.listed.clone(), self.noted("ListTasks"));
        let list = mock!(aws_sdk_ecs::Client::list_tasks)
            .match_requests(|request| request.started_by().is_none())
            .then_http_response(move || {
                note();
                answer(200, &json!({ "taskArns": listed }))
            });
        let described: Vec<Rule> = self
            .described
            .iter()
            .map(|body| {
                let (body, note) = (body.clone(), self.noted("DescribeTasks"));
                mock!(aws_sdk_ecs::Client::describe_tasks).then_http_response(move || {
                    note();
                    answer(200, &body)
                })
            })
            .collect();
        let ecs: Vec<_> = [&list].into_iter().chain(&described).collect();
        Fleet {
            executions: Executions::over(
                mock_client!(aws_sdk_sfn, RuleMode::MatchAny, [&history]),
                "arn:aws:states:eu-central-1:111111111111:stateMachine:fr"
                    .parse()
                    .unwrap(),
            ),
            ecs: mock_client!(aws_sdk_ecs, RuleMode::Sequential, ecs).into(),
            ssm: mock_client!(aws_sdk_ssm, RuleMode::MatchAny, &[] as &[Rule]),
            cluster: "runners".to_owned(),
            prefix: "fargate-runners".to_owned(),
            deployment: "fr".parse().unwrap(),
            // Nothing here asks the table.
            capped: None,
            reruns: None,
            pool: self.pooled.then(|| {
                let rules = &[] as &[Rule];
                Pool::over(
                    mock_client!(aws_sdk_dynamodb, RuleMode::MatchAny, rules),
                    "table",
                )
            }),
        }
    }

    async fn tasks_of(&self, name: &str) -> Vec<String> {
        self.fleet().tasks_of(&runner(name)).await.unwrap()
    }

    fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().unwrap().clone()
    }
}

fn overrides(name: &str) -> Value {
    json!({ "ContainerOverrides": [{
        "Command": [],
        "Environment": [
            { "Name": "AGENT_PARAMETER", "Value": "/fargate-runners/runners/x/y" },
            { "Name": "AGENT_RUNNER", "Value": name },
        ],
        "EnvironmentFiles": [],
        "Name": "runner",
        "ResourceRequirements": [],
    }], "InferenceAcceleratorOverrides": [] })
}

fn entered(name: &str) -> Value {
    let input = json!({ "runTask": { "Cluster": "runners", "Overrides": overrides(name) } });
    entered_with("Runner", &input)
}

/// A state after `Token` took a warm task.
fn entered_adopted(state: &str, name: &str) -> Value {
    let run_task = json!({ "Cluster": "runners", "Overrides": overrides(name) });
    let input = json!({ "runTask": run_task, "warm": { "taskArn": TASK } });
    entered_with(state, &input)
}

fn entered_with(state: &str, input: &Value) -> Value {
    json!({
        "type": "TaskStateEntered",
        "stateEnteredEventDetails": {
            "name": state, "input": input.to_string(), "inputDetails": { "truncated": false },
        },
    })
}

fn scheduled() -> Value {
    json!({
        "type": "TaskScheduled",
        "taskScheduledEventDetails": {
            "resourceType": "ecs", "resource": "runTask.sync", "region": "eu-central-1",
            "parameters": json!({ "Cluster": "runners", "StartedBy": "AWS Step Functions" }).to_string(),
        },
    })
}

fn started() -> Value {
    json!({
        "type": "TaskStarted",
        "taskStartedEventDetails": { "resourceType": "ecs", "resource": "runTask.sync" },
    })
}

fn submitted_with(task: &Value) -> Value {
    let output = json!({
        "Failures": [],
        "SdkHttpMetadata": { "HttpStatusCode": 200 },
        "SdkResponseMetadata": { "RequestId": "id" },
        "Tasks": [task],
    });
    json!({
        "type": "TaskSubmitted",
        "taskSubmittedEventDetails": {
            "resourceType": "ecs", "resource": "runTask.sync", "output": output.to_string(),
            "outputDetails": { "truncated": false },
        },
    })
}

fn submitted(name: &str, arn: &str) -> Value {
    submitted_with(&json!({
        "Containers": [{ "Name": "runner", "LastStatus": "PENDING", "TaskArn": arn }],
        "LastStatus": "PROVISIONING",
        "Overrides": overrides(name),
        "StartedBy": "AWS Step Functions",
        "Tags": [],
        "TaskArn": arn,
    }))
}

fn failed(error: &str) -> Value {
    json!({
        "type": "TaskFailed",
        "taskFailedEventDetails": {
            "resourceType": "ecs", "resource": "runTask.sync", "error": error, "cause": "{}",
        },
    })
}

fn succeeded() -> Value {
    json!({
        "type": "TaskSucceeded",
        "taskSucceededEventDetails": {
            "resourceType": "ecs", "resource": "runTask.sync", "output": "{}",
            "outputDetails": { "truncated": false },
        },
    })
}

/// The end of a wait for a warm task. The shape is that of a wait for a message's token, recorded on
/// AWS (`test_callback.py`: `test_sqs_failure_in_wait_for_task_token`), with the resource's name of
/// `DynamoDB`.
fn wait_failed(error: &str) -> Value {
    json!({
        "type": "TaskFailed",
        "taskFailedEventDetails": {
            "resourceType": "aws-sdk:dynamodb", "resource": "putItem.waitForTaskToken",
            "error": error, "cause": "{}",
        },
    })
}

fn wait_succeeded() -> Value {
    json!({
        "type": "TaskSucceeded",
        "taskSucceededEventDetails": {
            "resourceType": "aws-sdk:dynamodb", "resource": "putItem.waitForTaskToken",
            "output": "{}", "outputDetails": { "truncated": false },
        },
    })
}

fn of(kind: &str) -> Value {
    json!({ "type": kind })
}

#[tokio::test]
async fn the_task_that_runtask_answered_with_is_the_runners() {
    let wire = Wire::of(vec![
        entered("fr-x-12"),
        scheduled(),
        started(),
        submitted("fr-x-12", TASK),
    ]);
    assert_eq!(wire.tasks_of("fr-x-12").await, [TASK]);
    assert!(wire.calls().is_empty(), "ECS need not be asked");
}

#[tokio::test]
async fn a_task_without_overrides_in_its_answer_belongs_to_the_runner_its_state_was_entered_with() {
    let task = json!({ "TaskArn": TASK, "Overrides": { "ContainerOverrides": [] } });
    let wire = Wire::of(vec![
        entered("fr-x-12"),
        scheduled(),
        started(),
        submitted_with(&task),
    ]);
    assert_eq!(wire.tasks_of("fr-x-12").await, [TASK]);
}

#[tokio::test]
async fn a_task_that_has_ended_is_not_given() {
    for end in [succeeded(), failed("States.TaskFailed")] {
        let wire = Wire::of(vec![
            entered("fr-x-12"),
            scheduled(),
            started(),
            submitted("fr-x-12", TASK),
            end,
            of("TaskStateExited"),
        ]);
        assert!(wire.tasks_of("fr-x-12").await.is_empty());
        assert!(wire.calls().is_empty());
    }
}

#[tokio::test]
async fn a_task_outlives_the_abort_and_the_time_out_of_its_state() {
    for end in ["ExecutionAborted", "TaskTimedOut"] {
        let wire = Wire::of(vec![
            entered("fr-x-12"),
            scheduled(),
            started(),
            submitted("fr-x-12", TASK),
            of(end),
        ]);
        assert_eq!(wire.tasks_of("fr-x-12").await, [TASK], "{end}");
    }
}

#[tokio::test]
async fn an_adopted_task_is_its_runners_until_it_has_ended() {
    let passing = "DynamoDb.ProvisionedThroughputExceededException";
    for (end, running) in [
        (None, true),
        (Some(of("ExecutionAborted")), true),
        (Some(of("TaskTimedOut")), true),
        (Some(wait_failed(passing)), true),
        (Some(wait_failed("TaskFailed")), false),
        (
            Some(wait_failed("DynamoDb.ConditionalCheckFailedException")),
            false,
        ),
        (Some(wait_succeeded()), false),
    ] {
        let mut events = vec![
            entered_adopted("Start", "fr-x-12"),
            of("ChoiceStateExited"),
            entered_adopted("WarmRunner", "fr-x-12"),
        ];
        events.extend(end.clone());
        let mut wire = Wire::of(events);
        wire.pooled = true;
        let found = wire.tasks_of("fr-x-12").await;
        assert_eq!(found, [TASK].repeat(usize::from(running)), "{end:?}");
        assert!(wire.calls().is_empty(), "ECS need not be asked");
    }
}

#[tokio::test]
async fn an_execution_is_found_with_the_task_that_it_adopted() {
    for state in ["Start", "WarmRunner"] {
        let wire = Wire::of(vec![entered_adopted(state, "fr-x-12")]);
        let execution = "x-12".parse().unwrap();
        let position = wire.fleet().position(&execution).await.unwrap();
        assert_eq!(position.state.unwrap().as_str(), state);
        assert_eq!(position.adopted.unwrap().task_arn, TASK);
        assert_eq!(position.runner, Some(runner("fr-x-12")));
    }
}

#[tokio::test]
async fn an_execution_that_ended_in_token_may_have_taken_a_warm_task() {
    let run_task = json!({ "Cluster": "runners", "Overrides": overrides("fr-x-12") });
    let events = || vec![entered_with("Token", &json!({ "runTask": run_task }))];
    let tags = json!([{ "key": "fargate-runners:runner", "value": "fr-x-12" }]);
    let mut wire = Wire::of(events());
    wire.pooled = true;
    wire.listed = vec![TASK];
    wire.described = vec![json!({ "tasks": [described(TASK, &json!({}), &tags)], "failures": [] })];
    assert_eq!(wire.tasks_of("fr-x-12").await, [TASK]);

    let wire = Wire::of(events());
    assert!(wire.tasks_of("fr-x-12").await.is_empty());
    assert!(
        wire.calls().is_empty(),
        "without a pool there is nothing to look for"
    );
}

#[tokio::test]
async fn a_task_of_the_stock_has_a_runner_only_once_it_is_tagged() {
    let key = "00112233445566778899aabbccddeeff";
    let mut stock = agent("AGENT_BELL", key);
    stock["containerOverrides"][0]["environment"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "AGENT_TICKET", "value": "f/07" }));
    let of_stock = |arn, group: &str, tags| {
        let mut task = described(arn, &stock, tags);
        task["group"] = json!(group);
        task
    };
    let none = json!([]);
    let tags = json!([{ "key": "fargate-runners:runner", "value": "fr-x-12" }]);
    let mut wire = Wire::of(Vec::new());
    wire.listed = vec!["waiting", "adopted", "another's"];
    wire.described = vec![json!({
        "tasks": [
            of_stock("waiting", "fargate-runners:fr:warm", &none),
            of_stock("adopted", "fargate-runners:fr:warm", &tags),
            of_stock("another's", "fargate-runners:dev:warm", &none),
        ],
        "failures": [],
    })];
    let found = wire.fleet().running_tasks().await.unwrap();
    let runners: Vec<_> = found.runners.iter().map(|task| task.arn.as_str()).collect();
    let warm = found.warm.iter();
    let warm: Vec<_> = warm
        .map(|task| (task.arn.as_str(), task.has_runner))
        .collect();
    assert_eq!(runners, ["adopted"]);
    assert_eq!(warm, [("waiting", false), ("adopted", true)]);
    assert_eq!(found.warm[0].ticket.to_string(), "f/07");
    assert_eq!(found.warm[0].bell.as_str(), key);
}

#[tokio::test]
async fn attempts_are_told_apart() {
    let later = "arn:aws:ecs:eu-central-1:111111111111:task/runners/0b";
    let wire = Wire::of(vec![
        entered("fr-x-12"),
        scheduled(),
        started(),
        submitted("fr-x-12", TASK),
        of("TaskTimedOut"),
        entered("fr-x-12-a2"),
        scheduled(),
        started(),
        submitted("fr-x-12-a2", later),
    ]);
    assert_eq!(wire.tasks_of("fr-x-12").await, [TASK]);
    assert_eq!(wire.tasks_of("fr-x-12-a2").await, [later]);
    assert!(wire.tasks_of("fr-x-12-a3").await.is_empty());
    assert!(wire.calls().is_empty());
}

#[tokio::test]
async fn only_the_last_runtask_of_a_retried_state_counts() {
    let wire = Wire::of(vec![
        entered("fr-x-12"),
        scheduled(),
        started(),
        failed("ECS.AmazonECSException"),
        scheduled(),
        started(),
        submitted("fr-x-12", TASK),
    ]);
    assert_eq!(wire.tasks_of("fr-x-12").await, [TASK]);
}

#[tokio::test]
async fn a_refused_runtask_leaves_nothing_to_be_looked_for() {
    let wire = Wire::of(vec![
        entered("fr-x-12"),
        scheduled(),
        started(),
        failed("ECS.AmazonECSException"),
    ]);
    assert!(wire.tasks_of("fr-x-12").await.is_empty());
    assert!(wire.calls().is_empty(), "a burst must not list the cluster");
}

#[tokio::test]
async fn a_runtask_that_is_under_way_is_not_looked_for() {
    let wire = Wire::of(vec![entered("fr-x-12"), scheduled(), started()]);
    assert!(wire.tasks_of("fr-x-12").await.is_empty());
    assert!(wire.calls().is_empty());
}

fn described(arn: &str, overrides: &Value, tags: &Value) -> Value {
    json!({
        "taskArn": arn, "createdAt": 1_708_715_000.5, "lastStatus": "RUNNING",
        "startedBy": "AWS Step Functions", "overrides": overrides, "tags": tags,
    })
}

fn agent(name: &str, value: &str) -> Value {
    json!({ "containerOverrides": [{ "name": "runner", "environment": [{ "name": name, "value": value }] }] })
}

#[tokio::test]
async fn a_task_that_no_history_names_is_found_by_what_ecs_describes() {
    for end in ["ExecutionAborted", "TaskTimedOut"] {
        let mut wire = Wire::of(vec![entered("fr-x-12"), scheduled(), started(), of(end)]);
        wire.listed = vec![TASK, "other"];
        wire.described = vec![json!({
            "tasks": [
                described(TASK, &agent("AGENT_RUNNER", "fr-x-12"), &json!([])),
                described("other", &agent("AGENT_RUNNER", "fr-x-123"), &json!([])),
            ],
            "failures": [],
        })];
        assert_eq!(wire.tasks_of("fr-x-12").await, [TASK], "{end}");
        assert_eq!(wire.calls(), ["ListTasks", "DescribeTasks"]);
    }
}

#[tokio::test]
async fn an_execution_without_a_history_has_its_tasks_looked_for_in_the_cluster() {
    let mut wire = Wire::of(Vec::new());
    wire.history = (
        400,
        json!({ "__type": "ExecutionDoesNotExist", "message": "Execution Does Not Exist" }),
    );
    wire.listed = vec![TASK];
    let tags = json!([{ "key": "fargate-runners:runner", "value": "fr-x-12" }]);
    wire.described = vec![json!({ "tasks": [described(TASK, &json!({}), &tags)], "failures": [] })];
    assert_eq!(wire.tasks_of("fr-x-12").await, [TASK]);
}

#[tokio::test]
async fn a_tasks_runner_is_told_by_its_overrides_or_by_its_tag() {
    let mut wire = Wire::of(Vec::new());
    wire.listed = vec!["overridden", "tagged", "foreign", "another deployment's"];
    let tags = json!([
        { "key": "fargate-runners:runner", "value": "fr-x-13" },
        { "key": "fargate-runners:repository", "value": "octo/hello" },
    ]);
    let mut overridden = agent("AGENT_RUNNER", "fr-x-12");
    overridden["containerOverrides"][0]["environment"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "AGENT_REPOSITORY", "value": "octo/world" }));
    wire.described = vec![json!({
        "tasks": [
            described("overridden", &overridden, &json!([])),
            described("tagged", &json!({ "containerOverrides": [] }), &tags),
            described("foreign", &json!({}), &json!([{ "key": "a", "value": "b" }])),
            described("another deployment's", &agent("AGENT_RUNNER", "other-x-1"), &json!([])),
        ],
        "failures": [],
    })];
    let found = wire.fleet().running_tasks().await.unwrap();
    let found: Vec<_> = found
        .runners
        .iter()
        .map(|task| {
            let repository = task.repository.as_ref().map(ToString::to_string);
            (task.arn.as_str(), task.runner.to_string(), repository)
        })
        .collect();
    let one =
        |arn, runner: &str, repository: &str| (arn, runner.to_owned(), Some(repository.to_owned()));
    assert_eq!(
        found,
        [
            one("overridden", "fr-x-12", "octo/world"),
            one("tagged", "fr-x-13", "octo/hello"),
        ]
    );
}

#[tokio::test]
async fn a_task_that_is_missing_at_first_is_described_again() {
    let mut wire = Wire::of(Vec::new());
    wire.listed = vec![TASK];
    wire.described = vec![
        json!({ "tasks": [], "failures": [{ "arn": TASK, "reason": "MISSING" }] }),
        json!({
            "tasks": [described(TASK, &agent("AGENT_RUNNER", "fr-x-12"), &json!([]))],
            "failures": [],
        }),
    ];
    let found = wire.fleet().running_tasks().await.unwrap();
    assert_eq!(found.runners.len(), 1);
    assert_eq!(
        wire.calls(),
        ["ListTasks", "DescribeTasks", "DescribeTasks"]
    );
}
