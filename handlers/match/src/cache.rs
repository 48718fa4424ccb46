//! In-memory cache of the task-definition catalogue.
//!
//! ```text
//! cached, younger than the TTL ─────────────────────▶ use it, no call
//! older ──▶ published in SSM, younger than 15 min ──▶ use that (unless the cached one is newer)
//!      └──▶ not published, too old, unreadable ─────▶ read ECS
//! ```
//!
//! A lock is held while a catalogue is fetched: concurrent callers wait and share the result.

use std::ops::Range;
use std::sync::Arc;

use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use catalogue::{Catalogue, Trust};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use crate::settings::Config;

/// Allowed age of a published catalogue. `sweep` publishes every five minutes, so an older one means
/// that two sweeps in a row failed. It may be up to a second in the future, because clocks differ.
const PUBLISHED_AGE: Range<Duration> = Duration::seconds(-1)..Duration::minutes(15);

/// A catalogue of this age is not read again for a job that it does not serve. Otherwise a workflow
/// with a mistyped label would cause one read of ECS per job.
const FRESH: Duration = Duration::seconds(10);

/// The catalogue's sources and the cached copy.
#[derive(Debug)]
pub struct CatalogueCache {
    ecs: aws_sdk_ecs::Client,
    ssm: aws_sdk_ssm::Client,
    family_prefix: String,
    trust: Trust,
    parameter: String,
    ttl: std::time::Duration,
    at_hand: Mutex<Option<AtHand>>,
}

#[derive(Debug)]
struct AtHand {
    catalogue: Arc<Catalogue>,
    /// When it was last compared with the published one.
    since: OffsetDateTime,
}

impl CatalogueCache {
    /// An empty cache.
    pub fn new(config: &Config, ecs: aws_sdk_ecs::Client, ssm: aws_sdk_ssm::Client) -> Self {
        Self {
            ecs,
            ssm,
            family_prefix: config.family_prefix.clone(),
            trust: config.trust.clone(),
            parameter: catalogue::parameter(&config.prefix),
            ttl: config.ttl,
            at_hand: Mutex::new(None),
        }
    }

    /// The cached catalogue, or the published one, or a new read of ECS.
    pub async fn catalogue(&self, now: OffsetDateTime) -> Result<Arc<Catalogue>, aws::Error> {
        let mut at_hand = self.at_hand.lock().await;
        if let Some(at_hand) = at_hand.as_ref()
            && (Duration::ZERO..self.ttl.try_into().unwrap_or(Duration::MAX))
                .contains(&(now - at_hand.since))
        {
            return Ok(Arc::clone(&at_hand.catalogue));
        }
        let catalogue = match (self.published(now).await?, at_hand.take()) {
            // The cached one was read after the last publication, for a job that the published one
            // did not serve.
            (Some(published), Some(at_hand)) if at_hand.catalogue.read_at > published.read_at => {
                at_hand.catalogue
            }
            (Some(published), _) => Arc::new(published),
            (None, _) => Arc::new(self.read(now).await?),
        };
        *at_hand = Some(AtHand {
            catalogue: Arc::clone(&catalogue),
            since: now,
        });
        Ok(catalogue)
    }

    /// A new read of ECS, for a job that `seen` does not serve; `None` if `seen` is fresh.
    pub async fn newer(
        &self,
        seen: &Catalogue,
        now: OffsetDateTime,
    ) -> Result<Option<Arc<Catalogue>>, aws::Error> {
        if now - seen.read_at < FRESH {
            return Ok(None);
        }
        let mut at_hand = self.at_hand.lock().await;
        if let Some(at_hand) = at_hand.as_ref()
            && now - at_hand.catalogue.read_at < FRESH
        {
            // Another caller fetched it while this one waited for the lock.
            return Ok(Some(Arc::clone(&at_hand.catalogue)));
        }
        let catalogue = Arc::new(self.read(now).await?);
        *at_hand = Some(AtHand {
            catalogue: Arc::clone(&catalogue),
            since: now,
        });
        Ok(Some(catalogue))
    }

    async fn read(&self, now: OffsetDateTime) -> Result<Catalogue, aws::Error> {
        let found = catalogue::read(&self.ecs, &self.family_prefix, now).await?;
        Ok(self.trust.sort(found).0)
    }

    /// The published catalogue, if it is usable. Only an outage is an error: falling back to ECS
    /// then would make every sandbox read ECS at once.
    async fn published(&self, now: OffsetDateTime) -> Result<Option<Catalogue>, aws::Error> {
        let parameter = self.parameter.as_str();
        let answer = match self.ssm.get_parameter().name(parameter).send().await {
            Ok(answer) => answer,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetParameterError::is_parameter_not_found) =>
            {
                tracing::info!(parameter, "no catalogue has been published yet");
                return Ok(None);
            }
            Err(error) => {
                let error = aws::Error::new("ssm:GetParameter", parameter, &error);
                if error.kind() == aws::ErrorKind::Refused {
                    tracing::warn!(parameter, %error, "cannot read the published catalogue; reading ECS instead");
                    return Ok(None);
                }
                return Err(error);
            }
        };
        let text = answer.parameter().and_then(|found| found.value());
        match Catalogue::decode(text.unwrap_or_default()) {
            Ok(catalogue) if PUBLISHED_AGE.contains(&(now - catalogue.read_at)) => {
                // `sweep` publishes only what it trusts, but its settings may differ from
                // `match`'s.
                Ok(Some(self.trust.sort(catalogue).0))
            }
            Ok(catalogue) => {
                tracing::warn!(parameter, read_at = %catalogue.read_at, "the published catalogue is too old; reading ECS instead. Check that sweep runs");
                Ok(None)
            }
            Err(error) => {
                tracing::warn!(parameter, %error, "cannot parse the published catalogue; reading ECS instead");
                Ok(None)
            }
        }
    }
}
