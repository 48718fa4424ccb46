//! How the agent reaches AWS: one HTTP client and one set of credentials for all its calls.

use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::config::timeout::TimeoutConfig;
use aws_sdk_ssm::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector, tls};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use runtime::proxy::Proxy;
use runtime::settings::{Error, Settings, Variable};

use crate::authorities::Authorities;
use crate::config::Config;

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
    pub(crate) fn open(settings: &Settings, config: &Config) -> Result<Self, Error> {
        Ok(Self {
            region: Region::new(config.region.clone()),
            endpoint: config.endpoint.clone(),
            http: http(
                config.endpoint.as_deref(),
                config.authorities.as_ref(),
                config.proxy.as_ref(),
            )?,
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
        let config =
            ProviderConfig::without_region().with_http_client(http(Some(&uri), None, None)?);
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
fn http(
    endpoint: Option<&str>,
    authorities: Option<&Authorities>,
    proxy: Option<&Proxy>,
) -> Result<SharedHttpClient, Error> {
    if endpoint.is_some_and(|endpoint| !endpoint.starts_with("https:")) {
        return Ok(Builder::new().build_http());
    }
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let trust = authorities.map_or_else(TlsContext::default, trusting);
    let Some(proxy) = proxy else {
        let client = Builder::new().tls_provider(provider).tls_context(trust);
        return Ok(client.build_https());
    };
    let through = ProxyConfig::https(proxy.url.clone())
        .map_err(|error| proxy.unusable(&error))?
        .no_proxy(&proxy.except);
    Ok(
        Builder::new().build_with_connector_fn(move |settings, components| {
            let mut connector = Connector::builder()
                .tls_provider(provider.clone())
                .tls_context(trust.clone())
                .proxy_config(through.clone());
            connector.set_connector_settings(settings.cloned());
            connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
            connector.build()
        }),
    )
}

/// The system's authorities and the deployment's.
fn trusting(authorities: &Authorities) -> TlsContext {
    let store = TrustStore::default().with_pem_certificate(authorities.pem());
    // Fails only for a provider without custom authorities; rustls supports them.
    TlsContext::builder()
        .with_trust_store(store)
        .build()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_role_and_without_keys_the_role_is_asked_for() {
        let path = "/fargate-runners/runners/fr-hello-42/0123456789abcdef0123456789abcdef";
        let pairs = [("AGENT_PARAMETER", path), ("AWS_REGION", "eu-central-1")];
        let settings = Settings::from_pairs(pairs);
        let error = Connection::open(&settings, &Config::read(&settings).unwrap());
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
