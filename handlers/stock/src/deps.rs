//! Clients and configuration of the handler.

use pool::Pool;
use runtime::settings::{Error, Settings};
use runtime::telemetry::Metrics;

use crate::Config;

/// Attempts per call of ECS. The next minute's call repeats what failed.
const AWS_ATTEMPTS: u32 = 2;

#[derive(Clone, Debug)]
pub struct Deps {
    pub config: Config,
    pub pool: Pool,
    pub ecs: aws_sdk_ecs::Client,
}

impl Deps {
    /// Creates the clients from the settings. Call it inside a tokio runtime.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let config = Config::from_settings(settings)?;
        let aws = aws::sdk_config(settings, AWS_ATTEMPTS)?;
        Ok(Self {
            config,
            pool: Pool::required(settings, &aws)?,
            ecs: aws_sdk_ecs::Client::new(&aws),
        })
    }

    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::new(&self.config.placement.deployment)
    }
}
