//! Settings of `launch`.

use decisions::RepositoryRoles;
use placement::Placement;
use runtime::settings::{Error, Settings, Variable, shared};
use runtime::telemetry;

const REPOSITORY_ROLES: Variable = Variable::with_default(
    "REPOSITORY_ROLES",
    "{}",
    "JSON: the name of the role that the jobs of a repository (`owner/name`, or `owner/*`) run under instead of their task definition's",
);
const TASK_ROLES: Variable = Variable::optional(
    "TASK_ROLES",
    "what the ARNs of REPOSITORY_ROLES begin with, up to the role's name: `arn:aws:iam::ACCOUNT:role/PATH/`; required with them",
);

pub const VARIABLES: &[&[Variable]] = &[
    placement::VARIABLES,
    &[
        shared::PREFIX,
        shared::RUNNER_SCOPE,
        REPOSITORY_ROLES,
        TASK_ROLES,
    ],
    telemetry::VARIABLES,
];

#[derive(Clone, Debug)]
pub struct Config {
    /// The first segment of SSM paths.
    pub prefix: String,
    pub placement: Placement,
    /// Roles of repositories, by their names.
    pub roles: RepositoryRoles,
    /// What their ARNs begin with. Only roles under this path can be named.
    pub task_roles: String,
    /// Whether runners register at the organization, where there is one.
    pub at_organization: bool,
}

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let roles: RepositoryRoles = settings.parsed(&REPOSITORY_ROLES)?;
        Ok(Self {
            placement: Placement::from_settings(settings)?,
            prefix: settings.text(&shared::PREFIX)?,
            task_roles: if roles == RepositoryRoles::default() {
                String::new()
            } else {
                settings.text(&TASK_ROLES)?
            },
            roles,
            at_organization: settings.text(&shared::RUNNER_SCOPE)? == "organization",
        })
    }
}
