//! The operator's AWS: credentials, region and clients, and a bound on the calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_types::os_shim_internal::{Env, Fs};
use github::{ApiUrl, AppSource, GitHub, Nobody, Patience};
use runtime::proxy::Proxy;
use runtime::settings::Settings;

use crate::Error;

/// AWS is asked for so long: to connect, for one try of a call, and for a call with its tries. A search of
/// logs can take several seconds.
const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(15);
const CALL: Duration = Duration::from_secs(40);

/// Where to look, as the options say.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub region: Option<String>,
    pub profile: Option<String>,
}

/// AWS, with credentials that were found.
#[derive(Clone, Debug)]
pub struct Connection {
    pub config: SdkConfig,
    pub region: String,
}

impl Connection {
    /// Finds region and credentials where the AWS command line finds them: environment, profile,
    /// single sign-on, a credentials program, container or instance. Asks AWS nothing yet.
    pub async fn open(place: &Place) -> Result<Self, Error> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(profile) = &place.profile {
            check_profile(profile).await?;
            loader = loader.profile_name(profile);
        } else if let (Ok(profile), Err(_)) = (
            std::env::var("AWS_PROFILE"),
            std::env::var("AWS_ACCESS_KEY_ID"),
        ) {
            check_profile(&profile).await?;
        }
        let given = place.region.clone().map(Region::new);
        let region = match given {
            Some(region) => region,
            None => found_region(place).await.ok_or(Error::NoRegion)?,
        };
        // The trusted authorities depend on the region's partition.
        let pairs = ["AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .chain([("AWS_REGION".to_owned(), region.to_string())])
            .chain(proxy_settings());
        let http = aws::https_client(&Settings::from_pairs(pairs))?;
        // A profile that was asked for goes before credentials in the environment, which may be another
        // account's.
        if let Some(profile) = &place.profile {
            let provider = ProviderConfig::without_region()
                .with_region(Some(region.clone()))
                .with_http_client(http.clone())
                .with_sleep_impl(TokioSleep::new());
            let provider = ProfileFileCredentialsProvider::builder()
                .configure(&provider)
                .profile_name(profile);
            loader = loader.credentials_provider(provider.build());
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(CALL);
        let config = loader
            .region(region.clone())
            .http_client(http)
            .timeout_config(timeouts.build())
            .load()
            .await;
        let region = region.to_string();
        let provider = config
            .credentials_provider()
            .ok_or_else(|| Error::NoCredentials("no provider".to_owned()))?;
        provider
            .provide_credentials()
            .await
            .map_err(|error| Error::NoCredentials(what_failed(&error)))?;
        Ok(Self { config, region })
    }
}

/// Whether the AWS configuration has this profile.
#[expect(
    clippy::default_trait_access,
    reason = "the type of the files is deprecated under the name it has here"
)]
async fn check_profile(name: &str) -> Result<(), Error> {
    let found =
        aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), None).await;
    let found = found.map_err(|error| Error::NoCredentials(runtime::program::sentence(&error)))?;
    if found.get_profile(name).is_some() {
        return Ok(());
    }
    Err(Error::NoProfile {
        name: name.to_owned(),
        existing: found.profiles().map(str::to_owned).collect(),
    })
}

/// Why there are no credentials. The SDK's own words for "none anywhere" are a page.
fn what_failed(error: &CredentialsError) -> String {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            "the environment, the profile and this machine have none".to_owned()
        }
        error => runtime::program::sentence(error),
    }
}

/// The proxy of this machine, as other programs take it from the environment.
fn proxy_settings() -> Vec<(String, String)> {
    let found = ["https_proxy", "no_proxy"].into_iter().filter_map(|name| {
        let value = std::env::var(name).or_else(|_| std::env::var(name.to_uppercase()));
        Some((name.to_owned(), value.ok()?))
    });
    let found: Vec<_> = found.collect();
    // What cannot be used, such as one with a password, is left out as it always was.
    let usable = Proxy::of(&Settings::from_pairs(found.clone()));
    if usable.is_ok() { found } else { Vec::new() }
}

/// A client of GitHub, through the proxy of this machine if it has one.
pub(crate) fn github(
    url: ApiUrl,
    source: impl AppSource,
    patience: Patience,
) -> Result<GitHub, github::Error> {
    GitHub::through(url, source, patience, proxy().as_ref())
}

/// The same without an App.
pub(crate) fn nobody(url: ApiUrl, patience: Patience) -> Result<Nobody, github::Error> {
    Nobody::new(url, patience, proxy().as_ref())
}

fn proxy() -> Option<Proxy> {
    Proxy::of(&Settings::from_pairs(proxy_settings())).ok()?
}

async fn found_region(place: &Place) -> Option<Region> {
    let mut profile = aws_config::profile::region::ProfileFileRegionProvider::builder();
    if let Some(name) = &place.profile {
        profile = profile.profile_name(name);
    }
    RegionProviderChain::first_try(
        aws_config::environment::region::EnvironmentVariableRegionProvider::new(),
    )
    .or_else(profile.build())
    .region()
    .await
}

/// Calls that a command may still make at AWS. Retries of the SDK count as the call that they repeat.
#[derive(Clone, Debug)]
pub struct Calls(Arc<AtomicU32>);

impl Calls {
    pub fn at_most(calls: u32) -> Self {
        Self(Arc::new(AtomicU32::new(calls)))
    }

    /// Takes one call, if one is left.
    pub fn take(&self) -> bool {
        self.0
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }

    pub fn left(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_bound() {
        let calls = Calls::at_most(2);
        assert!(calls.take() && calls.clone().take());
        assert!(!calls.take());
        assert_eq!(calls.left(), 0);
    }
}
