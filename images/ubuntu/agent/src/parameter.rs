//! Takes the registration out of SSM: reads it once, and sees it gone.

use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::config::timeout::TimeoutConfig;
use aws_sdk_ssm::config::{
    BehaviorVersion, Config, Credentials, Region, SharedCredentialsProvider, SharedHttpClient,
};
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::operation::delete_parameter::DeleteParameterError;
use aws_smithy_http_client::{Builder, tls};
use protocol::{ParameterPath, Registration, RegistrationError};
use runtime::settings::{Settings, Variable};

/// Where ECS says the task role's credentials are; one of them is set in a task that has a role
/// ([documentation](https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html)).
const RELATIVE_URI: Variable =
    Variable::optional("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "set by ECS");
const FULL_URI: Variable = Variable::optional("AWS_CONTAINER_CREDENTIALS_FULL_URI", "set by ECS");
const ACCESS_KEY: Variable = Variable::required(
    "AWS_ACCESS_KEY_ID",
    "access key, used only where there is no task role (ECS sets AWS_CONTAINER_CREDENTIALS_RELATIVE_URI for one)",
);
const SECRET_KEY: Variable = Variable::required(
    "AWS_SECRET_ACCESS_KEY",
    "secret key that goes with AWS_ACCESS_KEY_ID",
);
const SESSION_TOKEN: Variable = Variable::optional(
    "AWS_SESSION_TOKEN",
    "session token that goes with AWS_ACCESS_KEY_ID",
);

/// SSM answers 40 calls a second by default, for all runners that start at once
/// ([quota](https://docs.aws.amazon.com/general/latest/gr/ssm.html)). Ten tries wait some 20
/// seconds in the middle and 45 at most: a burst of several hundred starts gets through.
const ATTEMPTS: u32 = 10;
const FIRST_BACKOFF: Duration = Duration::from_millis(300);
const LONGEST_BACKOFF: Duration = Duration::from_secs(8);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// A registration that could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a task role nor keys.
    #[error(transparent)]
    Credentials(#[from] runtime::settings::Error),
    /// SSM refused, or did not answer.
    #[error("{call} on {path} failed: {cause}. {advice}")]
    Call {
        /// As IAM spells it.
        call: &'static str,
        /// On what.
        path: String,
        /// SSM's words, or the connection's.
        cause: String,
        /// What to look at.
        advice: &'static str,
    },
    /// What was read is no registration.
    #[error("{path}: {error}")]
    Content {
        /// Where it was read.
        path: String,
        /// What is wrong with it.
        error: RegistrationError,
    },
}

/// Reads the registration and deletes its parameter. A listener must not start before this has
/// returned: a job could read what is still there.
pub async fn take(client: &Client, path: &ParameterPath) -> Result<Registration, Error> {
    let name = path.to_string();
    let answer = client
        .get_parameter()
        .name(&name)
        .with_decryption(true)
        .send()
        .await;
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
        // An answer got lost and the call was repeated, or `cleanup` was faster: gone is gone.
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
    Error::Call {
        call,
        path: name.to_owned(),
        cause: causes(error),
        advice: advice(code),
    }
}

/// An error and what lies under it, each once: the SDK's errors often repeat the one below them.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
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

/// What helps with an error code.
fn advice(code: Option<&str>) -> &'static str {
    match code {
        Some("ParameterNotFound") => {
            "It was deleted or never written: the runner was cleaned up before it started, or it started twice"
        }
        Some("AccessDeniedException") => {
            "The task role needs ssm:GetParameter and ssm:DeleteParameter on the runners' path, and kms:Decrypt where the key is your own"
        }
        Some(code) if code.contains("Throttl") => {
            "Raise SSM's throughput setting, or start fewer runners at once"
        }
        Some(_) => "SSM refused the call",
        None => {
            "Check that the subnet reaches SSM (NAT, public IP or a VPC endpoint) and that the task has a role"
        }
    }
}

/// A client with the task role's credentials, or with keys from the environment where there is no
/// task role.
///
/// Not the SDK's default chain: it looks for profiles, web identity and an instance's role, and
/// each of those costs size or time and hides what is really missing.
pub fn client(settings: &Settings, region: &str, endpoint: Option<&str>) -> Result<Client, Error> {
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .http_client(http(endpoint))
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(FIRST_BACKOFF)
                .with_max_backoff(LONGEST_BACKOFF),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(CALL_TIMEOUT)
                .build(),
        );
    config.set_endpoint_url(endpoint.map(str::to_owned));
    config.set_credentials_provider(Some(credentials(settings)?));
    Ok(Client::from_conf(config.build()))
}

fn credentials(settings: &Settings) -> Result<SharedCredentialsProvider, Error> {
    let uri = settings
        .maybe(&RELATIVE_URI)
        .or_else(|| settings.maybe(&FULL_URI));
    // The role before the keys: keys in a task definition are there for its jobs.
    if let Some(uri) = uri {
        let config = ProviderConfig::without_region().with_http_client(http(Some(&uri)));
        return Ok(SharedCredentialsProvider::new(
            EcsCredentialsProvider::builder().configure(&config).build(),
        ));
    }
    Ok(SharedCredentialsProvider::new(Credentials::new(
        settings.text(&ACCESS_KEY)?,
        settings.text(&SECRET_KEY)?,
        settings.maybe(&SESSION_TOKEN),
        None,
        "environment",
    )))
}

/// TLS only where it is spoken: reading the system's root certificates takes longer than all else
/// the agent does, and ECS hands out credentials over plain HTTP.
fn http(endpoint: Option<&str>) -> SharedHttpClient {
    let plain = endpoint.is_some_and(|endpoint| !endpoint.starts_with("https:"));
    if plain {
        Builder::new().build_http()
    } else {
        Builder::new()
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::Ring,
            ))
            .build_https()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_role_and_without_keys_the_role_is_asked_for() {
        let error = client(&Settings::from_pairs([("HOME", "/")]), "eu-central-1", None)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            "{error}"
        );
    }

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
