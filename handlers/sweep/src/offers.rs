//! The catalogue of task definitions, published for `match`.

use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use catalogue::{STANDARD_LIMIT, parameter};
use time::OffsetDateTime;

use crate::Deps;

/// Reads the catalogue from ECS and puts it into one parameter.
pub async fn publish(deps: &Deps, now: OffsetDateTime) -> Result<(), fleet::Error> {
    let found = catalogue::read(&deps.fleet.ecs, &deps.config.family_prefix, now).await?;
    let text = match found.encode() {
        Ok(text) => text,
        Err(error) => {
            // `match` reads from ECS then, as it does before the first sweep.
            tracing::warn!(%error, "the catalogue is not published");
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
