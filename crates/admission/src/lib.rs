//! Whose jobs are served: what the operator allows, read from the environment, and what a refused
//! webhook is answered.

pub mod answer;
mod owner;
mod policy;
mod required;

use protocol::Repository;
use runtime::settings::{Error, Settings, Variable};

pub use owner::{Owner, OwnerError};
pub use policy::{About, Policy, Refusal, Sources};
pub use required::{Required, RequiredError};

const ALLOWED_OWNERS: Variable = Variable::optional(
    "ALLOWED_OWNERS",
    "accounts whose jobs are served, separated by spaces or commas: by name, by `name:id` with the account's id at GitHub, or `*` for all; required unless ALLOWED_REPOSITORIES is set",
);
const ALLOWED_REPOSITORIES: Variable = Variable::optional(
    "ALLOWED_REPOSITORIES",
    "repositories (`owner/name`) whose jobs are served, separated by spaces or commas; all of ALLOWED_OWNERS if not set",
);
const ALLOW_PUBLIC_REPOSITORIES: Variable = Variable::with_default(
    "ALLOW_PUBLIC_REPOSITORIES",
    "false",
    "whether jobs of public repositories are served, in which strangers can run code",
);
const ALLOW_INTERNAL_REPOSITORIES: Variable = Variable::with_default(
    "ALLOW_INTERNAL_REPOSITORIES",
    "false",
    "whether jobs of internal repositories are served, which every member of the enterprise can read and may fork",
);
const ALLOW_FORKS: Variable = Variable::with_default(
    "ALLOW_FORKS",
    "true",
    "whether runs whose code comes from a fork are served; `false` costs one call at GitHub for each runner",
);
const REQUIRED_LABELS: Variable = Variable::with_default(
    "REQUIRED_LABELS",
    protocol::SELF_HOSTED,
    "labels that a job must request, separated by spaces or commas, with alternatives between `|`; `group:NAME` is for jobs without labels, as in `self-hosted | group:NAME | dependabot`",
);

/// What [`Policy::from_settings`] reads.
pub const VARIABLES: &[Variable] = &[
    ALLOWED_OWNERS,
    ALLOWED_REPOSITORIES,
    ALLOW_PUBLIC_REPOSITORIES,
    ALLOW_INTERNAL_REPOSITORIES,
    REQUIRED_LABELS,
];

/// Every variable of what is asked again when a runner is registered.
pub const REGISTRATION_VARIABLES: &[Variable] = &[
    ALLOW_PUBLIC_REPOSITORIES,
    ALLOW_INTERNAL_REPOSITORIES,
    ALLOW_FORKS,
];

impl Sources {
    /// Reads it.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            public: settings.flag(&ALLOW_PUBLIC_REPOSITORIES)?,
            internal: settings.flag(&ALLOW_INTERNAL_REPOSITORIES)?,
            forks: settings.flag(&ALLOW_FORKS)?,
        })
    }
}

impl Policy {
    /// Reads the policy. Somebody has to be named: an App that anybody can install would serve
    /// strangers otherwise.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let owners: Vec<Owner> = settings.parsed_list(&ALLOWED_OWNERS)?;
        let repositories: Vec<Repository> = settings.parsed_list(&ALLOWED_REPOSITORIES)?;
        if owners.is_empty() && repositories.is_empty() {
            return Err(Error::Missing {
                name: ALLOWED_OWNERS.name,
                meaning: ALLOWED_OWNERS.meaning,
            });
        }
        Ok(Self {
            owners,
            repositories,
            public: settings.flag(&ALLOW_PUBLIC_REPOSITORIES)?,
            internal: settings.flag(&ALLOW_INTERNAL_REPOSITORIES)?,
            required: settings.parsed(&REQUIRED_LABELS)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Policy, Error> {
        Policy::from_settings(&Settings::from_pairs(variables.iter().copied()))
    }

    #[test]
    fn whose_jobs_are_served_has_to_be_said() {
        for said in [
            ("ALLOWED_OWNERS", "octo"),
            ("ALLOWED_OWNERS", "*"),
            ("ALLOWED_REPOSITORIES", "octo/hello"),
        ] {
            assert!(read(&[said]).is_ok(), "{said:?}");
        }
        for unsaid in [
            &[][..],
            &[("ALLOWED_OWNERS", " ")],
            &[("ALLOWED_OWNERS", ","), ("ALLOWED_REPOSITORIES", "")],
        ] {
            let error = read(unsaid).unwrap_err().to_string();
            assert!(
                error.starts_with(
                    "environment variable ALLOWED_OWNERS is not set; set it to: accounts"
                ) && error.contains("`*` for all")
                    && error.contains("ALLOWED_REPOSITORIES"),
                "{error}"
            );
        }
    }
}
