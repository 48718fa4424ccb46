//! Settings of `sweep`.

use std::str::FromStr;
use std::time::Duration;

use admission::Policy;
use catalogue::{TRUSTED_DEFINITIONS, Trusted};
use github::RunnerScope;
use runtime::settings::{Error, Settings, Variable, shared};
use runtime::telemetry;

const SWEEP_IDLE_SECONDS: Variable = Variable::with_default(
    "SWEEP_IDLE_SECONDS",
    "240",
    "seconds that a runner may listen without a job before it is retired; at least 120, and less than the agent's limit",
);
const WAITING_LIMIT_SECONDS: Variable = Variable::with_default(
    "WAITING_LIMIT_SECONDS",
    "900",
    "seconds that a job may be queued before it counts as waiting too long",
);
const RECONCILE_CALLS: Variable = Variable::with_default(
    "RECONCILE_CALLS",
    "0",
    "GitHub calls that each sweep may spend on queued jobs in ALLOWED_REPOSITORIES whose webhook never came; 0 disables the search",
);
const FAMILY_PREFIX: Variable = Variable::required(
    "FAMILY_PREFIX",
    "prefix of this deployment's task definition families",
);

/// Minimum idle time. With less, a runner could be retired that a job depends on: GitHub may take a
/// minute to assign the job.
const SHORTEST_IDLE: u64 = 120;

struct Idle(Duration);

impl FromStr for Idle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(seconds @ SHORTEST_IDLE..) => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(format!(
                "use a whole number of seconds, {SHORTEST_IDLE} or more"
            )),
        }
    }
}

pub const VARIABLES: &[&[Variable]] = &[
    &[
        shared::RUNNER_SCOPE,
        SWEEP_IDLE_SECONDS,
        WAITING_LIMIT_SECONDS,
        FAMILY_PREFIX,
        TRUSTED_DEFINITIONS,
        RECONCILE_CALLS,
    ],
    admission::VARIABLES,
    fleet::VARIABLES,
    github::secrets::VARIABLES,
    aws::VARIABLES,
    telemetry::VARIABLES,
];

/// How jobs without a webhook are looked for.
#[derive(Clone, Debug)]
pub struct Reconcile {
    /// Calls per sweep.
    pub calls: u32,
    /// Which jobs are served.
    pub policy: Policy,
}

impl Reconcile {
    fn from_settings(settings: &Settings) -> Result<Option<Self>, Error> {
        let calls = settings.parsed(&RECONCILE_CALLS)?;
        if calls == 0 {
            return Ok(None);
        }
        let policy = Policy::from_settings(settings)?;
        Ok(Some(Self { calls, policy }))
    }
}

#[derive(Clone, Debug)]
pub struct Config {
    pub scope: RunnerScope,
    /// How long a runner may listen without a job.
    pub idle: Duration,
    /// How long a job may be queued before it is reported.
    pub waiting: Duration,
    /// How jobs without a webhook are looked for; not at all where no calls are granted.
    pub reconcile: Option<Reconcile>,
    /// Prefix of the task definition families.
    pub family_prefix: String,
    /// Which of them are offers.
    pub trusted: Trusted,
}

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            scope: settings.parsed(&shared::RUNNER_SCOPE)?,
            idle: settings.parsed::<Idle>(&SWEEP_IDLE_SECONDS)?.0,
            waiting: settings.seconds(&WAITING_LIMIT_SECONDS)?,
            reconcile: Reconcile::from_settings(settings)?,
            family_prefix: settings.text(&FAMILY_PREFIX)?,
            trusted: settings.parsed(&TRUSTED_DEFINITIONS)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_is_not_called_idle_before_two_minutes() {
        for (text, idle) in [
            ("240", Some(240)),
            ("120", Some(120)),
            ("119", None),
            ("x", None),
        ] {
            let read = text.parse::<Idle>().ok().map(|idle| idle.0.as_secs());
            assert_eq!(read, idle, "{text}");
        }
    }
}
