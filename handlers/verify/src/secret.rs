//! The webhook's secrets, kept for a while.
//!
//! A read that failed is never kept: this webhook fails, the next one tries again. A signature that
//! does not match has the parameter read once more, so that a secret changed a minute ago costs no
//! webhook; strangers can have that done too, so never more often than every [`REREAD`].

use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use protocol::Fault;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use crate::signature::{Keys, Signature, SignatureError};

/// Secrets this young are not read again for a signature that does not match. SSM answers 40 calls a
/// second to the whole account; a flood of forged webhooks must not take them.
const REREAD: Duration = Duration::seconds(5);

/// Why the secrets are not known.
#[derive(Debug, thiserror::Error)]
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
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    keys: Keys,
    read_at: OffsetDateTime,
}

impl Secrets {
    /// Secrets that are not known yet.
    pub fn new(ssm: Client, parameter: String, ttl: Duration) -> Self {
        Self {
            ssm,
            parameter,
            ttl,
            known: Mutex::new(None),
        }
    }

    /// Reads the secrets before anybody asks for them. A failure is only logged: the first webhook
    /// reads again, and fails by itself if it has to.
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
        match self.newer(&known, now).await? {
            Some(newer) if newer.keys.signed(body, signature) => {
                tracing::info!("the webhook secret has changed");
                Ok(())
            }
            _ => Err(SignatureError::Mismatch.into()),
        }
    }

    /// The secrets, read again where they are older than their time.
    async fn known(&self, now: OffsetDateTime) -> Result<Known, SecretError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref()
            && (Duration::ZERO..self.ttl).contains(&(now - known.read_at))
        {
            return Ok(known.clone());
        }
        *known = None;
        Ok(known.insert(self.read(now).await?).clone())
    }

    /// Secrets newer than those that did not match; none where those are as new as it gets.
    async fn newer(
        &self,
        tried: &Known,
        now: OffsetDateTime,
    ) -> Result<Option<Known>, SecretError> {
        let mut known = self.known.lock().await;
        match known.as_ref() {
            // Somebody else read them while this one tried the old ones.
            Some(known) if known.read_at > tried.read_at => return Ok(Some(known.clone())),
            _ if now - tried.read_at < REREAD => return Ok(None),
            _ => {}
        }
        Ok(Some(known.insert(self.read(now).await?).clone()))
    }

    async fn read(&self, now: OffsetDateTime) -> Result<Known, SecretError> {
        let parameter = &self.parameter;
        let answer = self
            .ssm
            .get_parameter()
            .name(parameter)
            .with_decryption(true)
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
