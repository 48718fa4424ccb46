//! What the handler works with.

use fleet::Fleet;
use github::GitHub;
use runtime::settings::Settings;
use runtime::telemetry::Metrics;

use crate::Config;

/// What `cleanup` works with.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The deployment's executions, tasks and registrations.
    pub fleet: Fleet,
    pub github: GitHub,
    pub config: Config,
}

/// How often one AWS call is tried: an attempt's end may wait a little, and must not be lost.
const AWS_ATTEMPTS: u32 = 5;

impl Deps {
    /// Clients and configuration from the environment. Call it inside a tokio runtime.
    pub fn from_settings(settings: &Settings) -> Result<Self, github::secrets::Error> {
        let fleet = Fleet::from_settings(settings, &aws::sdk_config(settings, AWS_ATTEMPTS)?)?;
        Ok(Self {
            github: github::secrets::connect(settings, fleet.ssm.clone())?,
            fleet,
            config: Config::from_settings(settings)?,
        })
    }

    /// The metrics of this deployment.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::new(&self.fleet.deployment)
    }
}
