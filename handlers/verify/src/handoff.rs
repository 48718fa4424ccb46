//! Handing an event on to `cleanup`.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use protocol::{Fault, Handoff};

/// Why `cleanup` did not get an event.
#[derive(Debug, thiserror::Error)]
pub enum HandoffError {
    /// Lambda did not take it.
    #[error(transparent)]
    Aws(#[from] aws::Error),
    /// The event could not be written as JSON.
    #[error("cannot serialize the event: {0}")]
    Event(#[from] serde_json::Error),
}

impl HandoffError {
    /// What it means for the event.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Aws(error) => error.fault(),
            Self::Event(_) => Fault::BadInput,
        }
    }
}

/// Invokes `cleanup` asynchronously: Lambda keeps the event from there on, and repeats it if
/// `cleanup` fails.
pub async fn hand_on(
    lambda: &Client,
    cleanup: &str,
    handoff: &Handoff,
) -> Result<(), HandoffError> {
    lambda
        .invoke()
        .function_name(cleanup)
        .invocation_type(InvocationType::Event)
        .payload(Blob::new(serde_json::to_vec(handoff)?))
        .send()
        .await
        .map_err(|error| aws::Error::new("lambda:InvokeFunction", cleanup, &error))?;
    Ok(())
}
