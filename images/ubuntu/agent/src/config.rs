//! The agent's settings.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use protocol::bell::BellKeyError;
use protocol::{BellKey, ParameterPath, bell};
use runtime::proxy::{self, Proxy};
use runtime::settings::{self, Settings, Variable, shared};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::authorities::{self, Authorities};
use crate::watch::Limits;

const PARAMETER: Variable = Variable::optional(
    "AGENT_PARAMETER",
    "path of the SSM parameter with this runner's registration; `launch` sets it, a warm task's bell names it instead",
);
const BELL: Variable = Variable::optional(
    bell::AGENT_BELL,
    "key of a warm task's bell; `stock` sets it instead of `AGENT_PARAMETER`",
);
const TABLE: Variable = Variable::optional(
    bell::AGENT_TABLE,
    "table with the bell; `stock` sets it with `AGENT_BELL`",
);
const TICKET: Variable = Variable::optional(
    bell::AGENT_TICKET,
    "a warm task's place in the stock, for the log",
);
const WARM_LIMIT: Variable = Variable::with_default(
    bell::AGENT_WARM_LIMIT_SECONDS,
    "22500",
    "seconds that a warm task waits for its bell before it ends as `Released`",
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
const NEW_PRIVILEGES: Variable = Variable::optional(
    "AGENT_NEW_PRIVILEGES",
    "whether a job's programs may gain rights by the set-user-ID bit; if not set, only in an image with `sudo`",
);
const RUNNER_HOME: Variable = Variable::with_default(
    "AGENT_RUNNER_HOME",
    "/home/runner",
    "directory that contains `bin/Runner.Listener`",
);
const SUMMARY: Variable = Variable::with_default(
    "AGENT_SUMMARY",
    "true",
    "whether each job's summary says how long it waited, what it cost and what it used",
);
const QUEUED_AT: Variable = Variable::optional(
    "AGENT_QUEUED_AT",
    "when GitHub queued the job (RFC 3339), for its summary; `launch` sets it, a warm task's bell tells it instead",
);
const CAPACITY: Variable = Variable::optional(
    "AGENT_CAPACITY",
    "capacity provider of this task, for the summary; `launch` or `stock` sets it",
);

/// Every variable that the agent reads.
pub const VARIABLES: &[Variable] = &[
    PARAMETER,
    RUNNER,
    EXECUTION,
    BELL,
    TABLE,
    TICKET,
    WARM_LIMIT,
    CONNECT_LIMIT,
    IDLE_LIMIT,
    LINGER_LIMIT,
    STOP_LIMIT,
    SAMPLE,
    CGROUP,
    NEW_PRIVILEGES,
    RUNNER_HOME,
    SUMMARY,
    QUEUED_AT,
    CAPACITY,
    authorities::BUNDLE,
    proxy::VARIABLES[0],
    proxy::VARIABLES[1],
    shared::AWS_REGION,
    shared::AWS_ENDPOINT_URL,
];

/// Settings that contradict each other, are missing or invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Settings(#[from] settings::Error),
    #[error(
        "neither AGENT_PARAMETER nor AGENT_BELL is set; set AGENT_PARAMETER to the path of a registration, or AGENT_BELL and AGENT_TABLE for a warm task"
    )]
    Nothing,
    #[error(
        "AGENT_PARAMETER and AGENT_BELL are both set; unset one, because a warm task learns the path from its bell"
    )]
    Both,
    #[error("AGENT_BELL is set without AGENT_TABLE; set both for a warm task")]
    NoTable,
    #[error("AGENT_TABLE is set without AGENT_BELL; set both for a warm task")]
    NoBell,
    /// Without the value, which may be most of a key.
    #[error("environment variable AGENT_BELL: {0}")]
    Bell(BellKeyError),
}

/// Where the registration's path comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Known from the start.
    Registration(ParameterPath),
    /// A warm task is told by its bell.
    Bell(Post),
}

/// A warm task's bell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Post {
    pub(crate) bell: BellKey,
    pub(crate) table: String,
    /// How long it waits.
    pub(crate) limit: Duration,
}

impl Errand {
    fn read(settings: &Settings) -> Result<Self, Error> {
        let set = |variable| settings.maybe(variable);
        match (set(&PARAMETER), set(&BELL), set(&TABLE)) {
            (Some(_), Some(_), _) => Err(Error::Both),
            (_, None, Some(_)) => Err(Error::NoBell),
            (None, Some(_), None) => Err(Error::NoTable),
            (None, None, None) => Err(Error::Nothing),
            (Some(_), None, None) => Ok(Self::Registration(settings.parsed(&PARAMETER)?)),
            (None, Some(bell), Some(table)) => Ok(Self::Bell(Post {
                bell: bell.parse().map_err(Error::Bell)?,
                table,
                limit: settings.seconds(&WARM_LIMIT)?,
            })),
        }
    }
}

