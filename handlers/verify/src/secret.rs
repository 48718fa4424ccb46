//! Cache of the webhook's secrets.
//!
//! A wrong signature rereads the parameter, so that a secret rotated a minute ago rejects no webhook.
//! Anybody can send wrong signatures, and a new sandbox must read before it can check one, so [`pace`]
//! limits the reads. While reads fail, the cached secrets stay in use for up to an hour. Without cached
//! secrets the failure itself is cached for seconds.

pub mod pace;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::Config;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use protocol::{Class, Fault};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use crate::signature::{Keys, Signature, SignatureError};
use pace::{Pace, Reason};

/// How long cached secrets stay in use while reads fail.
const STALE: Duration = Duration::hours(1);

/// Without cached secrets, a webhook waits at most this long to read again after a transient failure.
/// A burst of new sandboxes is throttled at the same time; the wait spreads their reads.
const PATIENCE: Duration = Duration::seconds(4);

/// Why the secrets are not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such parameter.
    #[error(
        "SSM parameter {0} does not exist: run `fargate-runners setup`, or create it as a SecureString with the webhook secret"
    )]
    Missing(String),
    /// The parameter holds nothing.
    #[error("SSM parameter {0} is empty: write the webhook secret into it, one secret per line")]
    Empty(String),
    /// SSM could not be asked.
    #[error(transparent)]
    Aws(#[from] aws::Error),
}

impl SecretError {
    /// What it means for the webhook.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Missing(_) | Self::Empty(_) => Fault::SecretMissing,
            Self::Aws(error) => error.fault(),
        }
    }
}

/// Why a body is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// GitHub did not sign it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Whether GitHub signed it cannot be said.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl From<aws::Error> for CheckError {
    fn from(error: aws::Error) -> Self {
        Self::Secret(error.into())
    }
}

/// The parameter with the webhook's secrets, and what was last read from it.
#[derive(Debug)]
pub struct Secrets {
    ssm: Client,
    parameter: String,
    ttl: Duration,
    /// Locked during a read, so that concurrent webhooks share its result.
    reads: Mutex<Reads>,
}

#[derive(Clone, Debug)]
struct Known {
    keys: Keys,
    read_at: OffsetDateTime,
}

/// Results of the reads so far.
#[derive(Debug, Default)]
struct Reads {
    known: Option<Known>,
    /// Why the latest read failed; `None` if it succeeded or was cancelled.
    failure: Option<SecretError>,
    pace: Pace,
}

impl Reads {
    /// The secrets, if they are younger than the limit.
    fn known_for(&self, limit: Duration, now: OffsetDateTime) -> Option<Known> {
        let known = self.known.as_ref()?;
        (Duration::ZERO..limit)
            .contains(&(now - known.read_at))
            .then(|| known.clone())
    }

    /// Why there are no secrets, if no read is allowed now.
    fn failure(&self, parameter: &str) -> SecretError {
        let late = || aws::Error::timed_out("ssm:GetParameter", parameter).into();
        self.failure.clone().unwrap_or_else(late)
    }
}

impl Secrets {
    /// Secrets that are not known yet.
    pub fn new(ssm: Client, parameter: String, ttl: Duration) -> Self {
        Self {
            ssm,
            parameter,
            ttl,
            reads: Mutex::default(),
        }
    }

    /// Reads the secrets during init. A failure is only logged: webhooks of the next seconds share it,
    /// later ones read again.
    pub async fn prefetch(&self, now: OffsetDateTime) {
        if let Err(error) = self.known(now).await {
            tracing::warn!(fault = %error.fault(), %error, "cannot read the webhook secret during init");
        }
    }

    /// Checks that GitHub signed the body.
    pub async fn check(
        &self,
        body: &[u8],
        signature: &Signature,
        now: OffsetDateTime,
    ) -> Result<(), CheckError> {
        let known = self.known(now).await?;
        if known.keys.signed(body, signature) {
            return Ok(());
        }
        let mut reads = self.reads.lock().await;
        reads.pace.mismatched(now);
        match self.newer(&mut reads, &known, now).await? {
            Some(newer) if newer.keys.signed(body, signature) => {
                reads.pace.matched();
                tracing::info!("the webhook's secret has changed");
                Ok(())
            }
            _ => Err(SignatureError::Mismatch.into()),
        }
    }

    /// The cached secrets; reads them if they are older than the TTL.
    async fn known(&self, now: OffsetDateTime) -> Result<Known, SecretError> {
        let mut reads = self.reads.lock().await;
        if let Some(known) = reads.known_for(self.ttl, now) {
            return Ok(known);
        }
        let stale = reads.known_for(STALE, now);
        let mut then = now;
        while reads.pace.allows(Reason::Due, then) {
            let error = match self.read(&mut reads, Reason::Due, then).await {
                Ok(known) => return Ok(known),
                Err(error) => error,
            };
            let pause = reads.pace.pause();
            if let Some(known) = stale {
                tracing::warn!(fault = %error.fault(), %error, "the secret read earlier is still used");
                return Ok(known);
            }
            if error.fault().class() != Class::Transient || pause > PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(pause.unsigned_abs()).await;
            then += pause;
        }
        stale.ok_or_else(|| reads.failure(&self.parameter))
    }

    /// Newer secrets than those that did not match; `None` if there are none. Fails while the parameter
    /// cannot be read, because newer ones may exist.
    async fn newer(
        &self,
        reads: &mut Reads,
        tried: &Known,
        now: OffsetDateTime,
    ) -> Result<Option<Known>, SecretError> {
        match reads.known.as_ref() {
            // Another webhook read them while this one tried the old ones.
            Some(known) if known.read_at > tried.read_at => Ok(Some(known.clone())),
            _ if reads.pace.allows(Reason::Mismatch, now) => {
                self.read(reads, Reason::Mismatch, now).await.map(Some)
            }
            _ => reads.failure.clone().map_or(Ok(None), Err),
        }
    }

    async fn read(
        &self,
        reads: &mut Reads,
        reason: Reason,
        now: OffsetDateTime,
    ) -> Result<Known, SecretError> {
        reads.pace.began(reason, now, runtime::random::fraction());
        reads.failure = None;
        match self.get(now).await {
            Ok(known) => {
                reads.pace.succeeded();
                Ok(reads.known.insert(known).clone())
            }
            Err(error) => Err(reads.failure.insert(error).clone()),
        }
    }

    /// Calls SSM once. [`Pace`] counts calls, so the SDK must not retry.
    async fn get(&self, now: OffsetDateTime) -> Result<Known, SecretError> {
        let parameter = &self.parameter;
        let answer = self
            .ssm
            .get_parameter()
            .name(parameter)
            .with_decryption(true)
            .customize()
            .config_override(Config::builder().retry_config(RetryConfig::disabled()))
            .send()
            .await
            .map_err(|error| {
                let missing = error
                    .as_service_error()
                    .is_some_and(GetParameterError::is_parameter_not_found);
                if missing {
                    SecretError::Missing(parameter.clone())
                } else {
                    aws::Error::new("ssm:GetParameter", parameter, &error).into()
                }
            })?;
        let keys = answer
            .parameter()
            .and_then(|found| found.value())
            .and_then(Keys::parse)
            .ok_or_else(|| SecretError::Empty(parameter.clone()))?;
        Ok(Known { keys, read_at: now })
    }
}
