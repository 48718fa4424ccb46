//! Writing a registration where its runner takes it from.

use aws::ErrorKind;
use aws_sdk_ssm::types::{ParameterTier, ParameterType, Tag};
use protocol::sanitize::tag_value;
use protocol::{Job, PlannedRunner, Registration, Secret, TAG_PREFIX};

use crate::{Deps, Error};

/// What a standard parameter holds, in bytes; what is larger costs money ([limits]).
///
/// [limits]: https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
const STANDARD_LIMIT: usize = 4_096;
const ADVANCED_LIMIT: usize = 8_192;

/// Writes the registration to the runner's path. What an earlier try has left there is replaced.
pub async fn deposit(
    deps: &Deps,
    job: &Job,
    runner: &PlannedRunner,
    registration: &Registration,
) -> Result<(), Error> {
    let value = registration.encode()?;
    let tier = tier(value.expose().len())?;
    let tags = tags(deps, job, runner);
    let written = match put(deps, runner, &value, Write::New(tier.clone(), tags)).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            put(deps, runner, &value, Write::Again).await
        }
        written => written,
    };
    written.map_err(Error::Put)?;
    tracing::info!(parameter = %runner.parameter, bytes = value.expose().len(), tier = tier.as_str(), "registration written");
    Ok(())
}

/// SSM takes tags only for a new parameter; they stay when its value is replaced.
enum Write {
    New(ParameterTier, Vec<Tag>),
    Again,
}

async fn put(
    deps: &Deps,
    runner: &PlannedRunner,
    value: &Secret,
    write: Write,
) -> Result<(), aws::Error> {
    let path = runner.parameter.to_string();
    let put = deps
        .ssm
        .put_parameter()
        .name(&path)
        .value(value.expose())
        .r#type(ParameterType::SecureString)
        .set_key_id(deps.config.kms_key_id.clone());
    let put = match write {
        Write::New(tier, tags) => put.tier(tier).set_tags(Some(tags)),
        // An advanced parameter cannot become a standard one, and this tier leaves it as it is.
        Write::Again => put.tier(ParameterTier::IntelligentTiering).overwrite(true),
    };
    put.send()
        .await
        .map_err(|error| aws::Error::new("ssm:PutParameter", path, &error))?;
    Ok(())
}

fn tier(bytes: usize) -> Result<ParameterTier, Error> {
    if bytes <= STANDARD_LIMIT {
        Ok(ParameterTier::Standard)
    } else if bytes <= ADVANCED_LIMIT {
        Ok(ParameterTier::Advanced)
    } else {
        Err(Error::TooLarge {
            bytes,
            limit: ADVANCED_LIMIT,
        })
    }
}

fn tags(deps: &Deps, job: &Job, runner: &PlannedRunner) -> Vec<Tag> {
    [
        ("deployment", deps.config.deployment.to_string()),
        ("execution", runner.name.execution().to_string()),
        ("job-id", job.id.to_string()),
        ("repository", job.repository.to_string()),
    ]
    .into_iter()
    // A tag only fails to be built without key or value.
    .filter_map(|(key, value)| {
        Tag::builder()
            .key(format!("{TAG_PREFIX}:{key}"))
            .value(tag_value(&value))
            .build()
            .ok()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_not_fit_a_standard_parameter_is_advanced() {
        assert_eq!(tier(4_096).unwrap(), ParameterTier::Standard);
        assert_eq!(tier(4_097).unwrap(), ParameterTier::Advanced);
        assert_eq!(tier(8_192).unwrap(), ParameterTier::Advanced);
        assert!(matches!(
            tier(8_193),
            Err(Error::TooLarge { bytes: 8_193, .. })
        ));
    }
}
