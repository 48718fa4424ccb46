//! Whether the operator has paused the deployment.
//!
//! The parameter `/<prefix>/paused` is there while it is. Its absence is remembered for half a minute, so a
//! webhook costs no call. A read that fails or is not answered counts as not paused, for as long: a
//! deployment that cannot read must not leave jobs behind, nor wait for each of them.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::deadline::ANSWER;

/// How long the parameter's absence is remembered.
pub const TTL: Duration = Duration::seconds(30);
/// How long its presence is: `sweep` asks for the deliveries again as soon as the pause is over, and a
/// second time only after ten minutes.
pub const TTL_PAUSED: Duration = Duration::seconds(2);

/// The parameter, and what was last read from it.
#[derive(Debug)]
pub struct Pause {
    ssm: Client,
    parameter: String,
    /// Locked during a read, so that concurrent webhooks share its result.
    known: Mutex<Option<(bool, OffsetDateTime)>>,
}

impl Pause {
    pub fn new(ssm: Client, parameter: String) -> Self {
        Self {
            ssm,
            parameter,
            known: Mutex::default(),
        }
    }

    /// Whether it is paused, as of at most half a minute ago.
    pub async fn is_on(&self, now: OffsetDateTime) -> bool {
        let mut known = self.known.lock().await;
        if let Some((paused, at)) = *known {
            let ttl = if paused { TTL_PAUSED } else { TTL };
            if (Duration::ZERO..ttl).contains(&(now - at)) {
                return paused;
            }
        }
        let paused = timeout(ANSWER, self.read()).await.unwrap_or_else(|_| {
            tracing::warn!(
                parameter = self.parameter,
                "no answer whether the deployment is paused; going on"
            );
            false
        });
        *known = Some((paused, now));
        paused
    }

    async fn read(&self) -> bool {
        match self.ssm.get_parameter().name(&self.parameter).send().await {
            Ok(_) => true,
            Err(error) => {
                let absent = error
                    .as_service_error()
                    .is_some_and(GetParameterError::is_parameter_not_found);
                if !absent {
                    let error = aws::Error::new("ssm:GetParameter", &self.parameter, &error);
                    tracing::warn!(%error, "cannot read whether the deployment is paused; going on");
                }
                false
            }
        }
    }
}
