//! The AWS side of one deployment, in memory: executions, tasks and parameters behind the SDK's own
//! clients. For handlers' tests that care what is found, ended and begun, not how a call is spelt;
//! the local engine sees to that.

// A stand-in that is misused should say so loudly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc
)]

mod dynamodb;
mod ecs;
mod sfn;
mod ssm;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use aws::executions::Executions;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_ecs::operation::run_task::RunTaskInput;
use aws_sdk_ecs::types::{ContainerOverride, KeyValuePair, TaskOverride};
use fleet::Fleet;
use pool::Pool;
use protocol::{Order, RunnerName};
use serde_json::{Value, json};
use time::OffsetDateTime;

pub use dynamodb::Item;
pub use ecs::NoTask;

/// An execution in memory.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Step Functions' word for where it stands.
    pub status: String,
    /// Its error's name, where it failed.
    pub error: Option<String>,
    /// Its error's cause, where it failed.
    pub cause: Option<String>,
    /// Its input.
    pub input: String,
    /// The states it entered, oldest first, each with its input.
    pub entered: Vec<(String, Value)>,
    /// When it started.
    pub started_at: OffsetDateTime,
    /// When it was closed, and its output where it ended well.
    pub ended: Option<(OffsetDateTime, String)>,
}

/// How a parameter was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The key that encrypts it.
    pub key: Option<String>,
    pub description: Option<String>,
    pub version: i64,
    /// In seconds since 1970.
    pub at: i64,
}

/// A task in memory.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its ARN.
    pub arn: String,
    /// The runner's name.
    pub runner: String,
    /// The repository in its tags.
    pub repository: String,
    /// When RunTask made it.
    pub created_at: OffsetDateTime,
    /// When it came up.
    pub started_at: Option<OffsetDateTime>,
}

/// A task that the keeper of warm tasks started.
#[derive(Clone, Debug)]
pub struct WarmTask {
    pub arn: String,
    pub client_token: String,
    /// What RunTask was asked for.
    pub request: RunTaskInput,
    /// ECS's words for its status.
    pub last_status: String,
    pub desired_status: String,
    pub created_at: OffsetDateTime,
    pub tags: BTreeMap<String, String>,
    /// Its agent's, once it has ended.
    pub exit_code: Option<i32>,
}

impl WarmTask {
    /// A variable of its agent.
    pub fn told(&self, name: &str) -> Option<&str> {
        let overrides = self.request.overrides()?;
        let containers = overrides.container_overrides().iter();
        let mut variables = containers.flat_map(ContainerOverride::environment);
        variables
            .find(|variable| variable.name() == Some(name))?
            .value()
    }
}

/// What a waiting state was told: the output, or the error and its cause.
pub type Told = Result<Value, (String, String)>;

/// Everything there is.
#[derive(Debug, Default)]
pub struct State {
    /// By name.
    pub executions: BTreeMap<String, Execution>,
    /// The tasks that run.
    pub tasks: Vec<Task>,
    /// The tasks that RunTask answered with, by their runners. They stay when a task ends.
    pub submitted: Vec<(String, String)>,
    /// By name: when it was written, and its value.
    pub parameters: BTreeMap<String, (OffsetDateTime, String)>,
    /// By name: how a parameter is encrypted and described, and how often it was written.
    pub written: BTreeMap<String, Written>,
    /// The key that the deployment has for its secrets, as an alias; none is there if not set.
    pub secrets_key: Option<String>,
    /// Calls of SSM that are denied, each with the end of the parameter's name (all, if empty).
    pub denied: BTreeSet<(String, String)>,
    /// After so many writes, no parameter is written.
    pub denied_after: Option<u32>,
    /// Task definitions: their families, each with its tags.
    pub families: BTreeMap<String, BTreeMap<String, String>>,
    /// Their newest active revisions, where that is not the first; `None` if there is none.
    pub revisions: BTreeMap<String, Option<i32>>,
    /// The tasks that the keeper of warm tasks started, ended ones too.
    pub warm: Vec<WarmTask>,
    /// What the next calls of RunTask answer instead of starting a task.
    pub no_task: VecDeque<NoTask>,
    /// The table of the pool, by both keys.
    pub items: BTreeMap<(String, String), Item>,
    /// What queries of the table read instead: callers that have all read before any of them writes.
    pub stale_items: Option<BTreeMap<(String, String), Item>>,
    /// Task tokens with which a state waits.
    pub waiting: BTreeSet<String>,
    /// What waiting states were told, by token.
    pub told: Vec<(String, Told)>,
    /// Every call, as IAM spells it with its target.
    pub calls: Vec<String>,
}

