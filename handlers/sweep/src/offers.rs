//! The catalogue of task definitions: read from ECS, and published for `match`.

use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use catalogue::{Catalogue, STANDARD_LIMIT, parameter};
use time::OffsetDateTime;

use crate::Deps;

/// Reads the catalogue from ECS.
pub async fn read(deps: &Deps, now: OffsetDateTime) -> Result<Catalogue, fleet::Error> {
    Ok(catalogue::read(&deps.fleet.ecs, &deps.config.family_prefix, now).await?)
}

/// Puts the catalogue into one parameter.
pub async fn publish(deps: &Deps, found: &Catalogue) -> Result<(), fleet::Error> {
    let text = match found.encode() {
        Ok(text) => text,
        Err(error) => {
            // `match` reads from ECS then, as it does before the first sweep.
            tracing::warn!(%error, "cannot publish the catalogue");
            return Ok(());
        }
    };
    let tier = if text.len() > STANDARD_LIMIT {
        ParameterTier::Advanced
    } else {
        ParameterTier::Standard
    };
    let name = parameter(&deps.fleet.prefix);
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
    Ok(())
}
