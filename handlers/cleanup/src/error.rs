//! Errors of `cleanup`: decisions for the state machine, and faults.

use decisions::{GivenUp, NextAttempt};
use lambda_runtime::Diagnostic;
use protocol::{ExecutionName, Fault};
use serde::Serialize;

/// Why `cleanup` does not return an output.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The job is still queued. The message is the next attempt as JSON.
    #[error("{}", json(.0))]
    StillQueued(Box<NextAttempt>),
    /// The job is given up. The message is the execution's error and cause as JSON.
    #[error("{}", json(.0))]
    GaveUp(Box<GivenUp>),
    /// Rate limited; the message is the delay in seconds.
    #[error("{0}")]
    GitHubRateLimited(u64),
    /// The last execution was still about to end after the last look.
    #[error("{0} or a later execution has asked GitHub and has not ended yet; Lambda retries")]
    Undecided(ExecutionName),
    /// The input cannot be parsed.
    #[error(
        "cleanup cannot parse its input: {0}. Only the state machine, EventBridge and verify may call it"
    )]
    BadInput(#[from] serde_json::Error),
    /// An AWS or GitHub call failed.
    #[error(transparent)]
    Fleet(#[from] fleet::Error),
}

fn json(value: &impl Serialize) -> String {
    // These types have only fields that JSON can represent.
    serde_json::to_string(value).unwrap_or_default()
}

impl From<github::Error> for Error {
    fn from(error: github::Error) -> Self {
        fleet::Error::from(error).into()
    }
}

impl Error {
    /// The fault name for the state machine.
    pub fn fault(&self) -> Fault {
        match self {
            Self::StillQueued(_) | Self::Undecided(_) => Fault::StillQueued,
            Self::GaveUp(_) => Fault::GaveUp,
            Self::GitHubRateLimited(_) => Fault::GitHubRateLimited,
            Self::BadInput(_) => Fault::BadInput,
            Self::Fleet(error) => error.fault(),
        }
    }

    /// Turns a rate limit into an error whose message is bare seconds, for the state machine's Wait
    /// state.
    pub(crate) fn for_the_machine(self) -> Self {
        match &self {
            Self::Fleet(error) => match error.retry_after() {
                Some(after) => {
                    tracing::warn!(
                        seconds = after.as_secs(),
                        "GitHub's rate limit: the state machine waits"
                    );
                    Self::GitHubRateLimited(after.as_secs().max(1))
                }
                None => self,
            },
            _ => self,
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.fault().name().to_owned(),
            error_message: error.to_string(),
        }
    }
}
