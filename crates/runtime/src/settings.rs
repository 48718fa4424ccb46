//! Configuration from environment variables.
//!
//! Each binary declares its variables as [`Variable`] constants and reads them through
//! [`Settings`]. The README's table is checked against those constants by a test. A variable that
//! is set to nothing counts as not set.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// One environment variable: what it is called, what it defaults to and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    pub name: &'static str,
    /// What happens when it is not set.
    pub default: Default,
    /// What it decides, in half a sentence.
    pub meaning: &'static str,
}

/// What a variable is when it is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    Required,
    /// Absent, which means something of its own.
    Absent,
    Value(&'static str),
}

impl Variable {
    /// A variable that must be set.
    pub const fn required(name: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            default: Default::Required,
            meaning,
        }
    }

    /// A variable that may be absent.
    pub const fn optional(name: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            default: Default::Absent,
            meaning,
        }
    }

    /// A variable with a default value.
    pub const fn with_default(
        name: &'static str,
        value: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            default: Default::Value(value),
            meaning,
        }
    }
}

/// Variables that more than one binary reads.
pub mod shared {
    use super::Variable;

    pub const DEPLOYMENT: Variable = Variable::required(
        "DEPLOYMENT",
        "id of this deployment, the first part of every runner's name (1 to 5 lower-case letters and digits)",
    );
    pub const PREFIX: Variable = Variable::required(
        "PREFIX",
        "first segment of every SSM parameter path, without slashes",
    );
    pub const CLUSTER: Variable =
        Variable::required("CLUSTER", "ECS cluster the runners run in, by name or ARN");
    pub const STATE_MACHINE_ARN: Variable =
        Variable::required("STATE_MACHINE_ARN", "state machine that carries the jobs");
    pub const RUNNER_SCOPE: Variable = Variable::with_default(
        "RUNNER_SCOPE",
        "repository",
        "`repository` or `organization`: where runners are registered (a user's repositories always at the repository)",
    );
    pub const GITHUB_API_URL: Variable = Variable::with_default(
        "GITHUB_API_URL",
        "https://api.github.com",
        "GitHub's REST API; GHES is `https://HOST/api/v3`",
    );
    pub const AWS_REGION: Variable = Variable::required(
        "AWS_REGION",
        "region of every AWS call; Lambda and ECS set it",
    );
    pub const AWS_ENDPOINT_URL: Variable = Variable::optional(
        "AWS_ENDPOINT_URL",
        "another endpoint for every AWS call, such as a local engine",
    );
    /// Whom to trust instead of Amazon's own authorities.
    pub const AWS_CA_BUNDLE: Variable = Variable::optional(
        "AWS_CA_BUNDLE",
        "PEM file of the authorities to trust for AWS instead of Amazon's own, such as a proxy's",
    );
    pub const LOG_LEVEL: Variable =
        Variable::with_default("LOG_LEVEL", "info", "`error`, `warn`, `info` or `debug`");
}

/// A variable that is missing or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not set and has no default.
    #[error("environment variable {name} is not set; set it to: {meaning}")]
    Missing {
        name: &'static str,
        meaning: &'static str,
    },
    /// It is set to something else than what is expected.
    #[error("environment variable {name} is {value:?}; {problem}. It holds: {meaning}")]
    Unusable {
        name: &'static str,
        /// What it is set to. No secret is configured by environment variables.
        value: String,
        /// What is wrong with that.
        problem: String,
        meaning: &'static str,
    },
}

/// The environment of a process, taken once.
#[derive(Clone, Debug)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// The process's own environment. Variables that are not UTF-8 are left out: none of ours is.
    pub fn from_env() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// Settings given by hand, for tests and tools.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
        )
    }

    /// The variable's text, or its default, or nothing.
    pub fn maybe(&self, variable: &Variable) -> Option<String> {
        let set = self
            .0
            .get(variable.name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty());
        set.or(match variable.default {
            Default::Value(value) => Some(value),
            Default::Required | Default::Absent => None,
        })
        .map(str::to_owned)
    }

    /// The variable's text or its default.
    pub fn text(&self, variable: &Variable) -> Result<String, Error> {
        self.maybe(variable).ok_or(Error::Missing {
            name: variable.name,
            meaning: variable.meaning,
        })
    }

    /// The variable as a type that reads itself from text and says what is wrong where it can't.
    pub fn parsed<T>(&self, variable: &Variable) -> Result<T, Error>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let value = self.text(variable)?;
        value
            .parse()
            .map_err(|problem: T::Err| unusable(variable, &value, problem.to_string()))
    }

    /// The variable as a list of such a type, separated by spaces or commas; the error shows the item
    /// that cannot be read.
    pub fn parsed_list<T>(&self, variable: &Variable) -> Result<Vec<T>, Error>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let parse = |item: String| {
            item.parse()
                .map_err(|problem: T::Err| unusable(variable, &item, problem.to_string()))
        };
        self.list(variable).into_iter().map(parse).collect()
    }

    /// The variable as whole seconds.
    pub fn seconds(&self, variable: &Variable) -> Result<Duration, Error> {
        let value = self.text(variable)?;
        value.parse().map(Duration::from_secs).map_err(|_| {
            unusable(
                variable,
                &value,
                "give a whole number of seconds".to_owned(),
            )
        })
    }

    /// The variable as `true` or `false`.
    pub fn flag(&self, variable: &Variable) -> Result<bool, Error> {
        let value = self.text(variable)?;
        match value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(unusable(
                variable,
                &value,
                "give `true` or `false`".to_owned(),
            )),
        }
    }

    /// The variable as a list, separated by spaces or commas; not set is an empty list.
    pub fn list(&self, variable: &Variable) -> Vec<String> {
        self.maybe(variable)
            .unwrap_or_default()
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

fn unusable(variable: &Variable, value: &str, problem: String) -> Error {
    Error::Unusable {
        name: variable.name,
        value: value.to_owned(),
        problem,
        meaning: variable.meaning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Variable = Variable::with_default("LIMIT", "5", "the limit");
    const NAME: Variable = Variable::required("NAME", "the name");

    #[test]
    fn a_missing_variable_is_named_with_its_purpose() {
        let error = Settings::from_pairs([("NAME", " ")])
            .text(&NAME)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment variable NAME is not set; set it to: the name"
        );
    }

    #[test]
    fn an_unusable_variable_is_named_with_its_value() {
        let error = Settings::from_pairs([("LIMIT", "many")])
            .seconds(&LIMIT)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("environment variable LIMIT is \"many\"; give a whole number")
        );
    }

    #[test]
    fn defaults_stand_in_for_what_is_not_set() {
        let settings = Settings::from_pairs([("X", "y")]);
        assert_eq!(settings.seconds(&LIMIT), Ok(Duration::from_secs(5)));
        assert_eq!(settings.list(&NAME), Vec::<String>::new());
    }

    #[test]
    fn lists_take_spaces_and_commas() {
        let settings = Settings::from_pairs([("NAME", "a, b  c,,")]);
        assert_eq!(settings.list(&NAME), ["a", "b", "c"]);
    }
}
