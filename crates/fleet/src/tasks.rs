//! Finds tasks by their runner.

use std::str::FromStr;

use aws::ErrorKind;
use aws_sdk_ecs::operation::describe_tasks::DescribeTasksOutput;
use aws_sdk_ecs::types::{DesiredStatus, Task, TaskField};
use pool::TicketKey;
use protocol::{BellKey, Repository, RunnerName};
use time::OffsetDateTime;

use crate::history::Submitted;
use crate::{Error, Fleet};

/// Maximum number of tasks in one `DescribeTasks` call.
const DESCRIBE_LIMIT: usize = 100;

/// A task of this deployment that is not stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningTask {
    pub arn: String,
    pub runner: RunnerName,
    /// The repository of its job.
    pub repository: Option<Repository>,
    /// When RunTask created it.
    pub created_at: OffsetDateTime,
    /// When its containers started; `None` while it is being prepared.
    pub started_at: Option<OffsetDateTime>,
}

/// A task of the stock's group that is not stopped: in stock, adopted, or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmTask {
    pub arn: String,
    pub bell: BellKey,
    /// Its ticket, which may be gone.
    pub ticket: TicketKey,
    pub created_at: OffsetDateTime,
    /// Whether it has a runner's tag.
    pub has_runner: bool,
}

/// The tasks of this deployment that are not stopped. An adopted warm task is in both lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunningTasks {
    pub runners: Vec<RunningTask>,
    pub warm: Vec<WarmTask>,
}

impl Fleet {
    /// The ARNs of the tasks of `runner` that have not ended: one, unless RunTask succeeded twice.
    ///
    /// They come from the history of the runner's execution, which has RunTask's result. Only if
    /// the history ends between call and result, all tasks of the cluster are searched: the task
    /// exists by then, and nothing else names it. `startedBy` does not help, because Step Functions
    /// writes its own name there (recorded on AWS, 2024-02-23).
    pub async fn tasks_of(&self, runner: &RunnerName) -> Result<Vec<String>, Error> {
        match self.submitted(runner).await? {
            Submitted::Tasks(arns) => Ok(arns),
            Submitted::Unsure => {
                let running = self.running_tasks().await?.runners.into_iter();
                let own = running.filter(|task| task.runner == *runner);
                Ok(own.map(|task| task.arn).collect())
            }
        }
    }

    /// Stops the tasks of a runner. Only after GitHub has deleted the runner.
    pub async fn stop_tasks_of(&self, runner: &RunnerName, reason: &str) -> Result<usize, Error> {
        let tasks = self.tasks_of(runner).await?;
        for arn in &tasks {
            self.stop_task(arn, reason).await?;
        }
        Ok(tasks.len())
    }

