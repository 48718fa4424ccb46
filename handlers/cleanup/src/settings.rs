//! Settings of `cleanup`.

use std::time::Duration;

use decisions::Budget;
use github::RunnerScope;
use runtime::settings::{Error, Settings, Variable, shared};
use runtime::telemetry;

const FAULT_BUDGET: Variable = Variable::with_default(
    "FAULT_BUDGET",
    "5",
    "attempts of an execution that may end in a fault before it gives up",
);
const QUEUE_LIMIT_SECONDS: Variable = Variable::with_default(
    "QUEUE_LIMIT_SECONDS",
    "86400",
    "seconds that a job may be queued at GitHub; GitHub cancels it after a day",
);
const RELAUNCH_GRACE_SECONDS: Variable = Variable::with_default(
    "RELAUNCH_GRACE_SECONDS",
    "90",
    "minimum seconds before a retry of a job",
);
const RUNNER_LOG_GROUP: Variable = Variable::optional(
    "RUNNER_LOG_GROUP",
    "log group of the runners, for an execution's output",
);
const CHECK_RUNS: Variable = Variable::with_default(
    "CHECK_RUNS",
    "false",
    "whether a job that is given up gets a neutral check run on its commit; the App needs `Checks: read and write`",
);

pub const VARIABLES: &[&[Variable]] = &[
    &[
        shared::RUNNER_SCOPE,
        FAULT_BUDGET,
        QUEUE_LIMIT_SECONDS,
        RELAUNCH_GRACE_SECONDS,
        RUNNER_LOG_GROUP,
        CHECK_RUNS,
    ],
    fleet::VARIABLES,
    github::secrets::VARIABLES,
    aws::VARIABLES,
    telemetry::VARIABLES,
];

#[derive(Clone, Debug)]
pub struct Config {
    pub scope: RunnerScope,
    /// Limits of an execution.
    pub budget: Budget,
    pub log_group: Option<String>,
    pub check_runs: bool,
}

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            scope: settings.parsed(&shared::RUNNER_SCOPE)?,
            budget: Budget {
                faults: settings.parsed(&FAULT_BUDGET)?,
                queue: settings.seconds(&QUEUE_LIMIT_SECONDS)?,
                grace: settings.seconds(&RELAUNCH_GRACE_SECONDS)?,
            },
            log_group: settings.maybe(&RUNNER_LOG_GROUP),
            check_runs: settings.flag(&CHECK_RUNS)?,
        })
    }

    /// How long a displaced job may find another runner before it is checked.
    pub fn check_after(&self) -> Duration {
        self.budget.grace
    }
}
