//! Tasks, found by the runner they run.

use aws::Kind;
use aws_sdk_ecs::types::{DesiredStatus, TaskField};
use job::{Repository, RunnerName};
use time::OffsetDateTime;

use crate::{Error, Fleet};

/// How many tasks ECS describes at once.
const DESCRIBE_LIMIT: usize = 100;

/// A task of this deployment that was not stopped yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningTask {
    /// Its ARN.
    pub arn: String,
    /// The runner it runs.
    pub runner: RunnerName,
    /// The repository of the job it was launched for, from its tags.
    pub repository: Option<Repository>,
    /// When RunTask made it.
    pub created_at: OffsetDateTime,
    /// When its containers started; absent while it is still being prepared.
    pub started_at: Option<OffsetDateTime>,
}

impl Fleet {
    /// The ARNs of the tasks that run `runner`: one, unless RunTask was answered twice.
    pub async fn tasks_of(&self, runner: &RunnerName) -> Result<Vec<String>, Error> {
        let answer = self
            .ecs
            .list_tasks()
            .cluster(&self.cluster)
            .started_by(runner.to_string())
            .desired_status(DesiredStatus::Running)
            .send()
            .await
            .map_err(|error| aws::Error::new("ecs:ListTasks", runner.to_string(), &error))?;
        Ok(answer.task_arns.unwrap_or_default())
    }

    /// Stops the tasks of a runner. Only for a runner that GitHub has let go.
    pub async fn stop_tasks_of(&self, runner: &RunnerName, reason: &str) -> Result<usize, Error> {
        let tasks = self.tasks_of(runner).await?;
        for arn in &tasks {
            self.stop_task(arn, reason).await?;
        }
        Ok(tasks.len())
    }

    /// Stops one task. Only where GitHub has let its runner go.
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
                if error.kind() == Kind::NotFound {
                    Ok(())
                } else {
                    Err(error.into())
                }
            }
        }
    }

    /// Every task of this deployment that was not stopped yet.
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
        let mut found = Vec::new();
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
            found.extend(answer.tasks().iter().filter_map(|task| {
                let instant = |at: &aws_sdk_ecs::primitives::DateTime| {
                    OffsetDateTime::from_unix_timestamp(at.secs()).ok()
                };
                // Tasks of others in the cluster carry another `startedBy`.
                let runner: RunnerName = task.started_by()?.parse().ok()?;
                (*runner.deployment() == self.deployment).then_some(RunningTask {
                    arn: task.task_arn()?.to_owned(),
                    runner,
                    repository: task
                        .tags()
                        .iter()
                        .find(|tag| tag.key() == Some(job::REPOSITORY_TAG))
                        .and_then(|tag| tag.value()?.parse().ok()),
                    created_at: instant(task.created_at()?)?,
                    started_at: task.started_at().and_then(instant),
                })
            }));
        }
        Ok(found)
    }
}
