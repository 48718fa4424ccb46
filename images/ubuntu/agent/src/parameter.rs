//! Takes the registration out of SSM: reads it once and deletes it.

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

/// ECS sets one of these to the address of the task role's credentials
/// ([documentation](https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html)).
const RELATIVE_URI: Variable =
    Variable::optional("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "set by ECS");
const FULL_URI: Variable = Variable::optional("AWS_CONTAINER_CREDENTIALS_FULL_URI", "set by ECS");
const ACCESS_KEY: Variable = Variable::required(
    "AWS_ACCESS_KEY_ID",
    "access key, used only without a task role (with one, ECS sets AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)",
);
const SECRET_KEY: Variable =
    Variable::required("AWS_SECRET_ACCESS_KEY", "secret key of AWS_ACCESS_KEY_ID");
const SESSION_TOKEN: Variable =
    Variable::optional("AWS_SESSION_TOKEN", "session token of AWS_ACCESS_KEY_ID");

/// SSM allows 40 calls a second by default, for all runners together
/// ([quota](https://docs.aws.amazon.com/general/latest/gr/ssm.html)). Ten tries wait about 20
/// seconds on average and at most 45, which is enough for a burst of several hundred starts.
const ATTEMPTS: u32 = 10;
const FIRST_BACKOFF: Duration = Duration::from_millis(300);
const LONGEST_BACKOFF: Duration = Duration::from_secs(8);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// Errors of taking the registration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a task role nor keys.
    #[error(transparent)]
    Credentials(#[from] runtime::settings::Error),
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

/// Reads the registration and deletes its parameter. Start the listener only afterwards: a job
/// could read a parameter that still exists.
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
    Error::Call {
        call,
        path: name.to_owned(),
        cause: causes(error),
        advice: advice(code),
    }
}

/// An error with its causes, each once: the SDK's errors often repeat their cause.
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

/// A client with the task role's credentials, or with keys from the environment if there is no task
/// role.
///
/// Not the SDK's default chain: it tries profiles, web identity and the instance's role, which adds
/// size and time and hides what is missing.
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
    // The role first: keys in a task definition are for its jobs.
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

/// Loads TLS only for https: reading the system's root certificates takes longer than everything
/// else here, and ECS serves credentials over plain HTTP.
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
