//! Handing an event on to `cleanup`.

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use protocol::{Fault, Handoff};
use tokio::time::Instant;

use crate::Deps;
use crate::deadline::by;

const CALL: &str = "lambda:InvokeFunction";

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

/// Invokes `cleanup` asynchronously, until a deadline: Lambda keeps the event from there on, and
/// repeats it if `cleanup` fails.
pub async fn hand_on(deps: &Deps, handoff: &Handoff, act_by: Instant) -> Result<(), HandoffError> {
    let cleanup = &*deps.config.cleanup_function;
    let payload = Blob::new(serde_json::to_vec(handoff)?);
    let invoke = deps.lambda.invoke().function_name(cleanup);
    let telling = async {
        let invoke = invoke.invocation_type(InvocationType::Event);
        let told = invoke.payload(payload).send().await;
        told.map_err(|error| aws::Error::new(CALL, cleanup, &error))
    };
    by(act_by, (CALL, cleanup), telling).await?;
    Ok(())
}
