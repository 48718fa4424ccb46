//! Step Functions: the executions of one state machine, by name.
//!
//! The only client of Step Functions. It does not depend on GitHub, so that `verify`, the public
//! endpoint, can use it.

mod machine;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
pub use aws_sdk_sfn::types as history;
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use decisions::Status;
use protocol::{ExecutionName, JobId, Order};
use time::OffsetDateTime;

use crate::{Error, ErrorKind, Late, SdkConfig};

pub use machine::{NotAStateMachine, StateMachineArn};

/// Result of starting an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    New,
    /// An execution of that name exists, running or closed.
    Already,
}

/// Result of telling a waiting state that its task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Done,
    /// The state does not wait any more, or not with this token.
    Gone,
}

/// An execution from `DescribeExecution`.
#[derive(Clone, Debug)]
pub struct Described {
    pub status: Status,
    pub input: String,
    /// Only if it succeeded.
    pub output: Option<String>,
    /// Only if it failed or was aborted.
    pub error: Option<String>,
    pub cause: Option<String>,
    pub started_at: Option<OffsetDateTime>,
    pub ended_at: Option<OffsetDateTime>,
}

/// An execution from `ListExecutions`.
#[derive(Clone, Debug)]
pub struct Listed {
    pub name: ExecutionName,
    pub started_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
}

/// The executions of one state machine.
#[derive(Clone, Debug)]
pub struct Executions {
    client: Late<Client>,
    machine: StateMachineArn,
}

impl Executions {
    pub fn new(config: &SdkConfig, machine: StateMachineArn) -> Self {
        let client = Late::new(config, Client::new);
        Self { client, machine }
    }

    /// Makes the client now, not for the first call.
    pub fn prepare(&self) {
        self.client.make();
    }

    /// Uses an existing client, such as a test's.
    pub fn over(client: Client, machine: StateMachineArn) -> Self {
        let client = client.into();
        Self { client, machine }
    }

    /// The ARN of an execution.
    pub fn arn(&self, name: &ExecutionName) -> String {
        self.machine.execution(name)
    }

