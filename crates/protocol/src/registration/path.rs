//! `/<prefix>/runners/<runner name>/<128 random bits>`.

use std::fmt;
use std::str::FromStr;

use crate::RunnerName;
use serde::{Deserialize, Serialize};

/// The path of one runner's registration parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ParameterPath {
    prefix: String,
    runner: RunnerName,
    random: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the path of a runner's registration (/<prefix>/runners/<runner name>/<32 hex digits>)"
)]
pub struct PathError(String);

impl ParameterPath {
    /// Generates an unguessable path for a runner.
    pub fn mint(prefix: &str, runner: RunnerName) -> Result<Self, getrandom::Error> {
        let random = crate::random::hex()?;
        Ok(Self {
            prefix: prefix.trim_matches('/').to_owned(),
            runner,
            random,
        })
    }

    /// Path prefix of a deployment's registrations, without a trailing slash.
    pub fn root(prefix: &str) -> String {
        format!("/{}/runners", prefix.trim_matches('/'))
    }

    pub fn runner(&self) -> &RunnerName {
        &self.runner
    }
}

impl FromStr for ParameterPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || PathError(text.to_owned());
        let mut parts = text.strip_prefix('/').ok_or_else(error)?.rsplitn(4, '/');
        let (Some(random), Some(runner), Some("runners"), Some(prefix)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(error());
        };
        if prefix.is_empty() || !crate::random::is_hex(random) {
            return Err(error());
        }
        let runner = runner.parse().map_err(|_| error())?;
        Ok(Self {
            prefix: prefix.to_owned(),
            runner,
            random: random.to_owned(),
        })
    }
}

impl TryFrom<String> for ParameterPath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ParameterPath> for String {
    fn from(path: ParameterPath) -> Self {
        path.to_string()
    }
}

impl fmt::Display for ParameterPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "/{}/runners/{}/{}",
            self.prefix, self.runner, self.random
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner() -> RunnerName {
        "fr-hello-4242-a2".parse().unwrap()
    }

    #[test]
    fn a_minted_path_reads_back_and_names_its_runner() {
        let path = ParameterPath::mint("fargate-runners", runner()).unwrap();
        let read: ParameterPath = path.to_string().parse().unwrap();
        assert_eq!(read, path);
        assert_eq!(read.runner(), &runner());
        assert!(
            path.to_string()
                .starts_with("/fargate-runners/runners/fr-hello-4242-a2/")
        );
    }

    #[test]
    fn two_paths_of_one_runner_differ() {
        assert_ne!(
            ParameterPath::mint("p", runner()).unwrap(),
            ParameterPath::mint("p", runner()).unwrap()
        );
    }

    #[test]
    fn other_parameters_are_refused() {
        for text in [
            "/fargate-runners/github/private-key",
            "/fargate-runners/runners/fr-hello-4242",
            "/fargate-runners/runners/fr-hello-4242/short",
            "/fargate-runners/runners/somebody/0123456789abcdef0123456789abcdef",
            "fargate-runners/runners/fr-hello-4242/0123456789abcdef0123456789abcdef",
        ] {
            assert!(text.parse::<ParameterPath>().is_err(), "{text}");
        }
    }
}
