//! Why the agent ended before a listener could say anything.

use std::io;
use std::path::PathBuf;

use decisions::AgentExit;

/// Anything that ends the agent without a verdict on a listener.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Settings(#[from] runtime::settings::Error),
    #[error(
        "{} is no executable file; the image is not built from a runner's package, or AGENT_RUNNER_HOME is wrong",
        .0.display()
    )]
    NoProgram(PathBuf),
    #[error("{} could not be started: {error}", .program.display())]
    NotStarted { program: PathBuf, error: io::Error },
    #[error("the agent could not set up its signals: {0}")]
    Signals(io::Error),
    #[error(transparent)]
    Parameter(#[from] crate::parameter::Error),
    #[error("config.sh was refused with exit code {}", .0.map_or_else(|| "unknown".to_owned(), |code| code.to_string()))]
    Refused(Option<i32>),
    #[error("the task was stopped before the listener had started")]
    Stopped,
}

impl Failure {
    /// The exit code that says so.
    pub(crate) fn exit(&self) -> AgentExit {
        match self {
            Self::Settings(_) | Self::NoProgram(_) | Self::NotStarted { .. } | Self::Signals(_) => {
                AgentExit::Misconfigured
            }
            Self::Parameter(_) => AgentExit::RegistrationUnavailable,
            Self::Refused(_) => AgentExit::Refused,
            Self::Stopped => AgentExit::Stopped,
        }
    }
}
