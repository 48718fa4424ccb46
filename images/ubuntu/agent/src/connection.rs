//! How the agent reaches AWS: one HTTP client and one set of credentials for all its calls.

use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::config::timeout::TimeoutConfig;
use aws_sdk_ssm::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_http_client::{Builder, tls};
use runtime::settings::{Error, Settings, Variable};

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

/// A claim waits three seconds for the answer, so a lost connection must be given up before.
const BELL_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const BELL_TIMEOUT: Duration = Duration::from_secs(2);

/// Clients are made from it.
pub(crate) struct Connection {
    region: Region,
    endpoint: Option<String>,
    http: SharedHttpClient,
    credentials: SharedCredentialsProvider,
}

impl Connection {
    /// With the task role's credentials, or with keys from the environment if there is no task role.
    ///
    /// Not the SDK's default chain: it tries profiles, web identity and the instance's role, which
    /// adds size and time and hides what is missing.
    pub(crate) fn open(
        settings: &Settings,
        region: &str,
        endpoint: Option<&str>,
    ) -> Result<Self, Error> {
        Ok(Self {
            region: Region::new(region.to_owned()),
            endpoint: endpoint.map(str::to_owned),
            http: http(endpoint),
            credentials: credentials(settings)?,
        })
    }

    /// For the registration.
    pub(crate) fn parameters(&self) -> aws_sdk_ssm::Client {
        let mut config = aws_sdk_ssm::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(self.region.clone())
            .http_client(self.http.clone())
            .credentials_provider(self.credentials.clone())
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
        config.set_endpoint_url(self.endpoint.clone());
        aws_sdk_ssm::Client::from_conf(config.build())
    }

    /// For a bell. Without retries: the next look is one.
    pub(crate) fn table(&self) -> aws_sdk_dynamodb::Client {
        let mut config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(self.region.clone())
            .http_client(self.http.clone())
            .credentials_provider(self.credentials.clone())
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(BELL_CONNECT_TIMEOUT)
                    .operation_timeout(BELL_TIMEOUT)
                    .build(),
            );
        config.set_endpoint_url(self.endpoint.clone());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }
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
        let settings = Settings::from_pairs([("HOME", "/")]);
        let error = Connection::open(&settings, "eu-central-1", None);
        let error = error
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(
            error.contains("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            "{error}"
        );
    }
}
