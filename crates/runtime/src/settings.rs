//! Settings from environment variables.
//!
//! Each program declares its variables as [`Variable`] constants and reads them through
//! [`Settings`]. A contract test compares the README's table with the constants. An empty variable
//! counts as not set.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// An environment variable: name, default and meaning.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    pub name: &'static str,
    pub default: Default,
    /// Half a sentence for the README and for errors.
    pub meaning: &'static str,
}

/// The value of a variable that is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    Required,
    /// Absent, with its own meaning.
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

/// Variables that several programs read.
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
        Variable::required("CLUSTER", "ECS cluster of the runners, by name or ARN");
    pub const STATE_MACHINE_ARN: Variable =
        Variable::required("STATE_MACHINE_ARN", "state machine that owns the jobs");
    pub const RUNNER_SCOPE: Variable = Variable::with_default(
        "RUNNER_SCOPE",
        "repository",
        "`repository` or `organization`: where runners register (for a user account always the repository)",
    );
    pub const GITHUB_API_URL: Variable = Variable::with_default(
        "GITHUB_API_URL",
        "https://api.github.com",
        "URL of GitHub's REST API; GHES is `https://HOST/api/v3`",
    );
    pub const AWS_REGION: Variable = Variable::required(
        "AWS_REGION",
        "region of every AWS call; set by Lambda and ECS",
    );
    pub const AWS_ENDPOINT_URL: Variable = Variable::optional(
        "AWS_ENDPOINT_URL",
        "endpoint of every AWS call, such as a local engine's",
    );
    /// Certificate authorities instead of Amazon's own.
    pub const AWS_CA_BUNDLE: Variable = Variable::optional(
        "AWS_CA_BUNDLE",
        "PEM file with the certificate authorities to trust for AWS instead of Amazon's own, such as a proxy's",
    );
    /// Certificate authorities besides the usual ones.
    pub const CA_BUNDLE: Variable = Variable::optional(
        "CA_BUNDLE",
        "PEM file with certificate authorities to trust besides the usual ones: of an Enterprise Server, or of a proxy that decrypts",
    );
    pub const LOG_LEVEL: Variable =
        Variable::with_default("LOG_LEVEL", "info", "`error`, `warn`, `info` or `debug`");
}

/// A variable that is missing or invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("environment variable {name} is not set; set it to: {meaning}")]
    Missing {
        name: &'static str,
        meaning: &'static str,
    },
    #[error("environment variable {name} is {value:?}: {problem}. Expected: {meaning}")]
    Unusable {
        name: &'static str,
        /// The variable's value. No secret is configured by environment variables.
        value: String,
        problem: String,
        meaning: &'static str,
    },
}

/// The environment of a process, read once.
#[derive(Clone, Debug)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// The process's environment. Skips variables that are not UTF-8; this system has none.
    pub fn from_env() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// Settings from a list, for tests and tools.
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

    /// The variable's value, its default, or `None`.
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

    /// The variable's value or its default.
    pub fn text(&self, variable: &Variable) -> Result<String, Error> {
        self.maybe(variable).ok_or(Error::Missing {
            name: variable.name,
            meaning: variable.meaning,
        })
    }

    /// The variable, parsed; the error says what is wrong.
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

    /// The variable as a list, separated by spaces or commas; the error quotes the invalid item.
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

    /// The variable in whole seconds.
    pub fn seconds(&self, variable: &Variable) -> Result<Duration, Error> {
        let value = self.text(variable)?;
        value
            .parse()
            .map(Duration::from_secs)
            .map_err(|_| unusable(variable, &value, "use a whole number of seconds".to_owned()))
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

    /// The variable as a list, separated by spaces or commas; empty if it is not set.
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
                .starts_with("environment variable LIMIT is \"many\": use a whole number")
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
