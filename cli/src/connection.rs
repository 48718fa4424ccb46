//! The operator's AWS: credentials, region and clients, and a bound on the calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use aws_config::meta::region::RegionProviderChain;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use runtime::settings::Settings;

use crate::Error;

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
            loader = loader.profile_name(profile);
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
            .chain([("AWS_REGION".to_owned(), region.to_string())]);
        let http = aws::https_client(&Settings::from_pairs(pairs))?;
        let config = loader.region(region.clone()).http_client(http).load().await;
        let region = region.to_string();
        let provider = config
            .credentials_provider()
            .ok_or_else(|| Error::NoCredentials("no provider".to_owned()))?;
        provider
            .provide_credentials()
            .await
            .map_err(|error| Error::NoCredentials(runtime::program::sentence(&error)))?;
        Ok(Self { config, region })
    }
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
