//! What an AWS error means for the caller.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use fault::Fault;

/// The kinds of AWS errors that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Refused for its rate.
    Throttled,
    /// No answer, or an error on AWS's side.
    Unavailable,
    /// What was asked for does not exist.
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// Denied or invalid.
    Refused,
}

/// A failed AWS call: what was tried, on what, and how it was answered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{call} on {target} failed: {code}: {message}")]
pub struct Error {
    call: &'static str,
    target: String,
    code: String,
    message: String,
    kind: Kind,
}

impl Error {
    /// Describes a failed call. `call` is spelled as IAM spells it (`ssm:GetParameter`).
    pub fn new<E, R>(call: &'static str, target: impl Into<String>, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata,
    {
        let (code, message, kind) = match error {
            SdkError::ServiceError(service) => {
                let code = service.err().code().unwrap_or("Unknown");
                let message = service.err().message().unwrap_or("no message");
                (code.to_owned(), message.to_owned(), kind_of(code))
            }
            SdkError::TimeoutError(_) => (
                "Timeout".to_owned(),
                "no answer in time".to_owned(),
                Kind::Unavailable,
            ),
            SdkError::ConstructionFailure(_) => (
                "Construction".to_owned(),
                "the request could not be built".to_owned(),
                Kind::Refused,
            ),
            _ => (
                "NoAnswer".to_owned(),
                "the connection failed or the answer was unreadable".to_owned(),
                Kind::Unavailable,
            ),
        };
        Self {
            call,
            target: target.into(),
            code,
            message,
            kind,
        }
    }

    /// How to take it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name under which the state machine meets it.
    pub fn fault(&self) -> Fault {
        match self.kind {
            Kind::Throttled => Fault::Throttled,
            Kind::Unavailable => Fault::AwsUnavailable,
            Kind::NotFound | Kind::AlreadyExists | Kind::Refused => Fault::AwsRefused,
        }
    }
}

/// Sorts an error code. The services spell the same thing differently, so this goes by the
/// spellings that ECS, Lambda, SQS, SSM and Step Functions document.
fn kind_of(code: &str) -> Kind {
    if code.contains("Throttl")
        || code.contains("TooManyRequests")
        || code.contains("RequestLimitExceeded")
        || code.contains("TooManyUpdates")
        // As many executions are open as the account may have: it passes as they end.
        || code.contains("ExecutionLimitExceeded")
    {
        Kind::Throttled
    } else if code.contains("NotFound")
        || code.contains("DoesNotExist")
        || code.contains("NonExistent")
    {
        Kind::NotFound
    } else if code.contains("AlreadyExists") {
        Kind::AlreadyExists
    } else if code.contains("InternalServer")
        || code.contains("InternalFailure")
        || code.contains("InternalError")
        || code.contains("ServiceUnavailable")
        || code.contains("ServiceException")
        || code == "ServerException"
        || code == "Unknown"
    {
        Kind::Unavailable
    } else {
        Kind::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_as_the_services_spell_them() {
        for (code, kind) in [
            ("ThrottlingException", Kind::Throttled),
            ("TooManyUpdates", Kind::Throttled),
            ("ExecutionLimitExceeded", Kind::Throttled),
            ("ParameterNotFound", Kind::NotFound),
            ("ExecutionDoesNotExist", Kind::NotFound),
            ("ExecutionAlreadyExists", Kind::AlreadyExists),
            ("InternalServerError", Kind::Unavailable),
            ("ServerException", Kind::Unavailable),
            ("AccessDeniedException", Kind::Refused),
            ("InvalidParameterException", Kind::Refused),
        ] {
            assert_eq!(kind_of(code), kind, "{code}");
        }
    }
}
