//! Why no registration was issued.

use decisions::SlotAwaited;
use lambda_runtime::Diagnostic;
use protocol::{EncodeError, Fault};

/// What `token` throws.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was given cannot be read.
    #[error("token cannot parse its input: {0}. Only the state machine may call it")]
    BadInput(#[from] serde_json::Error),
    /// The state machine passes no match on, so nobody knows what the job counts against.
    #[error(
        "token has caps but no match in its input. Deploy the state machine of the same version"
    )]
    NoMatch,
    /// As many runners as may run at once do. The message is what the job waits for as JSON.
    #[error("{}", serde_json::to_string(.0).unwrap_or_default())]
    NoFreeSlot(Box<SlotAwaited>),
    /// The job needs no runner any more.
    #[error("job {job} is {state} at GitHub, so no runner is launched")]
    JobNotQueued {
        /// The job.
        job: protocol::JobId,
        /// What it is instead.
        state: String,
    },
    /// The job's code may not come from where it does.
    #[error("job {job} is not served: {refusal}")]
    NotAdmitted {
        /// The job.
        job: protocol::JobId,
        /// Why.
        refusal: admission::Refusal,
    },
    /// Rate limited; the message is the delay in seconds, for the state machine.
    #[error("{0}")]
    RateLimited(u64),
    /// GitHub failed or refused.
    #[error(transparent)]
    GitHub(github::Error),
    /// Another runner of that name is running a job.
    #[error(
        "a runner named {name} is registered at {scope} and runs a job; the next attempt uses another name"
    )]
    NameBusy {
        /// The name.
        name: String,
        /// Where it is registered.
        scope: String,
    },
    /// The registration could not be packed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The registration does not fit into a parameter.
    #[error(
        "the runner's registration has {bytes} bytes, but a parameter holds {limit}: use fewer or shorter labels for the job"
    )]
    TooLarge {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// SSM failed or refused.
    #[error("cannot write the runner's registration: {0}")]
    Put(aws::Error),
}

impl Error {
    /// The fault under which the state machine meets it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::BadInput(_) | Self::NoMatch | Self::Encode(_) | Self::TooLarge { .. } => {
                Fault::BadInput
            }
            Self::NoFreeSlot(_) => Fault::NoFreeSlot,
            Self::JobNotQueued { .. } => Fault::JobNotQueued,
            Self::NotAdmitted { .. } => Fault::NotAdmitted,
            Self::RateLimited(_) => Fault::GitHubRateLimited,
            Self::GitHub(error) => error.fault(),
            // The machine answers an outage with a new attempt, and that is what helps here: the
            // attempt's number is part of the name. The runner itself is somebody's and stays.
            Self::NameBusy { .. } => Fault::GitHubUnavailable,
            Self::Put(error) => error.fault(),
        }
    }
}

impl From<github::Error> for Error {
    fn from(error: github::Error) -> Self {
        match error.retry_after() {
            Some(after) => {
                tracing::warn!(%error, "GitHub's rate limit: the state machine waits");
                Self::RateLimited(after.as_secs())
            }
            None => Self::GitHub(error),
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
