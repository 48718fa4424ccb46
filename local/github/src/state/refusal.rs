//! What is refused: to a caller of GitHub's API, and to whoever plays GitHub's users.
//! Statuses are numbers here; `wire` makes answers of them.

/// A refusal of GitHub's: its `message` and `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(422, message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, message)
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(403, "Resource not accessible by integration")
    }

    pub(crate) fn suspended() -> Self {
        Self::new(403, "This installation has been suspended")
    }

    /// The hour's calls are used up.
    pub(crate) fn rate_limited() -> Self {
        Self::new(403, "API rate limit exceeded for installation.")
    }

    /// A secondary limit, over in so many seconds.
    pub(crate) fn secondary_limit(retry_after: u64) -> Self {
        Self::new(
            403,
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        )
        .with_header("retry-after", retry_after.to_string())
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// The stand-in will not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejected {
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl Rejected {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 422,
            message: message.into(),
        }
    }

    pub(crate) fn absent(message: impl Into<String>) -> Self {
        Self {
            status: 404,
            message: message.into(),
        }
    }
}
