//! Reads the catalogue of task definitions from ECS and publishes it for `match`.

use std::collections::BTreeSet;

use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use catalogue::{Catalogue, PREFIX_TAG, STANDARD_LIMIT, Trust};
use runtime::telemetry::Metric;
use time::OffsetDateTime;

use crate::{Deps, parameter};

/// Reads the catalogue's offers from ECS. Logs and counts task definitions that have the prefix but
/// are no offers: one may need its team's tag, or someone may have registered it to receive our
/// jobs.
pub async fn read(deps: &Deps, now: OffsetDateTime) -> Result<Catalogue, fleet::Error> {
    let found = catalogue::read(&deps.fleet.ecs, &deps.config.family_prefix, now).await?;
    let trust = Trust {
        prefix: deps.fleet.prefix.clone(),
        trusted: deps.config.trusted,
    };
    let (offers, others) = trust.sort(found);
    for other in &others {
        tracing::info!(
            family = other.definition.family,
            deployment = other.deployment.as_deref().unwrap_or("none"),
            tag = PREFIX_TAG,
            "ignoring a task definition with this deployment's prefix: its tag names another deployment, or none"
        );
    }
    count(deps, Metric::ForeignDefinitions, others.len());
    Ok(offers)
}

/// Publishes the catalogue in one parameter. Returns how many families the last one did not have.
pub async fn publish(deps: &Deps, found: &Catalogue) -> Result<usize, fleet::Error> {
    let text = match found.encode() {
        Ok(text) => text,
        Err(error) => {
            // `match` then reads ECS itself, as before the first sweep.
            tracing::warn!(%error, "cannot encode the catalogue; not publishing it");
            return Ok(0);
        }
    };
    let tier = if text.len() > STANDARD_LIMIT {
        ParameterTier::Advanced
    } else {
        ParameterTier::Standard
    };
    let name = catalogue::parameter(&deps.fleet.prefix);
    let before = published(deps, &name).await;
    deps.fleet
        .ssm
        .put_parameter()
        .name(&name)
        .value(text)
        .r#type(ParameterType::String)
        .tier(tier)
        .overwrite(true)
        .send()
        .await
        .map_err(|error| aws::Error::new("ssm:PutParameter", name, &error))?;
    let new: Vec<_> = before
        .iter()
        .flat_map(|before| {
            let families = found
                .offers
                .iter()
                .map(|offer| offer.definition.family.as_str());
            families.filter(|family| !before.contains(*family))
        })
        .collect();
    for family in &new {
        tracing::warn!(family, "found a new family of task definitions");
    }
    count(deps, Metric::NewFamilies, new.len());
    Ok(new.len())
}

/// The families of the published catalogue; `None` if unknown. A failure must not prevent the
/// publication of the new one.
async fn published(deps: &Deps, name: &str) -> Option<BTreeSet<String>> {
    let text = match parameter::read(deps, name).await {
        Ok(text) => text?,
        Err(error) => {
            tracing::warn!(%error, "cannot read the published catalogue; not reporting new families");
            return None;
        }
    };
    let catalogue = Catalogue::decode(&text).ok()?;
    Some(
        catalogue
            .offers
            .into_iter()
            .map(|offer| offer.definition.family)
            .collect(),
    )
}

/// Emits a count unless it is zero, because a metric costs money as soon as it has a value.
fn count(deps: &Deps, metric: Metric, number: usize) {
    if number > 0 {
        #[expect(clippy::cast_precision_loss, reason = "families, not atoms")]
        let value = number as f64;
        deps.metrics().emit(metric, value);
    }
}