/// The deployment.
#[derive(Clone, Debug, Default)]
pub struct Aws(Arc<Mutex<State>>);

impl Aws {
    /// An empty deployment.
    pub fn new() -> Self {
        Self::default()
    }

    /// What there is, to be looked at and changed.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .expect("no test holds the state across a panic")
    }

    /// The calls made so far, without their targets' details.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// Puts an execution there.
    pub fn add_execution(&self, name: &str, order: &Order, status: &str, error: Option<&str>) {
        let execution = Execution {
            status: status.to_owned(),
            error: error.map(str::to_owned),
            cause: None,
            input: serde_json::to_string(order).unwrap(),
            entered: vec![("Match".to_owned(), Value::Null)],
            started_at: order.job.queued_at,
            ended: None,
        };
        self.state().executions.insert(name.to_owned(), execution);
    }

    /// Has an execution been closed at an instant, with what `cleanup` named its outcome.
    pub fn close(&self, execution: &str, at: OffsetDateTime, outcome: &str) {
        self.state()
            .executions
            .get_mut(execution)
            .expect("the execution exists")
            .ended = Some((at, json!({ "outcome": outcome }).to_string()));
    }

    /// Gives a failed execution its cause.
    pub fn set_cause(&self, execution: &str, cause: &str) {
        self.state()
            .executions
            .get_mut(execution)
            .expect("the execution exists")
            .cause = Some(cause.to_owned());
    }

    /// Has an execution enter a state.
    pub fn enter(&self, execution: &str, state: &str, input: Value) {
        self.state()
            .executions
            .get_mut(execution)
            .expect("the execution exists")
            .entered
            .push((state.to_owned(), input));
    }

    /// The input of the states that a planned runner goes through.
    pub fn planned(runner: &str, parameter: &str) -> Value {
        json!({ "runTask": { "Overrides": { "ContainerOverrides": [{
            "Name": protocol::CONTAINER,
            "Environment": [
                { "Name": "AGENT_PARAMETER", "Value": parameter },
                { "Name": "AGENT_RUNNER", "Value": runner },
            ],
        }] } } })
    }

    /// Puts a task there that came up at `at`. The history of its execution, if there is one, says that
    /// RunTask answered with it.
    pub fn add_task(&self, runner: &str, repository: &str, at: OffsetDateTime) -> String {
        let arn = format!("arn:aws:ecs:us-east-1:000000000000:task/runners/{runner}");
        self.state().tasks.push(Task {
            arn: arn.clone(),
            runner: runner.to_owned(),
            repository: repository.to_owned(),
            created_at: at,
            started_at: Some(at),
        });
        let submitted = (runner.to_owned(), arn.clone());
        self.state().submitted.push(submitted);
        arn
    }

    /// Puts a task of the stock there that came up at `at`, with its bell's key and its ticket's name.
    pub fn add_warm_task(&self, bell: &str, ticket: &str, at: OffsetDateTime) -> String {
        let arn = format!("arn:aws:ecs:us-east-1:000000000000:task/runners/warm-{bell}");
        let variable = |name: &str, value: &str| {
            let variable = KeyValuePair::builder().name(name).value(value);
            variable.build()
        };
        let container = ContainerOverride::builder()
            .name(protocol::CONTAINER)
            .environment(variable(protocol::bell::AGENT_BELL, bell))
            .environment(variable(protocol::bell::AGENT_TICKET, ticket));
        let overrides = TaskOverride::builder().container_overrides(container.build());
        let request = RunTaskInput::builder()
            .task_definition("f")
            .group("fargate-runners:fr:warm")
            .overrides(overrides.build());
        self.state().warm.push(WarmTask {
            arn: arn.clone(),
            client_token: bell.to_owned(),
            request: request.build().unwrap(),
            last_status: "RUNNING".to_owned(),
            desired_status: "RUNNING".to_owned(),
            created_at: at,
            tags: BTreeMap::new(),
            exit_code: None,
        });
        arn
    }

    /// Has a warm task been adopted by a runner: tagged, and waited for since `at` with a token.
    pub fn adopt(&self, arn: &str, runner: &RunnerName, token: &str, at: OffsetDateTime) {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let expires = (at + pool::wait::KEPT).unix_timestamp();
        let wait = [
            ("pk", text("wait")),
            ("sk", text(arn)),
            ("token", text(token)),
            ("execution", text(&runner.execution().to_string())),
            ("runner", text(&runner.to_string())),
            ("expires", AttributeValue::N(expires.to_string())),
        ];
        let wait = wait.map(|(name, value)| (name.to_owned(), value)).into();
        let mut state = self.state();
        state
            .items
            .insert(("wait".to_owned(), arn.to_owned()), wait);
        state.waiting.insert(token.to_owned());
        let mut tasks = state.warm.iter_mut();
        if let Some(task) = tasks.find(|task| task.arn == arn) {
            task.tags
                .insert(protocol::RUNNER_TAG.to_owned(), runner.to_string());
            task.tags
                .insert(protocol::REPOSITORY_TAG.to_owned(), "octo/hello".to_owned());
        }
    }

    /// Has a warm task ended with its agent's exit code.
    pub fn end_warm_task(&self, arn: &str, exit_code: i32) {
        let mut state = self.state();
        let mut tasks = state.warm.iter_mut();
        let task = tasks.find(|task| task.arn == arn).expect("the task exists");
        "STOPPED".clone_into(&mut task.last_status);
        "STOPPED".clone_into(&mut task.desired_status);
        task.exit_code = Some(exit_code);
    }

    /// Puts a task definition there.
    pub fn add_family<const N: usize>(&self, family: &str, tags: [(&str, &str); N]) {
        let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.state()
            .families
            .insert(family.to_owned(), BTreeMap::from(tags));
    }

    /// Puts a parameter there.
    pub fn add_parameter(&self, name: &str, at: OffsetDateTime) {
        self.state()
            .parameters
            .insert(name.to_owned(), (at, "value".to_owned()));
    }

    /// The deployment `fr` as the handlers see it.
    pub fn fleet(&self) -> Fleet {
        Fleet {
            executions: Executions::over(
                sfn::client(self),
                "arn:aws:states:us-east-1:000000000000:stateMachine:fargate-runners"
                    .parse()
                    .unwrap(),
            ),
            ecs: ecs::client(self).into(),
            ssm: ssm::client(self),
            cluster: "runners".to_owned(),
            prefix: "fargate-runners".to_owned(),
            deployment: "fr".parse().unwrap(),
            pool: None,
            capped: None,
            reruns: None,
        }
    }

    /// The table of the pool of warm tasks.
    pub fn pool(&self) -> Pool {
        Pool::over(dynamodb::client(self), "fargate-runners-stock")
    }

    /// ECS, for what has no fleet.
    pub fn ecs(&self) -> aws_sdk_ecs::Client {
        ecs::client(self)
    }

    fn note(&self, call: &str, target: &str) {
        self.state().calls.push(format!("{call} {target}"));
    }
}
