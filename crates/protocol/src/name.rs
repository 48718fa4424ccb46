//! Names derived from a job.
//!
//! ```text
//! fr-hello-world-4242-r2-a3
//! │  │           │    │  └ attempt 3 inside the execution   ┐
//! │  │           │    └ second execution of this job         ├ runner name, at most 64 characters
//! │  │           └ job id, never cut                         │
//! │  └ repository, made safe and cut                         │
//! └ deployment                                               ┘
//! ```
//!
//! Names are compared after parsing, as a whole: `x-12` is not a prefix of `x-123`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{JobId, Repository};

/// Step Functions allows 80 characters; a runner name adds 12 to this.
const EXECUTION_LIMIT: usize = 52;
/// GitHub's maximum for runner names.
const RUNNER_LIMIT: usize = 64;
/// Space for `-r99`, so that a job's restarts share one base name.
const RESTART_ROOM: usize = 4;
/// Two digits.
const RESTART_LIMIT: u32 = 99;
/// Of the 12 characters between the limits, a dash and `-a9999` leave five.
const DEPLOYMENT_LIMIT: usize = 5;
const ATTEMPT_LIMIT: u32 = 9_999;

/// Text that is not one of this system's names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error(
        "{0:?} is not a deployment id: use 1 to {DEPLOYMENT_LIMIT} lower-case letters and digits"
    )]
    Deployment(String),
    #[error("{0:?} is not an execution name of this system (<repository>-<job id>[-r<n>])")]
    Execution(String),
    #[error("{0:?} is not a runner name of this system (<deployment>-<execution>[-a<n>])")]
    Runner(String),
    /// The job has the maximum number of executions.
    #[error(
        "cannot restart {0}: a job has at most {RESTART_LIMIT} executions; re-run the job at GitHub, which gives it a new id"
    )]
    RestartsSpent(ExecutionName),
}

macro_rules! text_serde {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.to_string()
            }
        }
    };
}

/// Distinguishes deployments in one GitHub organization: 1 to 5 lower-case letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeploymentId(String);
text_serde!(DeploymentId);

impl FromStr for DeploymentId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=DEPLOYMENT_LIMIT).contains(&text.len())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Deployment(text.to_owned()))
        }
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An execution's name: `<repository>-<job id>`, with `-r<n>` from the second execution on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExecutionName {
    repository: String,
    job: JobId,
    restart: u32,
}
text_serde!(ExecutionName);

impl ExecutionName {
    /// The name of a job's first execution.
    pub fn first(repository: &Repository, job: JobId) -> Self {
        let room = EXECUTION_LIMIT - RESTART_ROOM - 1 - job.to_string().len();
        let safe: String = repository
            .name()
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '_' {
                    c
                } else {
                    '-'
                }
            })
            .collect();
        let cut: String = safe.trim_start_matches('-').chars().take(room).collect();
        let cut = cut.trim_end_matches('-');
        let repository = if cut.is_empty() { "repo" } else { cut }.to_owned();
        Self {
            repository,
            job,
            restart: 1,
        }
    }

    /// The name of the job's next execution.
    pub fn next(&self) -> Result<Self, NameError> {
        if self.restart >= RESTART_LIMIT {
            return Err(NameError::RestartsSpent(self.clone()));
        }
        Ok(Self {
            restart: self.restart + 1,
            ..self.clone()
        })
    }

    /// The job's id.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// Number of the job's execution, from 1.
    pub fn restart(&self) -> u32 {
        self.restart
    }
}

impl FromStr for ExecutionName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NameError::Execution(text.to_owned());
        let (base, restart) = split_counter(text, 'r');
        let (repository, id) = base.rsplit_once('-').ok_or_else(error)?;
        let name = Self {
            repository: repository.to_owned(),
            job: JobId(id.parse().map_err(|_| error())?),
            restart,
        };
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        // Names that do not print back the same (leading zeros, `-r1`, a sign) are not this
        // system's.
        let ours = !repository.is_empty()
            && repository.chars().all(safe)
            && restart <= RESTART_LIMIT
            // A longer name would leave no room for restarts.
            && base.len() <= EXECUTION_LIMIT - RESTART_ROOM
            && name.to_string() == text;
        if ours { Ok(name) } else { Err(error()) }
    }
}

impl fmt::Display for ExecutionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.repository, self.job)?;
        if self.restart > 1 {
            write!(f, "-r{}", self.restart)?;
        }
        Ok(())
    }
}

/// A runner's name at GitHub and in ECS: `<deployment>-<execution>`, with `-a<n>` from the second
/// attempt on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunnerName {
    deployment: DeploymentId,
    execution: ExecutionName,
    attempt: u32,
}
text_serde!(RunnerName);