/// The settings of one run.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) errand: Errand,
    pub(crate) limits: Limits,
    pub(crate) sample: Duration,
    pub(crate) cgroup: PathBuf,
    /// Whether a job may gain rights; `None`: as the image wants.
    pub(crate) new_privileges: Option<bool>,
    pub(crate) home: PathBuf,
    pub(crate) region: String,
    pub(crate) endpoint: Option<String>,
    /// Whether jobs get a summary.
    pub(crate) summary: bool,
    /// When the job was queued, if the text is a time: for a summary alone, nothing fails.
    pub(crate) queued: Option<SystemTime>,
    pub(crate) capacity: Option<String>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) authorities: Option<Authorities>,
    /// Where each program of a job finds those authorities; the agent adds it.
    pub(crate) trusted: Vec<(&'static str, PathBuf)>,
}

impl Config {
    pub(crate) fn read(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            errand: Errand::read(settings)?,
            limits: Limits {
                connect: settings.seconds(&CONNECT_LIMIT)?,
                idle: settings.seconds(&IDLE_LIMIT)?,
                linger: settings.seconds(&LINGER_LIMIT)?,
                stop: settings.seconds(&STOP_LIMIT)?,
            },
            // The shortest interval: a sample is cheap, but not free.
            sample: settings.seconds(&SAMPLE)?.max(Duration::from_secs(1)),
            cgroup: settings.text(&CGROUP)?.into(),
            new_privileges: settings
                .maybe(&NEW_PRIVILEGES)
                .map(|_| settings.flag(&NEW_PRIVILEGES))
                .transpose()?,
            home: settings.text(&RUNNER_HOME)?.into(),
            region: settings.text(&shared::AWS_REGION)?,
            endpoint: settings.maybe(&shared::AWS_ENDPOINT_URL),
            summary: settings.flag(&SUMMARY)?,
            queued: settings
                .maybe(&QUEUED_AT)
                .and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok())
                .map(SystemTime::from),
            capacity: settings.maybe(&CAPACITY),
            proxy: Proxy::of(settings)?,
            authorities: Authorities::read(settings)?,
            trusted: Vec::new(),
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

/// Whom the log speaks of, before the settings are validated.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Speaker {
    pub(crate) runner: Option<String>,
    pub(crate) execution: Option<String>,
    /// Of a warm task.
    pub(crate) ticket: Option<String>,
}

pub(crate) fn speaker(settings: &Settings) -> Speaker {
    let named = || {
        settings
            .parsed::<ParameterPath>(&PARAMETER)
            .ok()
            .map(|path| path.runner().to_string())
    };
    Speaker {
        runner: settings.maybe(&RUNNER).or_else(named),
        execution: settings.maybe(&EXECUTION),
        ticket: settings.maybe(&TICKET),
    }
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
    fn whether_a_job_may_gain_rights_is_left_to_the_image_unless_said() {
        let read = |value| {
            let pairs = [
                ("AGENT_PARAMETER", PATH),
                ("AWS_REGION", "eu-central-1"),
                ("AGENT_NEW_PRIVILEGES", value),
            ];
            Config::read(&Settings::from_pairs(pairs)).map(|config| config.new_privileges)
        };
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("true"), Ok(Some(true)));
        assert_eq!(read("False"), Ok(Some(false)));
        let error = read("sometimes").unwrap_err().to_string();
        assert!(error.contains("AGENT_NEW_PRIVILEGES"), "{error}");
        assert!(error.contains("`true` or `false`"), "{error}");
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
            .filter(|line| line.starts_with("| `"))
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
        assert_eq!(speaker(&settings).runner.as_deref(), Some("fr-hello-42"));
    }

    const KEY: &str = "fedcba9876543210fedcba9876543210";

    #[test]
    fn a_task_is_warm_or_has_the_path_of_its_registration() {
        let errand =
            |pairs: &[(&str, &str)]| Errand::read(&Settings::from_pairs(pairs.iter().copied()));
        let (path, bell, table) = (
            ("AGENT_PARAMETER", PATH),
            ("AGENT_BELL", KEY),
            ("AGENT_TABLE", "pool"),
        );
        assert_eq!(
            errand(&[path]),
            Ok(Errand::Registration(PATH.parse().unwrap()))
        );
        let post = Post {
            bell: KEY.parse().unwrap(),
            table: "pool".into(),
            limit: Duration::from_mins(375),
        };
        assert_eq!(errand(&[bell, table]), Ok(Errand::Bell(post)));
        for (pairs, error) in [
            (vec![], Error::Nothing),
            (vec![path, bell], Error::Both),
            (vec![path, bell, table], Error::Both),
            (vec![path, table], Error::NoBell),
            (vec![table], Error::NoBell),
            (vec![bell], Error::NoTable),
            (vec![("AGENT_BELL", ""), table], Error::NoBell),
        ] {
            assert_eq!(errand(&pairs), Err(error), "{pairs:?}");
        }
        let error = errand(&[("AGENT_BELL", "fedcba98"), table]).unwrap_err();
        assert!(!error.to_string().contains("fedcba98"), "{error}");
    }
}
