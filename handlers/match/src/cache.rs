//! The catalogue that a sandbox keeps at hand.
//!
//! ```text
//! younger than the TTL ─────────────────────────────▶ used, no call
//! older ──▶ published in SSM, younger than 15 min ──▶ used (unless what is at hand is newer still)
//!      └──▶ not published, too old, unreadable ─────▶ read from ECS
//! ```
//!
//! One lock is held while a catalogue is fetched: whoever comes meanwhile waits and finds it.

use std::ops::Range;
use std::sync::Arc;

use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use catalogue::{Catalogue, Trust};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use crate::settings::Config;

/// How old a published catalogue may be. `sweep` publishes every five minutes, so an older one means
/// that two sweeps in a row failed. The second that it may lie in the future is clocks that differ.
const PUBLISHED_AGE: Range<Duration> = Duration::seconds(-1)..Duration::minutes(15);

/// A catalogue this young is not read again for a job that it does not serve: were it, a workflow
/// with a mistyped label would have ECS read once per job.
const FRESH: Duration = Duration::seconds(10);

/// Where the catalogue comes from, and the one at hand.
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
    /// When it was last compared with what is published.
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

    /// The catalogue at hand, or the published one, or what ECS says now.
    pub async fn catalogue(&self, now: OffsetDateTime) -> Result<Arc<Catalogue>, aws::Error> {
        let mut at_hand = self.at_hand.lock().await;
        if let Some(at_hand) = at_hand.as_ref()
            && (Duration::ZERO..self.ttl.try_into().unwrap_or(Duration::MAX))
                .contains(&(now - at_hand.since))
        {
            return Ok(Arc::clone(&at_hand.catalogue));
        }
        let catalogue = match (self.published(now).await?, at_hand.take()) {
            // Read directly after the last publication, for a job that the published one lacked.
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

    /// What ECS says now, for a job that `seen` does not serve; none where `seen` is as fresh as it
    /// gets.
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
            // Somebody else fetched it while this one waited for the lock.
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

    /// The published catalogue, where there is one to be used. Only an outage is an error: to
    /// answer it with a direct read would turn every sandbox on ECS at once.
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
                // `sweep` publishes only what it trusts, and may have been told otherwise than `match`.
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
