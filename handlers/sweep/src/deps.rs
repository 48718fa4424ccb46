//! What the handler works with.

use fleet::Fleet;
use github::GitHub;
use runtime::settings::Settings;
use runtime::telemetry::Metrics;

use crate::{Config, Releases};

/// What `sweep` works with.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The deployment's executions, tasks and registrations.
    pub fleet: Fleet,
    pub github: GitHub,
    pub config: Config,
    /// What GitHub has told of the runner's releases.
    pub releases: Releases,
}

/// How often one AWS call is tried. The next sweep comes in five minutes.
const AWS_ATTEMPTS: u32 = 4;

impl Deps {
    /// Clients and configuration from the environment. Call it inside a tokio runtime.
    pub fn from_settings(settings: &Settings) -> Result<Self, github::secrets::Error> {
        let fleet = Fleet::from_settings(settings, &aws::sdk_config(settings, AWS_ATTEMPTS)?)?;
        Ok(Self {
            github: github::secrets::connect(settings, fleet.ssm.clone())?,
            fleet,
            config: Config::from_settings(settings)?,
            releases: Releases::default(),
        })
    }

    /// The metrics of this deployment.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::new(&self.fleet.deployment)
    }
}
