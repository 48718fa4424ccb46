//! Clients and configuration of the handler.

use fleet::Fleet;
use github::GitHub;
use runtime::settings::Settings;
use runtime::telemetry::Metrics;

use crate::{Config, Releases};

#[derive(Clone, Debug)]
pub struct Deps {
    pub fleet: Fleet,
    pub github: GitHub,
    pub config: Config,
    /// Cache of the runner's releases.
    pub releases: Releases,
}

/// Attempts per AWS call. The next sweep runs in five minutes.
const AWS_ATTEMPTS: u32 = 4;

impl Deps {
    /// Creates the clients from the settings. Call it inside a tokio runtime.
    pub fn from_settings(settings: &Settings) -> Result<Self, github::secrets::Error> {
        let fleet = Fleet::from_settings(settings, &aws::sdk_config(settings, AWS_ATTEMPTS)?)?;
        Ok(Self {
            github: github::secrets::connect(settings, fleet.ssm.clone())?,
            fleet,
            config: Config::from_settings(settings)?,
            releases: Releases::default(),
        })
    }

    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::new(&self.fleet.deployment)
    }
}
