//! What the handler works with.

use github::GitHub;
use pool::Capped;
use runtime::settings::Settings;
use runtime::telemetry::Metrics;

use crate::Config;
use crate::warm::Stock;

/// How often one SSM call is tried. `PutParameter` is the first limit that a burst of jobs meets, and
/// a registration that was issued already is worth a few seconds of patience.
const ATTEMPTS: u32 = 6;

/// What `token` works with, made once for each sandbox.
#[derive(Debug)]
pub struct Deps {
    /// The configuration.
    pub config: Config,
    /// GitHub.
    pub github: GitHub,
    /// SSM.
    pub ssm: aws_sdk_ssm::Client,
    /// The stock of warm tasks, if there is one.
    pub stock: Option<Stock>,
    /// The caps, if there are some.
    pub capped: Option<Capped>,
}

impl Deps {
    /// Clients and configuration from the environment. Must be called inside a tokio runtime.
    pub fn from_settings(settings: &Settings) -> Result<Self, github::secrets::Error> {
        let aws = aws::sdk_config(settings, ATTEMPTS)?;
        let ssm = aws_sdk_ssm::Client::new(&aws);
        Ok(Self {
            config: Config::from_settings(settings)?,
            github: github::secrets::connect(settings, ssm.clone())?,
            ssm,
            stock: Stock::from_settings(settings, &aws),
            capped: Capped::from_settings(settings, &aws)?,
        })
    }

    /// The metrics of this deployment.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::new(&self.config.deployment)
    }
}
