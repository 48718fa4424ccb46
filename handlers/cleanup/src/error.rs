//! What `cleanup` throws: verdicts, and faults.

use decisions::{GivenUp, NextAttempt};
use lambda_runtime::Diagnostic;
use protocol::{ExecutionName, Fault};
use serde::Serialize;

/// Why the execution does not simply end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The job still waits. The message is what the machine goes on with.
    #[error("{}", json(.0))]
    StillQueued(Box<NextAttempt>),
    /// It will not be served. The message is the execution's error and cause.
    #[error("{}", json(.0))]
    GaveUp(Box<GivenUp>),
    /// GitHub wants to be left alone. The message is the seconds to wait.
    #[error("{0}")]
    GitHubRateLimited(u64),
    /// An execution was about to end for longer than this waits.
    #[error("{0} or a later execution has asked GitHub and has not ended yet; Lambda retries")]
    Undecided(ExecutionName),
    /// What was given cannot be read.
    #[error(
        "cleanup cannot parse its input: {0}. Only the state machine, EventBridge and verify may call it"
    )]
    BadInput(#[from] serde_json::Error),
    /// The fleet or GitHub failed.
    #[error(transparent)]
    Fleet(#[from] fleet::Error),
}

fn json(value: &impl Serialize) -> String {
    // These types hold nothing that JSON cannot.
    serde_json::to_string(value).unwrap_or_default()
}

impl From<github::Error> for Error {
    fn from(error: github::Error) -> Self {
        fleet::Error::from(error).into()
    }
}

impl Error {
    /// The fault under which the state machine meets it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::StillQueued(_) | Self::Undecided(_) => Fault::StillQueued,
            Self::GaveUp(_) => Fault::GaveUp,
            Self::GitHubRateLimited(_) => Fault::GitHubRateLimited,
            Self::BadInput(_) => Fault::BadInput,
            Self::Fleet(error) => error.fault(),
        }
    }

    /// A rate limit's message is bare seconds, for the machine's Wait state.
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
