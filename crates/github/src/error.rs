//! Errors of calls to GitHub.

use std::time::Duration;

use protocol::Fault;

use crate::SourceError;

/// A failed call. `call` is method and path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "GitHub rate limited {call}; retry in {} s",
        retry_after.as_secs()
    )]
    RateLimited {
        call: String,
        /// Whole seconds, at least one and at most an hour.
        retry_after: Duration,
    },
    /// No response, a 5xx, or a response that cannot be used.
    #[error("{call} got no usable response from GitHub: {reason}")]
    Unavailable { call: String, reason: String },
    /// TLS failed: a wrong or missing bundle, or a server that is not GitHub.
    #[error(
        "{call} was not sent, because nobody that is trusted here certifies the server: give the authorities of your GitHub, or of the proxy before it, as caBundle (CA_BUNDLE) ({reason})"
    )]
    Untrusted { call: String, reason: String },
    #[error("the GitHub App is not installed on {target}: install it at {hint}")]
    AppNotInstalled {
        /// The repository, organization or installation.
        target: String,
        /// URL of the installation page.
        hint: String,
    },
    #[error(
        "GitHub rejects the App's id and private key ({call}: {message}): check that both belong to the same App, that the key was not deleted in its settings, and that GITHUB_API_URL is the App's GitHub"
    )]
    KeyRefused {
        call: String,
        /// GitHub's message.
        message: String,
    },
    #[error("GitHub rejected {call} with {status}: {message}{advice}")]
    Refused {
        call: String,
        status: u16,
        /// GitHub's message.
        message: String,
        /// What to change, with its leading separator; can be empty.
        advice: String,
    },
    #[error("a runner named {name} is already registered at {scope}")]
    NameTaken { name: String, scope: String },
    #[error(
        "organization {organization} has no runner group {group:?} (it has: {}): create the group, or set RUNNER_GROUP to one of these",
        existing.join(", ")
    )]
    RunnerGroupMissing {
        group: String,
        organization: String,
        existing: Vec<String>,
    },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("cannot create a GitHub client: {0}")]
    Client(String),
}

impl Error {
    /// The fault name for the state machine.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::RateLimited { .. } => Fault::GitHubRateLimited,
            // A taken name is transient: the next attempt uses another name.
            Self::Unavailable { .. } | Self::NameTaken { .. } => Fault::GitHubUnavailable,
            Self::AppNotInstalled { .. } => Fault::AppNotInstalled,
            Self::KeyRefused { .. } => Fault::AppKeyInvalid,
            Self::Refused { .. } => Fault::GitHubRefused,
            Self::RunnerGroupMissing { .. } => Fault::RunnerGroupMissing,
            Self::Source(error) => error.fault,
            Self::Client(_) | Self::Untrusted { .. } => Fault::BadConfiguration,
        }
    }

    /// The delay that GitHub's rate limit requires.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The HTTP status of a rejected call.
    pub const fn refused_status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}
