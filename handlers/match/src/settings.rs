//! Settings of `match`.

use std::time::Duration;

use catalogue::{TRUSTED_DEFINITIONS, Trust};
use protocol::DeploymentId;
use runtime::settings::{Error, Settings, Variable, shared};
use runtime::telemetry;

const FAMILY_PREFIX: Variable = Variable::optional(
    "FAMILY_PREFIX",
    "prefix of the task definition families to offer; `<PREFIX>-` if not set",
);
const CATALOGUE_TTL_SECONDS: Variable = Variable::with_default(
    "CATALOGUE_TTL_SECONDS",
    "60",
    "seconds that the catalogue of task definitions is cached",
);

pub const VARIABLES: &[&[Variable]] = &[
    &[
        shared::DEPLOYMENT,
        shared::PREFIX,
        FAMILY_PREFIX,
        TRUSTED_DEFINITIONS,
        CATALOGUE_TTL_SECONDS,
    ],
    aws::VARIABLES,
    telemetry::VARIABLES,
];

#[derive(Clone, Debug)]
pub struct Config {
    pub deployment: DeploymentId,
    /// Which definitions are offers.
    pub trust: Trust,
    /// The first segment of SSM paths.
    pub prefix: String,
    /// Prefix of the task definition families.
    pub family_prefix: String,
    /// How long a catalogue is cached without reading SSM.
    pub ttl: Duration,
}

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let prefix = settings.text(&shared::PREFIX)?;
        Ok(Self {
            deployment: settings.parsed(&shared::DEPLOYMENT)?,
            trust: Trust {
                prefix: prefix.clone(),
                trusted: settings.parsed(&TRUSTED_DEFINITIONS)?,
            },
            family_prefix: settings
                .maybe(&FAMILY_PREFIX)
                .unwrap_or_else(|| format!("{prefix}-")),
            prefix,
            ttl: settings.seconds(&CATALOGUE_TTL_SECONDS)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_begin_with_the_prefix_unless_told_otherwise() {
        let read = |pairs: &[(&str, &str)]| {
            Config::from_settings(&Settings::from_pairs(pairs.iter().copied())).unwrap()
        };
        let set = [("DEPLOYMENT", "fr"), ("PREFIX", "fargate-runners")];
        assert_eq!(read(&set).family_prefix, "fargate-runners-");
        let told = [set[0], set[1], ("FAMILY_PREFIX", "ci-")];
        assert_eq!(read(&told).family_prefix, "ci-");
    }
}
