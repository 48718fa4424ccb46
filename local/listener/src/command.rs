//! Parses the command: arguments, and arguments given as variables.

use std::collections::BTreeMap;

/// Prefix of variables that replace arguments
/// ([source](https://github.com/actions/runner/blob/main/src/Runner.Listener/CommandSettings.cs)).
pub(crate) const INPUT: &str = "ACTIONS_RUNNER_INPUT_";

pub(crate) const USAGE: &str = "
Commands:
 ./config.sh                    Configures the runner
 ./bin/Runner.Listener run      Runs the runner

Options:
 --help     Prints this
 --version  Prints the runner's version

Config options:
 --unattended           Asks nothing (the stand-in never does)
 --url string           Repository or organization to add the runner to
 --token string         Registration token
 --name string          Name of the runner
 --runnergroup string   Runner group (Default)
 --labels string        Labels, separated by commas
 --no-default-labels    Without self-hosted, the system and the architecture
 --work string          Work directory (_work)
 --replace              Replaces a runner of the same name
 --ephemeral            Takes one job only
 --disableupdate        Does not update itself";

/// Arguments of `configure`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configure {
    pub(crate) url: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) no_default_labels: bool,
    pub(crate) work: Option<String>,
    pub(crate) replace: bool,
    pub(crate) ephemeral: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Version,
    Warmup,
    Configure(Configure),
    Run {
        jit_config: Option<String>,
    },
    /// Arguments of the worker process.
    Work,
}

impl Command {
    /// Parses the arguments (without the program's name) and the variables.
    pub(crate) fn read(
        arguments: &[String],
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut inputs = Inputs::of_environment(environment);
        let mut command = None;
        let mut rest = arguments.iter().peekable();
        while let Some(argument) = rest.next() {
            match argument.strip_prefix("--") {
                Some(name) => {
                    let value = rest.next_if(|next| !next.starts_with("--"));
                    inputs.set(name, value.map_or("true", String::as_str));
                }
                None => command = Some(argument.as_str()),
            }
        }
        if inputs.flag("help") {
            return Self::Help;
        }
        if inputs.flag("version") {
            return Self::Version;
        }
        match command {
            Some("warmup") => Self::Warmup,
            Some("configure") => Self::Configure(inputs.configure()),
            Some("run") | None => Self::Run {
                jit_config: inputs.take("jitconfig"),
            },
            Some("spawnclient") => Self::Work,
            Some(_) => Self::Help,
        }
    }
}

/// Arguments by lower-case name.
struct Inputs(BTreeMap<String, String>);

impl Inputs {
    fn of_environment(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let inputs = environment.into_iter().filter_map(|(name, value)| {
            let name = name.to_uppercase();
            let name = name.strip_prefix(INPUT)?.to_lowercase();
            (!value.is_empty()).then_some((name, value))
        });
        Self(inputs.collect())
    }

    fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_lowercase(), value.to_owned());
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    fn flag(&mut self, name: &str) -> bool {
        self.take(name)
            .is_some_and(|value| !value.eq_ignore_ascii_case("false"))
    }

    fn configure(mut self) -> Configure {
        let labels = self.take("labels").unwrap_or_default();
        Configure {
            url: self.take("url"),
            token: self.take("token"),
            name: self.take("name"),
            group: self.take("runnergroup"),
            labels: labels
                .split(',')
                .map(str::trim)
                .filter(|label| !label.is_empty())
                .map(str::to_owned)
                .collect(),
            no_default_labels: self.flag("no-default-labels"),
            work: self.take("work"),
            replace: self.flag("replace"),
            ephemeral: self.flag("ephemeral"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Command::read(&arguments, environment.iter().map(owned))
    }

    #[test]
    fn a_configuration_comes_as_a_variable_or_an_argument() {
        let wanted = Command::Run {
            jit_config: Some("abc".to_owned()),
        };
        assert_eq!(
            read(&["run"], &[("ACTIONS_RUNNER_INPUT_JITCONFIG", "abc")]),
            wanted
        );
        assert_eq!(read(&["run", "--jitconfig", "abc"], &[]), wanted);
        assert_eq!(
            read(&["run"], &[("PATH", "/bin")]),
            Command::Run { jit_config: None }
        );
    }

    #[test]
    fn flags_and_values_of_configure_are_told_apart() {
        let arguments = [
            "configure",
            "--unattended",
            "--ephemeral",
            "--no-default-labels",
            "--labels",
            "a, b,",
        ];
        let command = read(
            &arguments,
            &[
                ("ACTIONS_RUNNER_INPUT_TOKEN", "t"),
                ("ACTIONS_RUNNER_INPUT_RUNNERGROUP", "Big machines"),
            ],
        );
        let Command::Configure(configure) = command else {
            panic!("{command:?}");
        };
        assert_eq!(configure.labels, ["a", "b"]);
        assert_eq!(configure.token.as_deref(), Some("t"));
        assert_eq!(configure.group.as_deref(), Some("Big machines"));
        assert!(configure.ephemeral && configure.no_default_labels && !configure.replace);
    }

    #[test]
    fn other_commands_are_known() {
        assert_eq!(read(&["warmup"], &[]), Command::Warmup);
        assert_eq!(read(&["--version"], &[]), Command::Version);
        assert_eq!(read(&["spawnclient"], &[]), Command::Work);
        assert_eq!(read(&["--help"], &[]), Command::Help);
        assert_eq!(read(&["dance"], &[]), Command::Help);
    }
}
