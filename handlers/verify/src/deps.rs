//! What the handler works with.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aws::executions::Executions;
use aws::{RetryConfig, SdkConfig};
use runtime::settings::Settings;
use runtime::telemetry::Metrics;

use crate::Config;
use crate::secret::Secrets;
use crate::throttle::Throttle;

/// How often one AWS call is tried, except those of Step Functions: [`start`](crate::start) decides
/// which of them are repeated.
const ATTEMPTS: u32 = 3;

/// What the handler works with, made once per sandbox.
#[derive(Debug)]
pub struct Deps {
    pub config: Config,
    pub secrets: Secrets,
    pub executions: Executions,
    pub lambda: aws_sdk_lambda::Client,
    pub sqs: aws_sdk_sqs::Client,
    /// What Step Functions granted and refused.
    pub throttle: Mutex<Throttle>,
}

impl Deps {
    /// Reads the configuration and makes the clients.
    pub fn from_settings(settings: &Settings) -> Result<Self, runtime::settings::Error> {
        let config = Config::from_settings(settings)?;
        Ok(Self::new(config, &aws::sdk_config(settings, ATTEMPTS)?))
    }

    /// Makes the clients.
    pub fn new(config: Config, aws: &SdkConfig) -> Self {
        let once = aws.to_builder().retry_config(RetryConfig::disabled());
        Self {
            secrets: Secrets::new(
                aws_sdk_ssm::Client::new(aws),
                config.secret_parameter.clone(),
                config.secret_ttl,
            ),
            executions: Executions::new(&once.build(), config.state_machine.clone()),
            lambda: aws_sdk_lambda::Client::new(aws),
            sqs: aws_sdk_sqs::Client::new(aws),
            throttle: Mutex::default(),
            config,
        }
    }

    pub(crate) fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The metrics of this deployment.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::new(&self.config.deployment)
    }
}
