//! Reads the catalogue of task definitions from ECS and publishes it for `match`.

use std::collections::BTreeSet;

use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use catalogue::{Catalogue, PREFIX_TAG, STANDARD_LIMIT, Trust};
use runtime::telemetry::Metric;
use time::{Duration, OffsetDateTime};

use crate::{Deps, parameter};

/// A published catalogue of this age is refreshed; of an older one, nothing is kept. Two sweeps may fail.
const REFRESHED_AGE: Duration = Duration::minutes(16);

/// Reads the catalogue's offers from ECS: all of the families that the published catalogue does not have,
/// and a third of the others. Returns the published one as well, if there is one. Logs and counts task definitions that have the prefix but
/// are no offers: one may need its team's tag, or someone may have registered it to receive our
/// jobs.
pub async fn read(
    deps: &Deps,
    now: OffsetDateTime,
) -> Result<(Catalogue, Option<Catalogue>), fleet::Error> {
    let before = published(deps).await;
    let (ecs, prefix) = (&deps.fleet.ecs, &deps.config.family_prefix);
    let recent = before.as_ref().filter(|before| {
        let age = now - before.read_at;
        (Duration::ZERO..REFRESHED_AGE).contains(&age)
    });
    let found = match recent {
        Some(known) => catalogue::refresh(ecs, prefix, now, known).await?,
        None => catalogue::read(ecs, prefix, now).await?,
    };
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
    Ok((offers, before))
}

/// Publishes the catalogue in one parameter. Returns how many families the one before did not have.
pub async fn publish(
    deps: &Deps,
    found: &Catalogue,
    before: Option<&Catalogue>,
) -> Result<usize, fleet::Error> {
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
    let before: Option<BTreeSet<_>> = before.map(|before| families(before).collect());
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
        .flat_map(|before| families(found).filter(|family| !before.contains(family)))
        .collect();
    for family in &new {
        tracing::warn!(family, "found a new family of task definitions");
    }
    count(deps, Metric::NewFamilies, new.len());
    Ok(new.len())
}

fn families(catalogue: &Catalogue) -> impl Iterator<Item = &str> {
    let offers = catalogue.offers.iter();
    offers.map(|offer| offer.definition.family.as_str())
}

/// The published catalogue; `None` if unknown. A failure must not prevent the publication of the new
/// one.
async fn published(deps: &Deps) -> Option<Catalogue> {
    let name = catalogue::parameter(&deps.fleet.prefix);
    match parameter::read(deps, &name).await {
        Ok(text) => Catalogue::decode(&text?).ok(),
        Err(error) => {
            tracing::warn!(%error, "cannot read the published catalogue; not reporting new families");
            None
        }
    }
}

/// Emits a count unless it is zero, because a metric costs money as soon as it has a value.
fn count(deps: &Deps, metric: Metric, number: usize) {
    if number > 0 {
        #[expect(clippy::cast_precision_loss, reason = "families, not atoms")]
        let value = number as f64;
        deps.metrics().emit(metric, value);
    }
}