    /// Starts an execution. Step Functions reserves a name for 90 days, so a second call changes
    /// nothing. If the execution runs with the same input, AWS responds as if it had just started.
    pub async fn start(&self, name: &ExecutionName, order: &Order) -> Result<Started, Error> {
        const CALL: &str = "states:StartExecution";
        let input = serde_json::to_string(order).map_err(|problem| {
            let problem = format!("cannot serialize the order: {problem}");
            Error::not_sent(CALL, name.to_string(), problem)
        })?;
        let answer = self
            .client
            .start_execution()
            .state_machine_arn(self.machine.to_string())
            .name(name.to_string())
            .input(input)
            .send()
            .await;
        match answer.map_err(|error| Error::new(CALL, name.to_string(), &error)) {
            Ok(_) => Ok(Started::New),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Started::Already),
            Err(error) => Err(error),
        }
    }

    /// Describes an execution; `None` if it does not exist. Descriptions are eventually consistent:
    /// a new execution may not be found yet.
    pub async fn describe(&self, name: &ExecutionName) -> Result<Option<Described>, Error> {
        let answer = self
            .client
            .describe_execution()
            .execution_arn(self.arn(name))
            .send()
            .await;
        match answer
            .map_err(|error| Error::new("states:DescribeExecution", name.to_string(), &error))
        {
            Ok(found) => Ok(Some(Described {
                status: Status::from_name(found.status.as_str()),
                started_at: instant(&found.start_date),
                ended_at: found.stop_date.as_ref().and_then(instant),
                input: found.input.unwrap_or_default(),
                output: found.output,
                error: found.error,
                cause: found.cause,
            })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists executions with one status, newest first, among the `limit` started last. Skips
    /// executions whose names have another form, which others started.
    pub async fn list(&self, status: Status, limit: usize) -> Result<Vec<Listed>, Error> {
        let mut pages = self
            .client
            .list_executions()
            .state_machine_arn(self.machine.to_string())
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
            let item =
                item.map_err(|error| Error::new("states:ListExecutions", status.name(), &error))?;
            if let (Ok(name), Some(started_at)) = (item.name.parse(), instant(&item.start_date)) {
                let ended_at = item.stop_date.as_ref().and_then(instant);
                found.push(Listed {
                    name,
                    started_at,
                    ended_at,
                });
            }
        }
        Ok(found)
    }

    /// Lists the executions that started last, whatever their status, newest first, in one call. Skips
    /// executions whose names have another form, which others started.
    pub async fn newest(&self, limit: u16) -> Result<Vec<(Listed, Status)>, Error> {
        let page = self
            .client
            .list_executions()
            .state_machine_arn(self.machine.to_string())
            .max_results(i32::from(limit.clamp(1, 1_000)))
            .send()
            .await
            .map_err(|error| Error::new("states:ListExecutions", "newest", &error))?;
        let listed = page.executions.into_iter().filter_map(|item| {
            let status = Status::from_name(item.status.as_str());
            let listed = Listed {
                name: item.name.parse().ok()?,
                started_at: instant(&item.start_date)?,
                ended_at: item.stop_date.as_ref().and_then(instant),
            };
            Some((listed, status))
        });
        Ok(listed.collect())
    }

    /// The names of a job's executions among the thousand started last, in one call. For whoever knows
    /// nothing but the job's id.
    pub async fn named_after(&self, job: JobId) -> Result<Vec<ExecutionName>, Error> {
        let page = self
            .client
            .list_executions()
            .state_machine_arn(self.machine.to_string())
            .max_results(1_000)
            .send()
            .await
            .map_err(|error| Error::new("states:ListExecutions", job.to_string(), &error))?;
        let names = page.executions.into_iter();
        let mut names: Vec<ExecutionName> = names
            .filter_map(|item| item.name.parse().ok())
            .filter(|name: &ExecutionName| name.job() == job)
            .collect();
        names.sort_by_key(ExecutionName::restart);
        Ok(names)
    }

    /// One page of an execution's history, newest event first, and the token of the next page.
    pub async fn history(
        &self,
        name: &ExecutionName,
        token: Option<String>,
    ) -> Result<(Vec<HistoryEvent>, Option<String>), Error> {
        let page = self
            .client
            .get_execution_history()
            .execution_arn(self.arn(name))
            .reverse_order(true)
            .max_results(100)
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| Error::new("states:GetExecutionHistory", name.to_string(), &error))?;
        Ok((page.events, page.next_token))
    }

    /// Ends a state that waits with this token, as a success.
    pub async fn send_success(
        &self,
        token: &str,
        output: &serde_json::Value,
    ) -> Result<Told, Error> {
        let success = self.client.send_task_success().task_token(token);
        let answer = success.output(output.to_string()).send().await;
        told("states:SendTaskSuccess", answer, |refused| {
            refused.is_task_does_not_exist()
                || refused.is_task_timed_out()
                || refused.is_invalid_token()
        })
    }

    /// Ends a state that waits with this token, with an error.
    pub async fn send_failure(&self, token: &str, error: &str, cause: &str) -> Result<Told, Error> {
        let failure = self.client.send_task_failure().task_token(token);
        let answer = failure.error(error).cause(cause).send().await;
        told("states:SendTaskFailure", answer, |refused| {
            refused.is_task_does_not_exist()
                || refused.is_task_timed_out()
                || refused.is_invalid_token()
        })
    }

    /// Stops an execution that has no task; a missing execution counts as stopped. Never call it
    /// for an execution with a task: Step Functions would stop the task too, busy or not.
    pub async fn stop(&self, name: &ExecutionName, error: &str, cause: &str) -> Result<(), Error> {
        let answer = self
            .client
            .stop_execution()
            .execution_arn(self.arn(name))
            .error(error)
            .cause(cause)
            .send()
            .await;
        match answer.map_err(|error| Error::new("states:StopExecution", name.to_string(), &error)) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn instant(at: &aws_sdk_sfn::primitives::DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.secs()).ok()
}

/// Result of telling a waiting state. A refusal of the token says that nothing waits with it any more.
fn told<T, E: ProvideErrorMetadata>(
    call: &'static str,
    answer: Result<T, SdkError<E>>,
    refuses_token: impl Fn(&E) -> bool,
) -> Result<Told, Error> {
    match answer {
        Ok(_) => Ok(Told::Done),
        Err(error) if error.as_service_error().is_some_and(refuses_token) => Ok(Told::Gone),
        Err(error) => Err(Error::new(call, "a task token", &error)),
    }
}
