//! The agent's settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::ParameterPath;
use runtime::settings::{Settings, Variable, shared};

use crate::watch::Limits;

const PARAMETER: Variable = Variable::required(
    "AGENT_PARAMETER",
    "path of the SSM parameter with this runner's registration; `launch` sets it",
);
const RUNNER: Variable = Variable::optional(
    "AGENT_RUNNER",
    "the runner's name in the log; taken from the path if not set",
);
const EXECUTION: Variable = Variable::optional(
    "AGENT_EXECUTION",
    "the execution that started this runner, for the log",
);
const IDLE_LIMIT: Variable = Variable::with_default(
    "AGENT_IDLE_LIMIT_SECONDS",
    "300",
    "seconds that the listener may listen without a job before the agent ends it",
);
const CONNECT_LIMIT: Variable = Variable::with_default(
    "AGENT_CONNECT_LIMIT_SECONDS",
    "180",
    "seconds until the listener must listen; then the agent ends it as `NoConnection`",
);
const LINGER_LIMIT: Variable = Variable::with_default(
    "AGENT_LINGER_LIMIT_SECONDS",
    "180",
    "seconds that the listener may run after its job, or after its job's worker process disappeared, before the agent ends it",
);
const STOP_LIMIT: Variable = Variable::with_default(
    "AGENT_STOP_LIMIT_SECONDS",
    "110",
    "seconds from the shutdown request until the agent kills the listener; keep it below the container's stopTimeout",
);
const SAMPLE: Variable = Variable::with_default(
    "AGENT_SAMPLE_SECONDS",
    "60",
    "seconds between log entries about memory and processes",
);
const CGROUP: Variable = Variable::with_default(
    "AGENT_CGROUP",
    "/sys/fs/cgroup",
    "cgroup directory of the container's memory (cgroup v2 or v1)",
);
const RUNNER_HOME: Variable = Variable::with_default(
    "AGENT_RUNNER_HOME",
    "/home/runner",
    "directory that contains `bin/Runner.Listener`",
);

/// Every variable that the agent reads.
pub const VARIABLES: &[Variable] = &[
    PARAMETER,
    RUNNER,
    EXECUTION,
    CONNECT_LIMIT,
    IDLE_LIMIT,
    LINGER_LIMIT,
    STOP_LIMIT,
    SAMPLE,
    CGROUP,
    RUNNER_HOME,
    shared::AWS_REGION,
    shared::AWS_ENDPOINT_URL,
];

/// The settings of one run.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) parameter: ParameterPath,
    pub(crate) limits: Limits,
    pub(crate) sample: Duration,
    pub(crate) cgroup: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) region: String,
    pub(crate) endpoint: Option<String>,
}

impl Config {
    pub(crate) fn read(settings: &Settings) -> Result<Self, runtime::settings::Error> {
        Ok(Self {
            parameter: settings.parsed(&PARAMETER)?,
            limits: Limits {
                connect: settings.seconds(&CONNECT_LIMIT)?,
                idle: settings.seconds(&IDLE_LIMIT)?,
                linger: settings.seconds(&LINGER_LIMIT)?,
                stop: settings.seconds(&STOP_LIMIT)?,
            },
            // The shortest interval: a sample is cheap, but not free.
            sample: settings.seconds(&SAMPLE)?.max(Duration::from_secs(1)),
            cgroup: settings.text(&CGROUP)?.into(),
            home: settings.text(&RUNNER_HOME)?.into(),
            region: settings.text(&shared::AWS_REGION)?,
            endpoint: settings.maybe(&shared::AWS_ENDPOINT_URL),
        })
    }

    pub(crate) fn listener(&self) -> PathBuf {
        self.home.join("bin/Runner.Listener")
    }

    pub(crate) fn configurator(&self) -> PathBuf {
        self.home.join("config.sh")
    }

    pub(crate) fn diagnostics(&self) -> PathBuf {
        self.home.join("_diag")
    }
}

/// The runner's and the execution's name for the log, before the settings are validated.
pub(crate) fn speaker(settings: &Settings) -> (Option<String>, Option<String>) {
    let named = || {
        settings
            .parsed::<ParameterPath>(&PARAMETER)
            .ok()
            .map(|path| path.runner().to_string())
    };
    (
        settings.maybe(&RUNNER).or_else(named),
        settings.maybe(&EXECUTION),
    )
}

/// Whether the path is an executable file.
pub(crate) fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/fargate-runners/runners/fr-hello-42/0123456789abcdef0123456789abcdef";

    #[test]
    fn defaults_suit_the_image() {
        let settings =
            Settings::from_pairs([("AGENT_PARAMETER", PATH), ("AWS_REGION", "eu-central-1")]);
        let config = Config::read(&settings).unwrap();
        assert_eq!(
            config.listener(),
            Path::new("/home/runner/bin/Runner.Listener")
        );
        let Limits {
            connect,
            idle,
            linger,
            stop,
        } = config.limits;
        assert_eq!(
            [connect, idle, linger, stop].map(|limit| limit.as_secs()),
            [180, 300, 180, 110]
        );
    }

    #[test]
    fn a_path_that_is_no_registration_is_refused_by_name() {
        let settings =
            Settings::from_pairs([("AGENT_PARAMETER", "/fargate-runners/github/private-key")]);
        let error = Config::read(&settings).unwrap_err().to_string();
        assert!(error.contains("AGENT_PARAMETER"), "{error}");
    }

    #[test]
    fn the_readme_says_what_is_read() {
        let readme = include_str!("../../README.md");
        let rows: Vec<&str> = readme
            .lines()
            .filter(|line| line.starts_with("| `A"))
            .collect();
        for variable in VARIABLES {
            let default = match variable.default {
                runtime::settings::Default::Required => "required".to_owned(),
                runtime::settings::Default::Absent => String::new(),
                runtime::settings::Default::Value(value) => format!("`{value}`"),
            };
            let row = format!("| `{}` | {default} | {} |", variable.name, variable.meaning)
                .replace("|  |", "| |");
            assert!(rows.contains(&row.as_str()), "the README lacks {row}");
        }
    }

    #[test]
    fn the_log_names_the_runner_even_where_only_the_path_does() {
        let settings = Settings::from_pairs([("AGENT_PARAMETER", PATH)]);
        assert_eq!(speaker(&settings), (Some("fr-hello-42".to_owned()), None));
    }
}
