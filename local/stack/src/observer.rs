//! Observes a deployment from outside.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use github_standin::{Exchange, Job, JobStatus, NewJob, Snapshot};
use protocol::{ExecutionName, JobId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Aws, AwsError, Execution};

/// Poll interval.
const LOOK: Duration = Duration::from_millis(100);
/// Maximum number of tasks in one `DescribeTasks` call.
const TASKS_DESCRIBED: usize = 100;

/// Observes one deployment, its engine and its GitHub.
#[derive(Clone, Debug)]
pub struct Observer {
    pub aws: Aws,
    /// URL of the GitHub stand-in.
    pub github: String,
    /// ARN of the state machine.
    pub machine: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Prefix of the deployment.
    pub prefix: String,
    /// Directory of the tasks' logs.
    pub tasks: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub arn: String,
    /// The task's output.
    pub log: PathBuf,
}

/// A ticket: a warm task that waits for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stocked {
    /// Family and slot: `fargate-runners-ubuntu/07`.
    pub name: String,
    /// `reserved`, `started` or `ready`.
    pub state: String,
    /// Its task, once ECS has accepted it.
    pub task: Option<String>,
}

impl Observer {
    /// An execution of the deployment, if it exists.
    pub async fn execution(&self, name: &str) -> anyhow::Result<Option<Execution>> {
        let arn = self.execution_arn(name);
        let described = self
            .aws
            .states("DescribeExecution", json!({ "executionArn": arn }))
            .await;
        let status = match described {
            Ok(execution) => execution["status"].as_str().unwrap_or_default().to_owned(),
            Err(error) if is(&error, "ExecutionDoesNotExist") => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut events = Vec::new();
        let mut token = Value::Null;
        loop {
            let mut input = json!({ "executionArn": arn, "maxResults": 1000 });
            if token.is_string() {
                input["nextToken"] = token;
            }
            let page = self.aws.states("GetExecutionHistory", input).await?;
            events.extend(page["events"].as_array().cloned().unwrap_or_default());
            token = page["nextToken"].clone();
            if !token.is_string() {
                break;
            }
        }
        Ok(Some(Execution::read(&status, events)))
    }

    pub fn execution_arn(&self, name: &str) -> String {
        format!(
            "{}:{name}",
            self.machine.replace(":stateMachine:", ":execution:")
        )
    }

    pub fn execution_name(&self, job: &Job) -> anyhow::Result<ExecutionName> {
        Ok(ExecutionName::first(
            &job.repository.parse()?,
            JobId(job.id),
        ))
    }

    /// Waits until a job's first execution has ended.
    pub async fn first_execution(&self, job: &Job, limit: Duration) -> anyhow::Result<Execution> {
        self.ended(&self.execution_name(job)?.to_string(), limit)
            .await
    }

    /// Waits until an execution has ended.
    pub async fn ended(&self, name: &str, limit: Duration) -> anyhow::Result<Execution> {
        let mut last = None;
        let found = self
            .wait(limit, async || {
                last = self.execution(name).await?;
                Ok(last.clone().filter(Execution::is_over))
            })
            .await?;
        found.with_context(|| {
            format!(
                "execution {name} did not end within {} s: {last:#?}",
                limit.as_secs()
            )
        })
    }

    /// Polls until there is a value, or the limit expires.
    pub async fn wait<T>(
        &self,
        limit: Duration,
        mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<Option<T>> {
        let until = tokio::time::Instant::now() + limit;
        loop {
            if let Some(seen) = look().await? {
                return Ok(Some(seen));
            }
            if tokio::time::Instant::now() >= until {
                return Ok(None);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Queues a job at GitHub.
    pub async fn create_job(&self, new: &NewJob) -> anyhow::Result<Job> {
        self.standin(
            reqwest::Method::POST,
            "jobs",
            Some(serde_json::to_value(new)?),
        )
        .await
    }

    /// Cancels a job at GitHub.
    pub async fn cancel_job(&self, id: u64) -> anyhow::Result<Job> {
        self.standin(reqwest::Method::POST, &format!("jobs/{id}/cancel"), None)
            .await
    }

    /// A webhook and what it was answered with.
    pub async fn delivery(&self, id: u64) -> anyhow::Result<Exchange> {
        self.standin(reqwest::Method::GET, &format!("deliveries/{id}"), None)
            .await
    }

    /// The whole state of the GitHub stand-in.
    pub async fn github(&self) -> anyhow::Result<Snapshot> {
        self.standin(reqwest::Method::GET, "state", None).await
    }

    /// The job at GitHub.
    pub async fn job(&self, id: u64) -> anyhow::Result<Job> {
        self.standin(reqwest::Method::GET, &format!("jobs/{id}"), None)
            .await
    }

    async fn standin<T: DeserializeOwned>(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<T> {
        let url = format!("{}/_standin/{path}", self.github);
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut request = client.request(method, &url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request
            .send()
            .await
            .with_context(|| format!("asking {url}"))?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("the GitHub stand-in answered {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("{url} answered {text}"))
    }

    pub fn task(&self, arn: &str) -> Task {
        let id = arn.rsplit('/').next().unwrap_or(arn);
        Task {
            arn: arn.to_owned(),
            log: self.tasks.join(format!("{id}.log")),
        }
    }

    /// The tickets of all warm tasks; none without a pool.
    pub async fn stock(&self) -> anyhow::Result<Vec<Stocked>> {
        let input = json!({ "TableName": format!("{}-stock", self.prefix) });
        let found = match self.aws.dynamodb("Scan", input).await {
            Err(error) if is(&error, "ResourceNotFoundException") => return Ok(Vec::new()),
            found => found?,
        };
        let text = |item: &Value, name: &str| item[name]["S"].as_str().map(str::to_owned);
        let items = found["Items"].as_array().into_iter().flatten();
        let tickets =
            items.filter(|item| text(item, "sk").is_some_and(|sort| sort.starts_with("slot#")));
        Ok(tickets
            .map(|item| Stocked {
                name: format!(
                    "{}/{}",
                    text(item, "pk").unwrap_or_default().replace("stock#", ""),
                    text(item, "sk").unwrap_or_default().replace("slot#", ""),
                ),
                state: text(item, "state").unwrap_or_default(),
                task: text(item, "taskArn"),
            })
            .collect())
    }

    /// What should not exist when all jobs are done: runner parameters, registered runners, tasks
    /// that are not in stock, executions. One line each.
    pub async fn leftovers(&self) -> anyhow::Result<Vec<String>> {
        let mut left = self.parameters().await?;
        let tasks = self.tasks().await?;
        // Read after the tasks, so that a task is in stock by then.
        let stock = self.stock().await?;
        let in_stock = |arn: &String| stock.iter().any(|ticket| ticket.task.as_ref() == Some(arn));
        left.extend(
            tasks
                .into_iter()
                .filter(|arn| !in_stock(arn))
                .map(|arn| format!("task {arn}")),
        );
        left.extend(
            self.running()
                .await?
                .into_iter()
                .map(|name| format!("execution {name}")),
        );
        for runner in self.github().await?.runners {
            left.push(format!(
                "runner {} registered at {}",
                runner.name, runner.scope
            ));
        }
        Ok(left)
    }

    /// Waits until nothing is left; returns the rest when the limit expires.
    pub async fn settled(&self, limit: Duration) -> anyhow::Result<Vec<String>> {
        let mut left = Vec::new();
        self.wait(limit, async || {
            left = self.leftovers().await?;
            Ok(left.is_empty().then_some(()))
        })
        .await?;
        Ok(left)
    }

    async fn parameters(&self) -> anyhow::Result<Vec<String>> {
        let path = format!("/{}/runners", self.prefix);
        let input = json!({ "Path": path, "Recursive": true });
        let found = self.aws.ssm("GetParametersByPath", input).await?;
        // The last part of the path protects a parameter, so it is not shown.
        let names = found["Parameters"].as_array().into_iter().flatten();
        Ok(names
            .filter_map(|parameter| parameter["Name"].as_str()?.rsplit_once('/'))
            .map(|(runner, _)| format!("parameter {runner}/…"))
            .collect())
    }

    /// ARNs of the tasks that are not stopped.
    pub async fn tasks(&self) -> anyhow::Result<Vec<String>> {
        let found = self
            .aws
            .ecs("ListTasks", json!({ "cluster": self.cluster }))
            .await?;
        Ok(texts(&found["taskArns"]))
    }

    /// ARNs of the runner tasks that are not stopped.
    pub async fn tasks_of(&self, runner: &str) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for some in self.tasks().await?.chunks(TASKS_DESCRIBED) {
            let input = json!({ "cluster": self.cluster, "tasks": some });
            let answer = self.aws.ecs("DescribeTasks", input).await?;
            let tasks = answer["tasks"].as_array().into_iter().flatten();
            let own = tasks.filter(|task| runner_of(task).as_deref() == Some(runner));
            found.extend(own.filter_map(|task| task["taskArn"].as_str().map(str::to_owned)));
        }
        Ok(found)
    }

    /// Registers a family's newest task definition once more; returns the revision.
    pub async fn register_again(&self, family: &str) -> anyhow::Result<u64> {
        let input = json!({ "taskDefinition": family, "include": ["TAGS"] });
        let found = self.aws.ecs("DescribeTaskDefinition", input).await?;
        let mut definition = found["taskDefinition"].clone();
        let fields = definition
            .as_object_mut()
            .with_context(|| format!("{family} has no task definition"))?;
        // What ECS added.
        for field in [
            "taskDefinitionArn",
            "revision",
            "status",
            "compatibilities",
            "requiresAttributes",
            "registeredAt",
            "registeredBy",
            "deregisteredAt",
        ] {
            fields.remove(field);
        }
        fields.retain(|_, value| !value.is_null());
        fields.insert("tags".to_owned(), found["tags"].clone());
        let registered = self.aws.ecs("RegisterTaskDefinition", definition).await?;
        registered["taskDefinition"]["revision"]
            .as_u64()
            .context("ECS told no revision")
    }

    async fn running(&self) -> anyhow::Result<Vec<String>> {
        let input = json!({ "stateMachineArn": self.machine, "statusFilter": "RUNNING" });
        let found = self.aws.states("ListExecutions", input).await?;
        let executions = found["executions"].as_array().into_iter().flatten();
        Ok(executions
            .filter_map(|execution| execution["name"].as_str().map(str::to_owned))
            .collect())
    }

    /// Whether the job has completed.
    pub async fn is_completed(&self, job: u64) -> anyhow::Result<bool> {
        Ok(self.job(job).await?.status == JobStatus::Completed)
    }
}

/// A task's runner name, from the agent's environment in the overrides.
pub fn runner_of(task: &Value) -> Option<String> {
    let containers = task["overrides"]["containerOverrides"].as_array()?.iter();
    let mut variables = containers
        .filter_map(|container| container["environment"].as_array())
        .flatten();
    let found = variables.find(|variable| variable["name"] == "AGENT_RUNNER")?;
    found["value"].as_str().map(str::to_owned)
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

fn is(error: &anyhow::Error, code: &str) -> bool {
    error
        .downcast_ref::<AwsError>()
        .is_some_and(|error| error.code == code)
}
