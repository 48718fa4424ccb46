//! Executions of the state machine, by their names.

use aws::ErrorKind;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus, HistoryEvent};
pub use decisions::Status;
use decisions::{ExecutionOutput, Failure, Outcome};
use protocol::{ExecutionName, Job, Order};
use time::OffsetDateTime;

use crate::{Error, Fleet};

/// How many executions that ended well are listed, and how many of those are read, to find out whether
/// GitHub gives our runners jobs. In trouble there are few, and without it the first one tells.
const PICK_UPS_LISTED: usize = 200;
const PICK_UPS_READ: usize = 20;

/// An execution as Step Functions describes it.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Its name.
    pub name: ExecutionName,
    /// Where it stands.
    pub status: Status,
    /// Its error's name, where it failed, for people.
    pub error: Option<String>,
    /// What that tells.
    pub failure: Option<Failure>,
    /// Its error's cause, where it failed.
    pub cause: Option<String>,
    /// When it was closed.
    pub ended_at: Option<OffsetDateTime>,
    /// What became of its last attempt, where it ended well.
    pub outcome: Option<Outcome>,
    /// Its input.
    pub order: Order,
}

/// What came of starting an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It runs now.
    New,
    /// One of that name exists, running or closed.
    Already,
}

impl Fleet {
    /// The ARN of an execution.
    pub fn execution_arn(&self, name: &ExecutionName) -> String {
        format!(
            "{}:{name}",
            self.state_machine
                .replacen(":stateMachine:", ":execution:", 1)
        )
    }

