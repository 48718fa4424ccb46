//! The errors of `match`, and the fault name of each.

use decisions::size::SizeRefused;
use lambda_runtime::Diagnostic;
use protocol::{CONTAINER, Fault};

use crate::select::Unmatched;

/// Why no task definition was found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is not an order.
    #[error(
        "the execution's input is not an order ({0}); start it with the input of an execution that \
         `verify` started"
    )]
    Input(#[from] serde_json::Error),
    /// An ECS or SSM call failed.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// No offer has all of the job's labels.
    #[error(transparent)]
    Unmatched(#[from] Unmatched),
    /// The job's labels of this form ask for no size, and no offer has the others.
    #[error(transparent)]
    NoSize(SizeRefused),
    /// The selected offer cannot have the size that the job asks for.
    #[error("task definition {family} would serve the job, but {refused}")]
    SizeRefused {
        family: String,
        refused: SizeRefused,
    },
    /// The selected offer cannot run the agent.
    #[error(
        "task definition {family} would serve the job but has no container `{CONTAINER}`; it has \
         [{}]. Rename the one that runs the agent",
        containers.join(" ")
    )]
    ContainerMissing {
        family: String,
        containers: Vec<String>,
    },
}

impl Error {
    /// The fault name for the state machine.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Input(_) => Fault::BadInput,
            Self::Aws(error) => error.fault(),
            Self::Unmatched(_) => Fault::Unmatched,
            Self::NoSize(_) | Self::SizeRefused { .. } => Fault::SizeRefused,
            Self::ContainerMissing { .. } => Fault::ContainerMissing,
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
