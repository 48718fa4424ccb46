//! What the operator decides about sweeping.

use std::time::Duration;

use github::RunnerScope;
use settings::{Error, Settings, Variable, shared};

const SWEEP_IDLE_SECONDS: Variable = Variable::with_default(
    "SWEEP_IDLE_SECONDS",
    "600",
    "how long a runner may listen without a job before it is retired; less than the agent's own limit",
);
const WAITING_LIMIT_SECONDS: Variable = Variable::with_default(
    "WAITING_LIMIT_SECONDS",
    "900",
    "how long a job may be queued before it counts as waiting too long",
);
const FAMILY_PREFIX: Variable = Variable::required(
    "FAMILY_PREFIX",
    "what the families of this deployment's task definitions begin with",
);

/// Every variable that `sweep` reads.
pub const VARIABLES: &[&Variable] = &[
    &shared::DEPLOYMENT,
    &shared::PREFIX,
    &shared::CLUSTER,
    &shared::STATE_MACHINE_ARN,
    &shared::RUNNER_SCOPE,
    &SWEEP_IDLE_SECONDS,
    &WAITING_LIMIT_SECONDS,
    &FAMILY_PREFIX,
    &shared::GITHUB_API_URL,
    &shared::LOG_LEVEL,
];

/// The configuration of `sweep`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where runners are registered.
    pub scope: RunnerScope,
    /// When a listening runner is idle.
    pub idle: Duration,
    /// When a queued job waits too long.
    pub waiting: Duration,
    /// What families begin with.
    pub family_prefix: String,
}

impl Config {
    /// Reads the configuration.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            scope: settings.parsed(&shared::RUNNER_SCOPE)?,
            idle: settings.seconds(&SWEEP_IDLE_SECONDS)?,
            waiting: settings.seconds(&WAITING_LIMIT_SECONDS)?,
            family_prefix: settings.text(&FAMILY_PREFIX)?,
        })
    }
}
