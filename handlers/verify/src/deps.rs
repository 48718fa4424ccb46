//! What the handler works with.

use std::time::Duration;

use aws::RetryConfig;
use aws::executions::Executions;
use runtime::settings::Settings;
use runtime::telemetry::Metrics;

use crate::Config;
use crate::secret::Secrets;

/// How often one AWS call is tried; StartExecution has tries of its own.
const ATTEMPTS: u32 = 3;

/// How often StartExecution is tried: with pauses of up to 0.1, 0.2, 0.4, 0.8 and then a second, this
/// takes as long as [`WORK`](crate::deadline::WORK) allows on average. Under a throttling that lasts,
/// the client's own retry quota ends the tries sooner, and the job is kept sooner.
const START_ATTEMPTS: u32 = 16;
const START_PAUSE: Duration = Duration::from_millis(100);
const START_PAUSE_LIMIT: Duration = Duration::from_secs(1);

/// What the handler works with, made once per sandbox.
#[derive(Debug)]
pub struct Deps {
    pub config: Config,
    pub secrets: Secrets,
    pub executions: Executions,
    pub lambda: aws_sdk_lambda::Client,
    pub sqs: aws_sdk_sqs::Client,
}

impl Deps {
    /// Reads the configuration and makes the clients.
    pub fn from_settings(settings: &Settings) -> Result<Self, runtime::settings::Error> {
        let config = Config::from_settings(settings)?;
        let aws = aws::sdk_config(settings, ATTEMPTS)?;
        let patient = RetryConfig::standard()
            .with_max_attempts(START_ATTEMPTS)
            .with_initial_backoff(START_PAUSE)
            .with_max_backoff(START_PAUSE_LIMIT);
        Ok(Self {
            secrets: Secrets::new(
                aws_sdk_ssm::Client::new(&aws),
                config.secret_parameter.clone(),
                config.secret_ttl,
            ),
            executions: Executions::new(
                &aws.to_builder().retry_config(patient).build(),
                config.state_machine.clone(),
            ),
            lambda: aws_sdk_lambda::Client::new(&aws),
            sqs: aws_sdk_sqs::Client::new(&aws),
            config,
        })
    }

    /// The metrics of this deployment.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::new(&self.config.deployment)
    }
}
