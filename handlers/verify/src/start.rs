//! Starting a job's execution.
//!
//! An execution is named after its job, and Step Functions takes a name once in 90 days. So a
//! repeated delivery meets the execution that exists:
//!
//! ```text
//! StartExecution hello-4242 ──▶ started
//!           └ exists: at work ─▶ nothing to do
//!           └ exists: closed ──▶ StartExecution hello-4242-r2, which asks GitHub first ──▶ …
//! ```

use std::fmt;
use std::str::FromStr;

use aws::ErrorKind;
use aws_sdk_sfn::Client;
use decisions::{OnQueued, Status, on_queued};
use protocol::{ExecutionName, Fault, Order};

/// The ARN of a state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateMachine(String);

/// Text that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a state machine's ARN (arn:aws:states:REGION:ACCOUNT:stateMachine:NAME)")]
pub struct NotAStateMachine;

impl FromStr for StateMachine {
    type Err = NotAStateMachine;

    fn from_str(arn: &str) -> Result<Self, Self::Err> {
        match arn.split(':').collect::<Vec<_>>()[..] {
            ["arn", _, "states", _, _, "stateMachine", name] if !name.is_empty() => {
                Ok(Self(arn.to_owned()))
            }
            _ => Err(NotAStateMachine),
        }
    }
}

impl fmt::Display for StateMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StateMachine {
    /// The ARN of one of its executions.
    fn execution(&self, name: &ExecutionName) -> String {
        let executions = self.0.replacen(":stateMachine:", ":execution:", 1);
        format!("{executions}:{name}")
    }
}

/// What came of starting a job's execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// It works now.
    New(ExecutionName),
    /// It was at work already.
    Already(ExecutionName),
}

/// Why no execution works for a job.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Step Functions did not take it.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// Step Functions did not take it in time.
    #[error("Step Functions did not take the execution in time")]
    Late,
    /// The job had all the executions that one job may have.
    #[error(transparent)]
    Spent(#[from] protocol::NameError),
    /// The order could not be written as JSON.
    #[error("the order could not be written as JSON: {0}")]
    Order(#[from] serde_json::Error),
}

impl StartError {
    /// What it means for the job.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Aws(error) => error.fault(),
            Self::Late => Fault::Throttled,
            Self::Spent(_) => Fault::GaveUp,
            Self::Order(_) => Fault::BadInput,
        }
    }
}

/// Has an execution work for the order's job.
pub async fn start(
    sfn: &Client,
    machine: &StateMachine,
    order: &Order,
) -> Result<Started, StartError> {
    let old = order.recheck;
    let mut order = order.clone();
    let mut name = ExecutionName::first(&order.job.repository, order.job.id);
    let mut latest = None;
    loop {
        match on_queued(latest, old) {
            OnQueued::Watch => return Ok(Started::Already(name)),
            OnQueued::Start { recheck } => order.recheck = recheck,
            // The job had its execution. Most likely this is an old delivery come again, so GitHub is
            // asked before anything is launched.
            OnQueued::Follow => {
                order.recheck = true;
                name = name.next()?;
            }
        }
        if create(sfn, machine, &name, &order).await? {
            return Ok(Started::New(name));
        }
        latest = Some(status(sfn, machine, &name).await?);
    }
}

/// Starts an execution; false where there is one of that name. Where it runs with the very same
/// input, AWS answers as if it had been started now.
async fn create(
    sfn: &Client,
    machine: &StateMachine,
    name: &ExecutionName,
    order: &Order,
) -> Result<bool, StartError> {
    let answer = sfn
        .start_execution()
        .state_machine_arn(&machine.0)
        .name(name.to_string())
        .input(serde_json::to_string(order)?)
        .send()
        .await;
    match answer {
        Ok(_) => Ok(true),
        Err(error) => {
            let error = aws::Error::new("states:StartExecution", name.to_string(), &error);
            if error.kind() == ErrorKind::AlreadyExists {
                Ok(false)
            } else {
                Err(error.into())
            }
        }
    }
}

/// Where an execution that exists stands.
async fn status(
    sfn: &Client,
    machine: &StateMachine,
    name: &ExecutionName,
) -> Result<Status, StartError> {
    let answer = sfn
        .describe_execution()
        .execution_arn(machine.execution(name))
        .send()
        .await;
    match answer {
        Ok(execution) => Ok(Status::from_name(execution.status().as_str())),
        Err(error) => {
            let error = aws::Error::new("states:DescribeExecution", name.to_string(), &error);
            // Descriptions are eventually consistent: this one was started a moment ago.
            if error.kind() == ErrorKind::NotFound {
                Ok(Status::Running)
            } else {
                Err(error.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_lies_under_its_machine() {
        let machine: StateMachine = "arn:aws:states:eu-west-1:123456789012:stateMachine:runner"
            .parse()
            .unwrap();
        assert_eq!(
            machine.execution(&"hello-4242-r2".parse().unwrap()),
            "arn:aws:states:eu-west-1:123456789012:execution:runner:hello-4242-r2"
        );
    }

    #[test]
    fn other_arns_are_refused() {
        for arn in [
            "",
            "runner",
            "arn:aws:states:eu-west-1:123456789012:stateMachine:",
            "arn:aws:states:eu-west-1:123456789012:execution:runner:x",
            "arn:aws:states:eu-west-1:123456789012:stateMachine:runner:1",
            "arn:aws:lambda:eu-west-1:123456789012:function:runner",
        ] {
            assert!(arn.parse::<StateMachine>().is_err(), "{arn}");
        }
    }
}
