//! Errors of the handler. Nobody repeats the event: the next minute's call does what is left.

use lambda_runtime::Diagnostic;
use protocol::Fault;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the event: {0}")]
    Input(#[from] serde_json::Error),
    #[error(
        "the event is neither `token`'s, nor the schedule's, nor a change of a warm task's state"
    )]
    ForeignEvent,
    /// A task definition names a stock that nobody keeps.
    #[error(
        "a job looked for a warm task of {0}, but STOCK has no such family; give its runner `warm`, or remove the tag `GH:warm` from the task definition"
    )]
    UnknownFamily(String),
    /// Some families could not be looked after. Each with its errors.
    #[error("the stock is incomplete: {}", .0.join("; "))]
    Incomplete(Vec<String>),
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let error_type = match &error {
            Error::Input(_) | Error::ForeignEvent => Fault::BadInput.name(),
            Error::UnknownFamily(_) => Fault::BadConfiguration.name(),
            Error::Incomplete(_) => "Incomplete",
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: error.to_string(),
        }
    }
}
