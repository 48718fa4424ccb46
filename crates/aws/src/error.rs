//! AWS errors, by what they mean for the caller.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use protocol::Fault;

/// The kinds of AWS errors that callers distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Throttled.
    Throttled,
    /// No response, or an error of AWS itself.
    Unavailable,
    /// The resource does not exist.
    NotFound,
    /// The resource already exists.
    AlreadyExists,
    /// Denied or invalid.
    Refused,
}

/// A failed AWS call: action, target, and the error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{call} on {target} failed: {code}: {message}")]
pub struct Error {
    call: &'static str,
    target: String,
    code: String,
    message: String,
    kind: ErrorKind,
}

impl Error {
    /// Describes a failed call. `call` is an IAM action (`ssm:GetParameter`).
    pub fn new<E, R>(call: &'static str, target: impl Into<String>, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata,
    {
        let target = target.into();
        let (code, message, kind) = match error {
            SdkError::ServiceError(service) => {
                let code = service.err().code().unwrap_or("Unknown");
                let message = service.err().message().unwrap_or("no message");
                (code.to_owned(), message.to_owned(), kind_of(code, message))
            }
            SdkError::TimeoutError(_) => return Self::timed_out(call, target),
            SdkError::ConstructionFailure(_) => (
                "Construction".to_owned(),
                "cannot build the request".to_owned(),
                ErrorKind::Refused,
            ),
            _ => (
                "NoAnswer".to_owned(),
                "the connection failed or the response was unreadable".to_owned(),
                ErrorKind::Unavailable,
            ),
        };
        Self {
            call,
            target,
            code,
            message,
            kind,
        }
    }

    /// A call that timed out before AWS responded, or before its last try.
    pub fn timed_out(call: &'static str, target: impl Into<String>) -> Self {
        Self {
            call,
            target: target.into(),
            code: "Timeout".to_owned(),
            message: "no response in time".to_owned(),
            kind: ErrorKind::Unavailable,
        }
    }

    /// A call whose request could not be built.
    #[cfg(feature = "executions")]
    pub(crate) fn not_sent(call: &'static str, target: String, message: String) -> Self {
        Self {
            call,
            target,
            code: "Construction".to_owned(),
            message,
            kind: ErrorKind::Refused,
        }
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the role may not make the call.
    pub fn is_denied(&self) -> bool {
        self.code == "AccessDeniedException"
    }

    /// The fault name for the state machine.
    pub fn fault(&self) -> Fault {
        match self.kind {
            ErrorKind::Throttled => Fault::Throttled,
            ErrorKind::Unavailable => Fault::AwsUnavailable,
            ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::Refused => {
                Fault::AwsRefused
            }
        }
    }
}

/// Classifies an error by the codes that ECS, Lambda, SQS, SSM and Step Functions document; the
/// services spell the same thing differently. Some codes say nothing: only the message tells what
/// is wrong with a parameter.
fn kind_of(code: &str, message: &str) -> ErrorKind {
    let is = |words: &[&str]| words.iter().any(|word| code.contains(word));
    let message = message.to_ascii_lowercase();
    if is(&[
        "Throttl",
        "TooManyRequests",
        "RequestLimitExceeded",
        "ThroughputExceeded",
        "TooManyUpdates",
        "SlowDown",
        // The account has its maximum of open executions; it ends as they end.
        "ExecutionLimitExceeded",
    ]) || message.contains("rate exceeded")
        || message.contains("request limit exceeded")
    {
        ErrorKind::Throttled
    } else if is(&["NotFound", "DoesNotExist", "NonExistent"])
        // StopTask for a missing task ([report]).
        //
        // [report]: https://github.com/wazuh/wazuh/issues/25439
        || (["InvalidParameterException", "ClientException"].contains(&code)
            && message.trim_end_matches('.').ends_with("not found"))
    {
        ErrorKind::NotFound
    } else if is(&["AlreadyExists"]) {
        ErrorKind::AlreadyExists
    } else if is(&[
        "InternalServer",
        "InternalFailure",
        "InternalError",
        "ServiceUnavailable",
        "ServiceException",
    ]) || code == "ServerException"
        || code == "Unknown"
    {
        ErrorKind::Unavailable
    } else {
        ErrorKind::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_as_the_services_spell_them() {
        for (code, kind) in [
            ("ThrottlingException", ErrorKind::Throttled),
            ("TooManyUpdates", ErrorKind::Throttled),
            ("ExecutionLimitExceeded", ErrorKind::Throttled),
            ("ParameterNotFound", ErrorKind::NotFound),
            ("ExecutionDoesNotExist", ErrorKind::NotFound),
            ("ExecutionAlreadyExists", ErrorKind::AlreadyExists),
            ("InternalServerError", ErrorKind::Unavailable),
            ("ServerException", ErrorKind::Unavailable),
            ("AccessDeniedException", ErrorKind::Refused),
            ("InvalidParameterException", ErrorKind::Refused),
        ] {
            assert_eq!(kind_of(code, "no message"), kind, "{code}");
        }
    }

    #[test]
    fn a_task_that_is_gone_is_not_found_under_whatever_code() {
        // https://github.com/wazuh/wazuh/issues/25439, https://github.com/griptape-ai/griptape-nodes-engine/issues/1454
        for code in ["InvalidParameterException", "ClientException"] {
            for message in [
                "The referenced task was not found.",
                "The referenced task was not found",
            ] {
                assert_eq!(kind_of(code, message), ErrorKind::NotFound, "{code}");
            }
        }
        for (code, message) in [
            // https://github.com/aws/aws-sdk-js/issues/1466
            ("InvalidParameterException", "Task Identifier is invalid"),
            ("AccessDeniedException", "the policy was not found"),
        ] {
            assert_eq!(kind_of(code, message), ErrorKind::Refused, "{message}");
        }
    }

    #[test]
    fn throttling_behind_another_code_is_throttling() {
        // https://github.com/dask/dask-cloudprovider/issues/56
        let message = "Error retrieving security group information for [sg-05937427457b61ff5]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)";
        assert_eq!(
            kind_of("InvalidParameterException", message),
            ErrorKind::Throttled
        );
        assert_eq!(
            kind_of("ProvisionedThroughputExceededException", ""),
            ErrorKind::Throttled
        );
    }
}
