//! Takes the registration out of SSM: reads it once and deletes it.

use std::time::Duration;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::operation::delete_parameter::DeleteParameterError;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use protocol::{ParameterPath, Registration, RegistrationError};
use tokio::time::{Instant, sleep};

/// Errors of taking the registration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{call} on {path} failed: {cause}. {advice}")]
    Call {
        /// The IAM action.
        call: &'static str,
        path: String,
        /// The message of SSM or of the connection.
        cause: String,
        advice: &'static str,
    },
    #[error("{path}: {error}")]
    Content {
        path: String,
        error: RegistrationError,
    },
}

/// How long a warm task takes a missing parameter for one that SSM does not show yet. It reads half a
/// second after the write, a cold one half a minute.
pub const FRESH: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How rustls calls a certificate of an authority that is not trusted
/// ([source](https://docs.rs/rustls/latest/rustls/enum.CertificateError.html)).
const UNTRUSTED: &str = "UnknownIssuer";

/// Reads the registration and deletes its parameter. Start the listener only afterwards: a job
/// could read a parameter that still exists. A missing parameter is looked for again until `fresh`
/// has passed.
pub async fn take(
    client: &Client,
    path: &ParameterPath,
    fresh: Duration,
) -> Result<Registration, Error> {
    let name = path.to_string();
    let begun = Instant::now();
    let answer = loop {
        let answer = client
            .get_parameter()
            .name(&name)
            .with_decryption(true)
            .send()
            .await;
        let missing = answer.as_ref().err().is_some_and(|error| {
            error
                .as_service_error()
                .is_some_and(GetParameterError::is_parameter_not_found)
        });
        if !missing || begun.elapsed() >= fresh {
            break answer;
        }
        sleep(LOOK_AGAIN).await;
    };
    let answer = answer.map_err(|error| call("ssm:GetParameter", &name, &error))?;
    delete(client, &name).await?;
    let value = answer
        .parameter
        .and_then(|parameter| parameter.value)
        .unwrap_or_default();
    value
        .parse()
        .map_err(|error| Error::Content { path: name, error })
}

async fn delete(client: &Client, name: &str) -> Result<(), Error> {
    match client.delete_parameter().name(name).send().await {
        Ok(_) => Ok(()),
        // The response was lost and the call retried, or `cleanup` was faster: it is gone either
        // way.
        Err(error)
            if error
                .as_service_error()
                .is_some_and(DeleteParameterError::is_parameter_not_found) =>
        {
            Ok(())
        }
        Err(error) => Err(call("ssm:DeleteParameter", name, &error)),
    }
}

fn call<E>(call: &'static str, name: &str, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let code = error.as_service_error().and_then(|error| error.code());
    let cause = causes(error);
    let advice = if code.is_none() && cause.contains(UNTRUSTED) {
        "Nobody that is trusted here certifies the server: give the authorities of the proxy before AWS as caBundle"
    } else {
        advice(code)
    };
    Error::Call {
        call,
        path: name.to_owned(),
        cause,
        advice,
    }
}

/// An error with its causes, each once: the SDK's errors often repeat their cause.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    for cause in std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string)
    {
        if !text.contains(&cause) {
            text = if text.is_empty() {
                cause
            } else {
                format!("{text}: {cause}")
            };
        }
    }
    text
}

/// What to do about an error code.
fn advice(code: Option<&str>) -> &'static str {
    match code {
        Some("ParameterNotFound") => {
            "The parameter was deleted or never written: the runner was cleaned up before it started, or it started twice"
        }
        Some("AccessDeniedException") => {
            "Grant the task role ssm:GetParameter and ssm:DeleteParameter on the runners' path, and kms:Decrypt on your own key"
        }
        Some(code) if code.contains("Throttl") => {
            "Enable SSM's higher throughput, or start fewer runners at once"
        }
        Some(_) => "SSM rejected the call",
        None => {
            "Check that the subnet reaches SSM (NAT, public IP or VPC endpoint) and that the task has a role"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_what_to_look_at() {
        for (code, word) in [
            (Some("ParameterNotFound"), "deleted"),
            (Some("AccessDeniedException"), "task role"),
            (Some("ThrottlingException"), "throughput"),
            (None, "subnet"),
        ] {
            assert!(advice(code).contains(word), "{code:?}");
        }
    }
}
