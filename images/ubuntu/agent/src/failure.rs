//! Errors before the listener starts.

use std::io;
use std::path::PathBuf;

use decisions::AgentExit;

/// Ends the agent without a listener's outcome.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Settings(#[from] crate::config::Error),
    #[error(
        "{} is not an executable file: the image lacks the runner package, or AGENT_RUNNER_HOME is wrong",
        .0.display()
    )]
    NoProgram(PathBuf),
    #[error("cannot start {}: {error}", .program.display())]
    NotStarted { program: PathBuf, error: io::Error },
    #[error("cannot install signal handlers: {0}")]
    Signals(io::Error),
    #[error("cannot write the certificate authorities of AGENT_CA_BUNDLE below {}: {error}; give the container a directory for temporary files, or name one in TMPDIR", .directory.display())]
    Authorities {
        directory: PathBuf,
        error: io::Error,
    },
    /// Neither a task role nor keys.
    #[error(transparent)]
    Credentials(runtime::settings::Error),
    #[error(transparent)]
    Parameter(#[from] crate::parameter::Error),
    #[error("config.sh failed with exit code {}; its output above says why", .0.map_or_else(|| "unknown".to_owned(), |code| code.to_string()))]
    Refused(Option<i32>),
    #[error("the task was stopped before the listener started")]
    Stopped,
}

impl Failure {
    pub(crate) fn exit(&self) -> AgentExit {
        match self {
            Self::Settings(_)
            | Self::NoProgram(_)
            | Self::NotStarted { .. }
            | Self::Signals(_)
            | Self::Authorities { .. } => AgentExit::Misconfigured,
            Self::Credentials(_) | Self::Parameter(_) => AgentExit::RegistrationUnavailable,
            Self::Refused(_) => AgentExit::Refused,
            Self::Stopped => AgentExit::Stopped,
        }
    }
}
