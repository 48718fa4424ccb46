//! Clients and configuration of the handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    pub former: Former,
}

/// Whether this sandbox has seen that nothing is left of stocks that are kept no longer.
#[derive(Clone, Debug, Default)]
pub struct Former(Arc<AtomicBool>);

impl Former {
    pub(crate) fn are_gone(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn note_gone(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
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
            former: Former::default(),
        })
    }

    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::new(&self.config.placement.deployment)
    }
}