    /// Stops one task. Only after GitHub has deleted its runner.
    pub async fn stop_task(&self, arn: &str, reason: &str) -> Result<(), Error> {
        match self
            .ecs
            .stop_task()
            .cluster(&self.cluster)
            .task(arn)
            .reason(reason)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = aws::Error::new("ecs:StopTask", arn, &error);
                if error.kind() == ErrorKind::NotFound {
                    Ok(())
                } else {
                    Err(error.into())
                }
            }
        }
    }

    /// All tasks of this deployment that are not stopped.
    pub async fn running_tasks(&self) -> Result<RunningTasks, Error> {
        let mut arns = Vec::new();
        let mut pages = self
            .ecs
            .list_tasks()
            .cluster(&self.cluster)
            .desired_status(DesiredStatus::Running)
            .into_paginator()
            .items()
            .send();
        while let Some(arn) = pages.next().await {
            arns.push(
                arn.map_err(|error| {
                    aws::Error::new("ecs:ListTasks", self.cluster.clone(), &error)
                })?,
            );
        }
        let (mut found, missing) = self.describe(&arns).await?;
        // ECS may list a task before it can describe it; a second look usually finds it.
        // https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
        let (late, missing) = self.describe(&missing).await?;
        found.runners.extend(late.runners);
        found.warm.extend(late.warm);
        if !missing.is_empty() {
            tracing::warn!(tasks = ?missing, "skipping tasks that ECS lists but cannot describe yet");
        }
        Ok(found)
    }

    /// One `DescribeTasks` call with tags, for up to [`DESCRIBE_LIMIT`] tasks.
    pub(crate) async fn ask_ecs(&self, arns: &[String]) -> Result<DescribeTasksOutput, Error> {
        let described = self.ecs.describe_tasks().cluster(&self.cluster);
        let described = described.set_tasks(Some(arns.to_vec()));
        let answer = described.include(TaskField::Tags).send().await;
        let failed = |error| aws::Error::new("ecs:DescribeTasks", self.cluster.clone(), &error);
        Ok(answer.map_err(failed)?)
    }

    /// Describes tasks; returns those of this deployment, and the ARNs that ECS does not know yet.
    async fn describe(&self, arns: &[String]) -> Result<(RunningTasks, Vec<String>), Error> {
        let (mut found, mut missing) = (RunningTasks::default(), Vec::new());
        let warm_group = placement::warm_group(&self.deployment);
        for some in arns.chunks(DESCRIBE_LIMIT) {
            let answer = self.ask_ecs(some).await?;
            let failures = answer.failures().iter();
            missing.extend(failures.filter_map(|failure| failure.arn().map(str::to_owned)));
            let tasks = answer.tasks().iter().filter_map(running);
            let own = tasks.filter(|task| *task.runner.deployment() == self.deployment);
            found.runners.extend(own);
            let stock = answer.tasks().iter();
            let stock = stock.filter(|task| task.group() == Some(&warm_group));
            found.warm.extend(stock.filter_map(warm));
        }
        Ok((found, missing))
    }
}

pub(crate) fn instant(at: &aws_sdk_ecs::primitives::DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(at.as_nanos()).ok()
}

/// Parses a task of the stock's group.
fn warm(task: &Task) -> Option<WarmTask> {
    Some(WarmTask {
        arn: task.task_arn()?.to_owned(),
        bell: variable(task, protocol::bell::AGENT_BELL)?.parse().ok()?,
        ticket: variable(task, protocol::bell::AGENT_TICKET)?.parse().ok()?,
        created_at: instant(task.created_at()?)?,
        has_runner: tag(task, protocol::RUNNER_TAG).is_some(),
    })
}

/// Parses a task; `None` without a runner. A task of the stock has none until it is claimed.
fn running(task: &Task) -> Option<RunningTask> {
    Some(RunningTask {
        arn: task.task_arn()?.to_owned(),
        runner: told(task, "AGENT_RUNNER", protocol::RUNNER_TAG)?,
        repository: told(task, "AGENT_REPOSITORY", protocol::REPOSITORY_TAG),
        created_at: instant(task.created_at()?)?,
        started_at: task.started_at().and_then(instant),
    })
}

/// A value from the agent's environment in the task's overrides, or from its tag.
pub(crate) fn told<T: FromStr>(task: &Task, name: &str, key: &str) -> Option<T> {
    let parse = |text: &str| text.parse().ok();
    variable(task, name)
        .and_then(parse)
        .or_else(|| tag(task, key).and_then(parse))
}

/// A variable of the agent from RunTask.
fn variable<'a>(task: &'a Task, name: &str) -> Option<&'a str> {
    let containers = task.overrides()?.container_overrides().iter();
    let agent = containers.filter(|container| container.name() == Some(protocol::CONTAINER));
    let mut variables = agent.flat_map(aws_sdk_ecs::types::ContainerOverride::environment);
    variables.find(|found| found.name() == Some(name))?.value()
}

fn tag<'a>(task: &'a Task, key: &str) -> Option<&'a str> {
    let tagged = task.tags().iter().find(|found| found.key() == Some(key))?;
    tagged.value()
}
