//! Errors of reading the credentials.

use crate::{KeyError, SourceError};
use protocol::Fault;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Settings(#[from] runtime::settings::Error),
    #[error("{0}")]
    Client(String),
    #[error("cannot read the GitHub App's credentials: {0}")]
    Read(aws::Error),
    #[error(
        "SSM parameter {0} is missing or empty: run `fargate-runners setup`, which writes it as a SecureString"
    )]
    Missing(String),
    /// The value is not an App id or private key.
    #[error("{error} (in SSM: {app_id}, {private_key})")]
    Key {
        app_id: String,
        private_key: String,
        error: KeyError,
    },
}

impl Error {
    /// The fault name for the state machine.
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
