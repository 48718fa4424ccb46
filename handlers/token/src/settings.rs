//! What the operator decides about registrations.

use std::str::FromStr;

use admission::Sources;
use github::RunnerScope;
use protocol::{DeploymentId, PlannedRunner};
use runtime::settings::{Error, Settings, Variable, shared};
use runtime::telemetry;

use crate::warm;

const RUNNER_GROUP: Variable = Variable::with_default(
    "RUNNER_GROUP",
    "Default",
    "runner group of the runners, by name; only at an organization. A task definition's `GH:runner-group` tag goes first",
);
const REGISTRATION: Variable = Variable::with_default(
    "REGISTRATION",
    "jit",
    "how runners register: `jit`, or `token` for GHES without just-in-time runners",
);
const KMS_KEY_ID: Variable = Variable::optional(
    "KMS_KEY_ID",
    "KMS key that encrypts the registrations; the AWS-managed key of SSM if not set",
);

/// Every variable that `token` reads.
pub const VARIABLES: &[&[Variable]] = &[
    &[
        shared::DEPLOYMENT,
        shared::RUNNER_SCOPE,
        RUNNER_GROUP,
        REGISTRATION,
        KMS_KEY_ID,
    ],
    warm::VARIABLES,
    pool::VARIABLES,
    &[pool::CAPS],
    admission::REGISTRATION_VARIABLES,
    github::secrets::VARIABLES,
    aws::VARIABLES,
    telemetry::VARIABLES,
];

/// How a runner registers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With a configuration that GitHub made for this one runner.
    Jit,
    /// With a registration token and `config.sh`.
    Token,
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "jit" => Ok(Self::Jit),
            "token" => Ok(Self::Token),
            _ => Err("give `jit` or `token`"),
        }
    }
}

/// The configuration of `token`.
#[derive(Clone, Debug)]
pub struct Config {
    pub deployment: DeploymentId,
    pub scope: RunnerScope,
    pub runner_group: String,
    pub mode: Mode,
    /// Where code may come from.
    pub sources: Sources,
    /// The key that encrypts their registrations.
    pub kms_key_id: Option<String>,
}

impl Config {
    /// The name of a runner's group: the one that its task definition names, else the deployment's.
    pub fn group_of<'a>(&'a self, runner: &'a PlannedRunner) -> &'a str {
        runner.group.as_deref().unwrap_or(&self.runner_group)
    }

    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            deployment: settings.parsed(&shared::DEPLOYMENT)?,
            scope: settings.parsed(&shared::RUNNER_SCOPE)?,
            runner_group: settings.text(&RUNNER_GROUP)?,
            mode: settings.parsed(&REGISTRATION)?,
            sources: Sources::from_settings(settings)?,
            kms_key_id: settings.maybe(&KMS_KEY_ID),
        })
    }
}
