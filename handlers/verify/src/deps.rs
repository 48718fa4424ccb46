//! What the handler works with.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aws::executions::Executions;
use aws::{Late, RetryConfig, SdkConfig};
use pool::Pool;
use runtime::settings::Settings;
use runtime::telemetry::Metrics;

use crate::Config;
use crate::pause::Pause;
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
    pub pause: Pause,
    pub executions: Executions,
    pub lambda: Late<aws_sdk_lambda::Client>,
    pub sqs: Late<aws_sdk_sqs::Client>,
    /// The table for notes about jobs, if the deployment has it.
    pub pool: Option<Pool>,
    /// What Step Functions granted and refused.
    pub throttle: Mutex<Throttle>,
}

impl Deps {
    /// Reads the configuration and makes the clients.
    pub fn from_settings(settings: &Settings) -> Result<Self, runtime::settings::Error> {
        let config = Config::from_settings(settings)?;
        let aws = aws::sdk_config(settings, ATTEMPTS)?;
        Ok(Self {
            pool: Pool::from_settings(settings, &aws),
            ..Self::new(config, &aws)
        })
    }

    /// Makes the clients, without a table.
    pub fn new(config: Config, aws: &SdkConfig) -> Self {
        let once = aws.to_builder().retry_config(RetryConfig::disabled());
        let executions = Executions::new(&once.build(), config.state_machine.clone());
        // While Lambda still runs it at full speed; the others are made for the first call.
        executions.prepare();
        let ssm = aws_sdk_ssm::Client::new(aws);
        Self {
            secrets: Secrets::new(
                ssm.clone(),
                config.secret_parameter.clone(),
                config.secret_ttl,
            ),
            pause: Pause::new(ssm, config.paused_parameter.clone()),
            executions,
            lambda: Late::new(aws, aws_sdk_lambda::Client::new),
            sqs: Late::new(aws, aws_sdk_sqs::Client::new),
            pool: None,
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
