//! Why there are no credentials.

use crate::{KeyError, SourceError};
use protocol::Fault;

/// Credentials that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment is wrong.
    #[error(transparent)]
    Settings(#[from] runtime::settings::Error),
    /// No client could be made.
    #[error("{0}")]
    Client(String),
    /// SSM did not answer, or refused.
    #[error("the GitHub App's credentials could not be read: {0}")]
    Read(aws::Error),
    /// A parameter is missing or empty.
    #[error(
        "parameter {0} is missing or empty in SSM; write it as a SecureString (README, \"The GitHub App\")"
    )]
    Missing(String),
    /// What lies there is no App id or no key.
    #[error("{error} (in SSM: {app_id}, {private_key})")]
    Key {
        /// The parameter that holds the id.
        app_id: String,
        /// The parameter that holds the key.
        private_key: String,
        /// What is wrong.
        error: KeyError,
    },
}

impl Error {
    /// The name under which the state machine meets it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Settings(_) | Self::Client(_) => Fault::BadConfiguration,
            Self::Read(error) => error.fault(),
            Self::Missing(_) => Fault::SecretMissing,
            Self::Key { error, .. } => error.fault(),
        }
    }
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        Self {
            fault: error.fault(),
            message: error.to_string(),
        }
    }
}