impl RunnerName {
    /// The runner of an execution's `attempt` (from 1; all above 9999 share a name).
    pub fn new(deployment: DeploymentId, execution: ExecutionName, attempt: u32) -> Self {
        Self {
            deployment,
            execution,
            attempt: attempt.clamp(1, ATTEMPT_LIMIT),
        }
    }

    pub fn deployment(&self) -> &DeploymentId {
        &self.deployment
    }

    pub fn execution(&self) -> &ExecutionName {
        &self.execution
    }

    /// Number of the execution's attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl FromStr for RunnerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NameError::Runner(text.to_owned());
        let (deployment, rest) = text.split_once('-').ok_or_else(error)?;
        let (execution, attempt) = split_counter(rest, 'a');
        let name = Self {
            deployment: deployment.parse().map_err(|_| error())?,
            execution: execution.parse().map_err(|_| error())?,
            attempt,
        };
        let ours =
            attempt <= ATTEMPT_LIMIT && text.len() <= RUNNER_LIMIT && name.to_string() == text;
        if ours { Ok(name) } else { Err(error()) }
    }
}

impl fmt::Display for RunnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.deployment, self.execution)?;
        if self.attempt > 1 {
            write!(f, "-a{}", self.attempt)?;
        }
        Ok(())
    }
}

/// Splits off `-<letter><n>`; without it the count is 1.
fn split_counter(text: &str, letter: char) -> (&str, u32) {
    text.rsplit_once('-')
        .and_then(|(base, last)| Some((base, last.strip_prefix(letter)?.parse().ok()?)))
        .unwrap_or((text, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn repository(name: &str) -> Repository {
        format!("octo/{name}").parse().unwrap()
    }

    #[test]
    fn names_read_as_documented() {
        let first = ExecutionName::first(&repository("hello.world"), JobId(4242));
        assert_eq!(first.to_string(), "hello-world-4242");
        let second = first.next().unwrap();
        assert_eq!(second.to_string(), "hello-world-4242-r2");
        let runner = RunnerName::new("fr".parse().unwrap(), second, 3);
        assert_eq!(runner.to_string(), "fr-hello-world-4242-r2-a3");
    }

    #[test]
    fn a_prefix_of_a_name_is_another_name() {
        let short: RunnerName = "fr-x-12".parse().unwrap();
        let long: RunnerName = "fr-x-123".parse().unwrap();
        assert_ne!(short, long);
        assert_ne!(short.execution().job(), long.execution().job());
    }

    #[test]
    fn a_repository_that_looks_like_a_suffix_is_read_right() {
        let name = ExecutionName::first(&repository("x-12-r2"), JobId(7));
        assert_eq!(
            name.to_string().parse::<ExecutionName>().unwrap().job(),
            JobId(7)
        );
        assert_eq!(name.restart(), 1);
    }

    #[test]
    fn foreign_names_are_refused() {
        for text in [
            "",
            "fr",
            "fr-",
            "my-runner",
            "fr-x-012",
            "fr-x-12-r1",
            "fr-x-12-a1",
            "FR-x-12",
            "fr-x-+2",
            "fr--12",
        ] {
            assert!(text.parse::<RunnerName>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_hundredth_execution_is_refused() {
        let mut name = ExecutionName::first(&repository("hello"), JobId(1));
        for _ in 1..RESTART_LIMIT {
            name = name.next().unwrap();
        }
        assert!(matches!(name.next(), Err(NameError::RestartsSpent(_))));
    }

    proptest! {
        #[test]
        fn every_name_fits_its_sinks_and_reads_back(
            name in "[A-Za-z0-9._-]{1,100}", id in any::<u64>(), restarts in 1..RESTART_LIMIT, attempt in 1..=ATTEMPT_LIMIT,
        ) {
            prop_assume!(name != "." && name != "..");
            let mut execution = ExecutionName::first(&repository(&name), JobId(id));
            for _ in 1..restarts {
                execution = execution.next().unwrap();
            }
            let runner = RunnerName::new("fr123".parse().unwrap(), execution.clone(), attempt);
            let text = runner.to_string();
            prop_assert!(execution.to_string().len() <= EXECUTION_LIMIT);
            prop_assert!(text.len() <= RUNNER_LIMIT);
            prop_assert!(text.contains(&id.to_string()));
            // Valid in execution names, runner names and tag values.
            prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
            prop_assert_eq!(text.parse::<RunnerName>().unwrap(), runner);
        }

        #[test]
        fn distinct_jobs_have_distinct_names(a in any::<u64>(), b in any::<u64>(), x in "[a-z0-9.-]{1,60}", y in "[a-z0-9.-]{1,60}") {
            prop_assume!(a != b && ![".", ".."].contains(&x.as_str()) && ![".", ".."].contains(&y.as_str()));
            prop_assert_ne!(
                ExecutionName::first(&repository(&x), JobId(a)).to_string(),
                ExecutionName::first(&repository(&y), JobId(b)).to_string()
            );
        }
    }
}