    /// Describes an execution; none where there is none of that name.
    pub async fn execution(&self, name: &ExecutionName) -> Result<Option<Execution>, Error> {
        let answer = self
            .sfn
            .describe_execution()
            .execution_arn(self.execution_arn(name))
            .send()
            .await;
        let found = match answer {
            Ok(found) => found,
            Err(error) => {
                let error = aws::Error::new("states:DescribeExecution", name.to_string(), &error);
                return if error.kind() == ErrorKind::NotFound {
                    Ok(None)
                } else {
                    Err(error.into())
                };
            }
        };
        let order = serde_json::from_str(found.input().unwrap_or_default()).map_err(|problem| {
            Error::ForeignInput {
                name: name.to_string(),
                problem: problem.to_string(),
            }
        })?;
        Ok(Some(Execution {
            name: name.clone(),
            status: Status::from_name(found.status().as_str()),
            error: found.error().map(str::to_owned),
            failure: found.error().map(Failure::from_name),
            cause: found.cause().map(str::to_owned),
            ended_at: found
                .stop_date()
                .and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok()),
            // An execution of an older version may say less.
            outcome: found
                .output()
                .and_then(|output| serde_json::from_str::<ExecutionOutput>(output).ok())
                .map(|output| output.outcome),
            order,
        }))
    }

    /// Starts an execution. A name is used once in 90 days, so a second call changes nothing.
    pub async fn start(&self, name: &ExecutionName, order: &Order) -> Result<Started, Error> {
        let input = serde_json::to_string(order).map_err(|problem| Error::ForeignInput {
            name: name.to_string(),
            problem: problem.to_string(),
        })?;
        let answer = self
            .sfn
            .start_execution()
            .state_machine_arn(&self.state_machine)
            .name(name.to_string())
            .input(input)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Started::New),
            Err(error) => {
                let error = aws::Error::new("states:StartExecution", name.to_string(), &error);
                if error.kind() == ErrorKind::AlreadyExists {
                    Ok(Started::Already)
                } else {
                    Err(error.into())
                }
            }
        }
    }

    /// Has a later execution of the same job check, not before `not_before`, whether the job is
    /// still queued, and serve it then. Asking twice is asking once: both name the same execution.
    pub async fn start_check(
        &self,
        after: &ExecutionName,
        order: &Order,
        not_before: Option<OffsetDateTime>,
    ) -> Result<(ExecutionName, Started), Error> {
        let name = after.next()?;
        let order = Order {
            recheck: true,
            not_before,
            ..order.clone()
        };
        let started = self.start(&name, &order).await?;
        Ok((name, started))
    }

    /// Every execution of a job there is, oldest first: `-r2` exists only if the first one does.
    pub async fn executions_of(&self, first: &ExecutionName) -> Result<Vec<Execution>, Error> {
        let mut found = Vec::new();
        let mut name = first.clone();
        while let Some(execution) = self.execution(&name).await? {
            found.push(execution);
            match name.next() {
                Ok(next) => name = next,
                Err(_) => break,
            }
        }
        Ok(found)
    }

    /// The names and starts of executions in one state, newest first, among the `limit` started last.
    /// Executions that others named are left out.
    pub async fn executions_with(
        &self,
        status: Status,
        limit: usize,
    ) -> Result<Vec<(ExecutionName, OffsetDateTime)>, Error> {
        let found = self.list(status, limit, |item| {
            let started = OffsetDateTime::from_unix_timestamp(item.start_date().secs()).ok()?;
            Some((item.name().parse().ok()?, started))
        });
        found.await
    }

    /// The names of executions that ended in one state since an instant, among the `limit` started
    /// last. Executions that others named are left out.
    pub async fn ended_since(
        &self,
        status: Status,
        since: OffsetDateTime,
        limit: usize,
    ) -> Result<Vec<ExecutionName>, Error> {
        let found = self.list(status, limit, |item| {
            let ended = OffsetDateTime::from_unix_timestamp(item.stop_date()?.secs()).ok()?;
            (ended >= since).then(|| item.name().parse().ok())?
        });
        found.await
    }

    /// When, since an instant, a runner of this deployment last ended that had run a job, for an
    /// execution whose job `counts`. Read from the executions that ended well: what they end with is the
    /// only record of it that is kept, and a fixed number of them is looked at. Jobs that still run are
    /// not seen.
    pub async fn last_picked_up(
        &self,
        since: OffsetDateTime,
        counts: impl Fn(&Job) -> bool,
    ) -> Result<Option<OffsetDateTime>, Error> {
        let mut ended: Vec<(OffsetDateTime, ExecutionName)> = self
            .list(Status::Succeeded, PICK_UPS_LISTED, |item| {
                let ended = OffsetDateTime::from_unix_timestamp(item.stop_date()?.secs()).ok()?;
                (ended >= since).then(|| Some((ended, item.name().parse().ok()?)))?
            })
            .await?;
        // They are listed by their starts.
        ended.sort_by(|(a, _), (b, _)| b.cmp(a));
        for (_, name) in ended.into_iter().take(PICK_UPS_READ) {
            let Some(execution) = self.execution(&name).await? else {
                continue;
            };
            let ran = execution.outcome.is_some_and(Outcome::had_job);
            if ran && counts(&execution.order.job) {
                return Ok(execution.ended_at);
            }
        }
        Ok(None)
    }

    async fn list<T>(
        &self,
        status: Status,
        limit: usize,
        read: impl Fn(&ExecutionListItem) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let mut pages = self
            .sfn
            .list_executions()
            .state_machine_arn(&self.state_machine)
            .status_filter(ExecutionStatus::from(status.name()))
            .max_results(1_000)
            .into_paginator()
            .items()
            .send();
        let mut found = Vec::new();
        for _ in 0..limit {
            let Some(item) = pages.next().await else {
                break;
            };
            let item = item
                .map_err(|error| aws::Error::new("states:ListExecutions", status.name(), &error))?;
            found.extend(read(&item));
        }
        Ok(found)
    }

    /// Stops an execution that has no task. One that has must never be stopped this way: Step
    /// Functions would stop the task with it, busy or not.
    pub async fn stop_execution(
        &self,
        name: &ExecutionName,
        error: &str,
        cause: &str,
    ) -> Result<(), Error> {
        let answer = self
            .sfn
            .stop_execution()
            .execution_arn(self.execution_arn(name))
            .error(error)
            .cause(cause)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = aws::Error::new("states:StopExecution", name.to_string(), &error);
                if error.kind() == ErrorKind::NotFound {
                    Ok(())
                } else {
                    Err(error.into())
                }
            }
        }
    }

    /// One page of an execution's history, newest event first.
    pub(crate) async fn history_page(
        &self,
        name: &ExecutionName,
        token: Option<String>,
    ) -> Result<(Vec<HistoryEvent>, Option<String>), Error> {
        let page = self
            .sfn
            .get_execution_history()
            .execution_arn(self.execution_arn(name))
            .reverse_order(true)
            .max_results(100)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| {
                aws::Error::new("states:GetExecutionHistory", name.to_string(), &error)
            })?;
        let next = page.next_token().map(str::to_owned);
        Ok((page.events, next))
    }
}
