//! Whose jobs are served: what the operator allows, read from the environment, and what a refused
//! webhook is answered.

pub mod answer;
mod owner;
mod policy;
mod required;

use runtime::settings::{Error, Settings, Variable};

pub use owner::{Owner, OwnerError};
pub use policy::{About, Policy, Refusal, Sources};
pub use required::{Required, RequiredError};

const ALLOWED_OWNERS: Variable = Variable::optional(
    "ALLOWED_OWNERS",
    "accounts whose jobs are served, separated by spaces or commas: by name, by `name:id` with the account's id at GitHub, or `*` for all; all where it is not set",
);
const ALLOWED_REPOSITORIES: Variable = Variable::optional(
    "ALLOWED_REPOSITORIES",
    "repositories (`owner/name`) whose jobs are served, separated by spaces or commas; all if not set",
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
    /// Reads the policy.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            owners: settings.parsed_list(&ALLOWED_OWNERS)?,
            repositories: settings.parsed_list(&ALLOWED_REPOSITORIES)?,
            public: settings.flag(&ALLOW_PUBLIC_REPOSITORIES)?,
            internal: settings.flag(&ALLOW_INTERNAL_REPOSITORIES)?,
            required: settings.parsed(&REQUIRED_LABELS)?,
        })
    }
}
