//! Settings of every runner's task.

use std::time::Duration;

use protocol::DeploymentId;
use runtime::settings::{Error, Settings, Variable, shared};

const SUBNETS: Variable = Variable::required("SUBNETS", "subnets of the runners, comma separated");
const SECURITY_GROUPS: Variable = Variable::required(
    "SECURITY_GROUPS",
    "security groups of the runners, comma separated",
);
const ASSIGN_PUBLIC_IP: Variable = Variable::with_default(
    "ASSIGN_PUBLIC_IP",
    "false",
    "whether runners get a public IP address (required in public subnets)",
);
const CAPACITY: Variable = Variable::with_default(
    "CAPACITY",
    "FARGATE",
    "capacity providers in order of preference; the next one is used when one has no capacity. A task definition's `GH:capacity` tag takes precedence",
);
const PLATFORM_VERSION: Variable =
    Variable::with_default("PLATFORM_VERSION", "LATEST", "Fargate platform version");
const IDLE_LIMIT_SECONDS: Variable = Variable::with_default(
    "IDLE_LIMIT_SECONDS",
    "300",
    "seconds that a runner listens without a job before it exits; GitHub drops idle just-in-time runners after 2 to 6 minutes",
);

/// Variables of [`Placement::from_settings`].
pub const VARIABLES: &[Variable] = &[
    shared::DEPLOYMENT,
    shared::CLUSTER,
    SUBNETS,
    SECURITY_GROUPS,
    ASSIGN_PUBLIC_IP,
    CAPACITY,
    PLATFORM_VERSION,
    IDLE_LIMIT_SECONDS,
];

/// What all runners' tasks of a deployment have in common.
#[derive(Clone, Debug)]
pub struct Placement {
    pub deployment: DeploymentId,
    /// The cluster's name or ARN.
    pub cluster: String,
    /// The subnets; never empty.
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub public_ip: bool,
    /// Capacity providers in order of preference; never empty.
    pub capacity: Vec<String>,
    pub platform_version: String,
    /// How long a registered runner listens without a job.
    pub idle_limit: Duration,
}

impl Placement {
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        settings.text(&SUBNETS)?;
        settings.text(&SECURITY_GROUPS)?;
        Ok(Self {
            deployment: settings.parsed(&shared::DEPLOYMENT)?,
            cluster: settings.text(&shared::CLUSTER)?,
            subnets: settings.list(&SUBNETS),
            security_groups: settings.list(&SECURITY_GROUPS),
            public_ip: settings.flag(&ASSIGN_PUBLIC_IP)?,
            capacity: settings.list(&CAPACITY),
            platform_version: settings.text(&PLATFORM_VERSION)?,
            idle_limit: settings.seconds(&IDLE_LIMIT_SECONDS)?,
        })
    }
}
