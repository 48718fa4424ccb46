//! AWS client configuration, the client of Step Functions, and AWS errors by kind.
//!
//! A handler's environment has its region and credentials, fixed for the life of the sandbox. So
//! there is no provider chain, only [`sdk_config`]: one TLS client with ring, shared by all service
//! clients.

mod error;
#[cfg(feature = "executions")]
pub mod executions;
mod late;
mod trust;

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::TlsContext;
use aws_smithy_http_client::{Builder, Connector, tls};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
pub use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
pub use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
pub use aws_types::SdkConfig;
use aws_types::region::Region;
use runtime::proxy::{self, Proxy};
use runtime::settings::{Settings, Variable, shared};

use trust::Trust;

pub use error::{Error, ErrorKind};
pub use late::Late;

/// Variables of [`sdk_config`] except the credentials, which Lambda sets and no operator does.
pub const VARIABLES: &[Variable] = &[
    shared::AWS_REGION,
    shared::AWS_ENDPOINT_URL,
    shared::AWS_CA_BUNDLE,
    shared::CA_BUNDLE,
    proxy::VARIABLES[0],
    proxy::VARIABLES[1],
];

const ACCESS_KEY: Variable = Variable::required(
    "AWS_ACCESS_KEY_ID",
    "access key of the handler's role; set by Lambda",
);
const SECRET_KEY: Variable = Variable::required(
    "AWS_SECRET_ACCESS_KEY",
    "secret key of the handler's role; set by Lambda",
);
const SESSION_TOKEN: Variable = Variable::optional(
    "AWS_SESSION_TOKEN",
    "session token of the handler's role; set by Lambda",
);

/// Connect timeout. AWS endpoints in the region answer within milliseconds; a lost packet must not
/// cost `verify` its ten seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of one try of a call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);

/// The HTTPS client under every service client: rustls with ring, which trusts the authorities that
/// the settings select, through the proxy that they name. Reads `AWS_REGION`.
pub fn https_client(settings: &Settings) -> Result<SharedHttpClient, runtime::settings::Error> {
    let trust = Trust::of(settings)?;
    let proxy = Proxy::of(settings)?
        .map(|proxy| {
            ProxyConfig::https(proxy.url.clone())
                .map(|config| config.no_proxy(&proxy.except))
                .map_err(|error| proxy.unusable(&error))
        })
        .transpose()?;
    Ok(SharedHttpClient::new(Http(Late::made_by(|| {
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        match proxy {
            None => Builder::new()
                .tls_provider(provider)
                .tls_context(trust.context())
                .build_https(),
            Some(proxy) => proxied(provider, trust.context(), proxy),
        }
    }))))
}

/// A client as [`Builder::build_https`] makes it, through a proxy.
fn proxied(provider: tls::Provider, trust: TlsContext, proxy: ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(provider.clone())
            .tls_context(trust.clone())
            .proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

/// The configuration of every client of a handler. `attempts` is the total number of tries of a
/// call, with jittered exponential back-off.
pub fn sdk_config(
    settings: &Settings,
    attempts: u32,
) -> Result<SdkConfig, runtime::settings::Error> {
    let credentials = Credentials::new(
        settings.text(&ACCESS_KEY)?,
        settings.text(&SECRET_KEY)?,
        settings.maybe(&SESSION_TOKEN),
        None,
        "environment",
    );
    let http = https_client(settings)?;
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.text(&shared::AWS_REGION)?))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build(),
        )
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SystemTimeSource::new()));
    config.set_endpoint_url(settings.maybe(&shared::AWS_ENDPOINT_URL));
    Ok(config.build())
}

/// The TLS client of all service clients, made for the first call. The SDK's own would parse the
/// certificate authorities for each service client, and once more for the first call.
#[derive(Debug)]
struct Http(Late<SharedHttpClient>);

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }
}
