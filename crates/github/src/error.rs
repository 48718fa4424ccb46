//! What can go wrong between us and GitHub.

use std::time::Duration;

use protocol::Fault;

use crate::SourceError;

/// A failed call, as GitHub's documentation sorts them. `call` is method and path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Refused for its rate.
    #[error(
        "{call} was refused for GitHub's rate limit; it may be tried again in {} s",
        retry_after.as_secs()
    )]
    RateLimited {
        /// What was tried.
        call: String,
        /// Whole seconds, at least one and at most an hour.
        retry_after: Duration,
    },
    /// No answer, an error on GitHub's side, or an answer that makes no sense.
    #[error("{call} got no usable answer: {reason}")]
    Unavailable {
        /// What was tried.
        call: String,
        /// What came instead of an answer.
        reason: String,
    },
    /// The App has no installation there.
    #[error("the GitHub App is not installed on {target}: install it at {hint}")]
    AppNotInstalled {
        /// The repository, organization or installation.
        target: String,
        /// Where to install it.
        hint: String,
    },
    /// GitHub does not know the App by this id and key.
    #[error(
        "GitHub does not accept the App's id and private key ({call}: {message}): check that both are of the same App, that the key was not deleted in its settings, and that this App belongs to the GitHub in GITHUB_API_URL"
    )]
    KeyRefused {
        /// What was tried.
        call: String,
        /// GitHub's words.
        message: String,
    },
    /// GitHub denies the call.
    #[error("GitHub refused {call} with {status}: {message}{advice}")]
    Refused {
        /// What was tried.
        call: String,
        /// The HTTP status.
        status: u16,
        /// GitHub's words.
        message: String,
        /// What to change; empty, or a sentence with what separates it from the words before.
        advice: String,
    },
    /// A runner of that name is registered already.
    #[error("a runner named {name} is already registered at {scope}")]
    NameTaken {
        /// The runner's name.
        name: String,
        /// Where.
        scope: String,
    },
    /// The organization has no runner group of that name.
    #[error(
        "organization {organization} has no runner group named {group:?} (it has: {}); create it, or set RUNNER_GROUP to one of these",
        existing.join(", ")
    )]
    RunnerGroupMissing {
        /// The name that was looked for.
        group: String,
        /// Where it was looked for.
        organization: String,
        /// The groups that are there.
        existing: Vec<String>,
    },
    /// The App's credentials could not be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// No client could be made.
    #[error("no client for GitHub could be made: {0}")]
    Client(String),
}

impl Error {
    /// The name under which the state machine meets it.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::RateLimited { .. } => Fault::GitHubRateLimited,
            // A name that stays taken passes too: the next attempt has another name.
            Self::Unavailable { .. } | Self::NameTaken { .. } => Fault::GitHubUnavailable,
            Self::AppNotInstalled { .. } => Fault::AppNotInstalled,
            Self::KeyRefused { .. } => Fault::AppKeyInvalid,
            Self::Refused { .. } => Fault::GitHubRefused,
            Self::RunnerGroupMissing { .. } => Fault::RunnerGroupMissing,
            Self::Source(error) => error.fault,
            Self::Client(_) => Fault::BadConfiguration,
        }
    }

    /// For how long to wait, where GitHub's rate limit is the reason.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The HTTP status, where GitHub denied the call.
    pub const fn refused_status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}
