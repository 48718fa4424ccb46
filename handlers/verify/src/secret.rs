//! The webhook's secrets, kept for a while.
//!
//! A signature that does not match has the parameter read once more, so that a secret changed a minute
//! ago costs no webhook. Strangers can have that done too, and a sandbox that knows no secret has to
//! read for whoever comes: [`pace`] says when a read may begin. While reads fail, the secrets that are
//! known go on being used for up to an hour; without any, the failure is remembered instead of met
//! again.

pub mod pace;

use std::hash::{BuildHasher, RandomState};

use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::Config;
use aws_sdk_ssm::config::retry::RetryConfig;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use protocol::{Class, Fault};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use crate::signature::{Keys, Signature, SignatureError};
use pace::{Pace, Reason};

/// For how long secrets are used that cannot be read again.
const STALE: Duration = Duration::hours(1);

/// A webhook for which nothing is known waits this long for a second read after one that failed. A
/// burst of cold sandboxes is throttled together, and this spreads them.
const PATIENCE: Duration = Duration::seconds(4);

/// Why the secrets are not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such parameter.
    #[error(
        "SSM parameter {0} does not exist: run scripts/setup, or create it as a SecureString with the webhook secret"
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
    /// Held while the parameter is read: whoever comes meanwhile waits and finds it.
    reads: Mutex<Reads>,
}

#[derive(Clone, Debug)]
struct Known {
    keys: Keys,
    read_at: OffsetDateTime,
}

/// What came of the reads so far.
#[derive(Debug, Default)]
struct Reads {
    known: Option<Known>,
    /// Why the latest read brought nothing; none where it did, or was given up before it ended.
    failure: Option<SecretError>,
    pace: Pace,
}

impl Reads {
    /// The secrets, where they are young enough.
    fn known_for(&self, limit: Duration, now: OffsetDateTime) -> Option<Known> {
        let known = self.known.as_ref()?;
        (Duration::ZERO..limit)
            .contains(&(now - known.read_at))
            .then(|| known.clone())
    }

    /// Why there are no secrets, where none may be read now.
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

    /// Reads the secrets before anybody asks for them. A failure is only logged: a webhook that comes
    /// meanwhile shares it, a later one reads again.
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

    /// The secrets, read again where they are older than their time.
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

    /// Secrets newer than those that did not match; none where those are as new as it gets. While the
    /// parameter cannot be read, nobody can say whether they are.
    async fn newer(
        &self,
        reads: &mut Reads,
        tried: &Known,
        now: OffsetDateTime,
    ) -> Result<Option<Known>, SecretError> {
        match reads.known.as_ref() {
            // Somebody else read them while this one tried the old ones.
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
        reads.pace.began(reason, now, jitter());
        reads.failure = None;
        match self.get(now).await {
            Ok(known) => {
                reads.pace.succeeded();
                Ok(reads.known.insert(known).clone())
            }
            Err(error) => Err(reads.failure.insert(error).clone()),
        }
    }

    /// Asks SSM once: what [`Pace`] counts is calls, so the SDK must not repeat them.
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

/// A number from 0 to 1, another one in each sandbox.
fn jitter() -> f64 {
    let [low, high, ..] = RandomState::new().hash_one(()).to_le_bytes();
    f64::from(u16::from_le_bytes([low, high])) / f64::from(u16::MAX)
}
