//! Results of calls of the table.

use aws::ErrorKind;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written<T = ()> {
    Done(T),
    /// The condition did not hold, so nothing was written.
    ConditionFailed,
}

impl<T> Written<T> {
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    /// What was done, if the condition held.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(value) => Some(value),
            Self::ConditionFailed => None,
        }
    }
}

/// A failed call of the table. Boxed, because an error of AWS is large.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// DynamoDB did not carry it out: throttled, denied, or no such table.
    #[error(transparent)]
    Refused(Box<aws::Error>),
    /// No answer, so DynamoDB may have carried it out.
    #[error("{0}. It may have been carried out")]
    Unknown(Box<aws::Error>),
}

impl Error {
    /// Whether the call may have been carried out.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// The error of AWS.
    pub fn aws(&self) -> &aws::Error {
        match self {
            Self::Refused(error) | Self::Unknown(error) => error,
        }
    }

    pub(crate) fn of<E: ProvideErrorMetadata, R>(
        call: &'static str,
        target: &str,
        error: &SdkError<E, R>,
    ) -> Self {
        let aws = Box::new(aws::Error::new(call, target, error));
        // An internal error is an answer, but DynamoDB documents that the write may have happened
        // (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html).
        match aws.kind() {
            ErrorKind::Unavailable => Self::Unknown(aws),
            ErrorKind::Throttled
            | ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::Refused => Self::Refused(aws),
        }
    }
}

/// Sorts the answer to a conditional write.
pub(crate) fn written<T, E: ProvideErrorMetadata, R>(
    call: &'static str,
    target: &str,
    answer: Result<T, SdkError<E, R>>,
) -> Result<Written<T>, Error> {
    match answer {
        Ok(output) => Ok(Written::Done(output)),
        Err(SdkError::ServiceError(error))
            if error.err().code() == Some("ConditionalCheckFailedException") =>
        {
            Ok(Written::ConditionFailed)
        }
        Err(error) => Err(Error::of(call, target, &error)),
    }
}

/// Drops an answer's content.
pub(crate) fn done<T>(answer: Result<Written<T>, Error>) -> Result<Written, Error> {
    Ok(match answer? {
        Written::Done(_) => Written::Done(()),
        Written::ConditionFailed => Written::ConditionFailed,
    })
}
