//! Finds tasks by their runner.

use std::str::FromStr;

use aws::ErrorKind;
use aws_sdk_ecs::types::{DesiredStatus, Task, TaskField};
use protocol::{Repository, RunnerName};
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
                let running = self.running_tasks().await?.into_iter();
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
    pub async fn running_tasks(&self) -> Result<Vec<RunningTask>, Error> {
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
        found.extend(late);
        if !missing.is_empty() {
            tracing::warn!(tasks = ?missing, "skipping tasks that ECS lists but cannot describe yet");
        }
        Ok(found)
    }

    /// Describes tasks; returns those of this deployment, and the ARNs that ECS does not know yet.
    async fn describe(&self, arns: &[String]) -> Result<(Vec<RunningTask>, Vec<String>), Error> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for some in arns.chunks(DESCRIBE_LIMIT) {
            let answer = self
                .ecs
                .describe_tasks()
                .cluster(&self.cluster)
                .set_tasks(Some(some.to_vec()))
                .include(TaskField::Tags)
                .send()
                .await
                .map_err(|error| {
                    aws::Error::new("ecs:DescribeTasks", self.cluster.clone(), &error)
                })?;
            let failures = answer.failures().iter();
            missing.extend(failures.filter_map(|failure| failure.arn().map(str::to_owned)));
            let tasks = answer.tasks().iter().filter_map(running);
            found.extend(tasks.filter(|task| *task.runner.deployment() == self.deployment));
        }
        Ok((found, missing))
    }
}

/// Parses a task; `None` without a runner of this deployment.
fn running(task: &Task) -> Option<RunningTask> {
    let instant = |at: &aws_sdk_ecs::primitives::DateTime| {
        OffsetDateTime::from_unix_timestamp(at.secs()).ok()
    };
    Some(RunningTask {
        arn: task.task_arn()?.to_owned(),
        runner: told(task, "AGENT_RUNNER", protocol::RUNNER_TAG)?,
        repository: told(task, "AGENT_REPOSITORY", protocol::REPOSITORY_TAG),
        created_at: instant(task.created_at()?)?,
        started_at: task.started_at().and_then(instant),
    })
}

/// A value from the agent's environment in the task's overrides, or from its tag.
fn told<T: FromStr>(task: &Task, variable: &str, tag: &str) -> Option<T> {
    let overridden = task.overrides().and_then(|overrides| {
        let containers = overrides.container_overrides().iter();
        let agent = containers.filter(|container| container.name() == Some(protocol::CONTAINER));
        let mut variables = agent.flat_map(aws_sdk_ecs::types::ContainerOverride::environment);
        let found = variables.find(|found| found.name() == Some(variable))?;
        found.value()?.parse().ok()
    });
    overridden.or_else(|| {
        let tagged = task.tags().iter().find(|found| found.key() == Some(tag))?;
        tagged.value()?.parse().ok()
    })
}
