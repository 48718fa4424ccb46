//! The environment of the listener, and so of the job.

use std::ffi::{OsStr, OsString};

use protocol::{Registration, TokenRegistration};

/// The listener reads its arguments from variables with this prefix, removes them from its
/// environment, and masks the secret ones
/// ([source](https://github.com/actions/runner/blob/main/src/Runner.Listener/CommandSettings.cs)).
const INPUT: &str = "ACTIONS_RUNNER_INPUT_";
/// Prefix of the agent's own variables.
const OURS: &str = "AGENT_";
/// The one variable with that prefix that belongs to the runner: the tool cache.
const TOOLS: &str = "AGENT_TOOLSDIRECTORY";

/// The base environment of a child process: everything except the agent's own variables and
/// listener arguments that a task definition sets.
///
/// Kept deliberately: the address of the task role's credentials, because a job may use that role,
/// and the region and endpoint for it.
pub fn cleaned(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    environment
        .into_iter()
        .filter(|(name, _)| !removed(name))
        .collect()
}

fn removed(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name != TOOLS && (name.starts_with(OURS) || name.to_ascii_uppercase().starts_with(INPUT))
}

/// Without it, the listener exits with 1 if GitHub rejects its version, as for a rejected
/// registration, and only the server's message tells the difference
/// ([source](https://github.com/actions/runner/blob/main/src/Runner.Listener/Program.cs)).
const VERSION_EXIT: &str = "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE";

/// Additional variables for `run`.
pub fn for_listener(registration: &Registration) -> Vec<(String, String)> {
    let mut variables = vec![(VERSION_EXIT.to_owned(), "1".to_owned())];
    // With a token, `config.sh` has written everything else.
    if let Registration::Jit(config) = registration {
        variables.push(input("JITCONFIG", config.expose()));
    }
    variables
}

/// Variables for `config.sh`. Not arguments: other processes could read the token on the command
/// line.
pub fn for_config(registration: &TokenRegistration) -> Vec<(String, String)> {
    let mut inputs = vec![
        input("URL", &registration.url),
        input("TOKEN", registration.token.expose()),
        input("NAME", &registration.name),
        input("LABELS", &registration.labels),
    ];
    if let Some(group) = &registration.group {
        inputs.push(input("RUNNERGROUP", group));
    }
    inputs
}

fn input(name: &str, value: &str) -> (String, String) {
    (format!("{INPUT}{name}"), value.to_owned())
}

#[cfg(test)]
mod tests {
    use protocol::Secret;

    use super::*;

    fn names_kept(names: &[&str]) -> Vec<String> {
        let environment = names
            .iter()
            .map(|name| (OsString::from(name), OsString::from("x")));
        cleaned(environment)
            .into_iter()
            .map(|(name, _)| name.into_string().unwrap())
            .collect()
    }

    #[test]
    fn what_is_the_agents_does_not_reach_the_job() {
        assert!(
            names_kept(&[
                "AGENT_PARAMETER",
                "AGENT_RUNNER",
                "AGENT_OF_A_LATER_VERSION"
            ])
            .is_empty()
        );
    }

    #[test]
    fn a_task_definition_cannot_slip_the_listener_arguments() {
        assert!(
            names_kept(&["ACTIONS_RUNNER_INPUT_JITCONFIG", "actions_runner_input_url"]).is_empty()
        );
    }

    #[test]
    fn what_is_the_jobs_reaches_it() {
        let kept = [
            "PATH",
            "HOME",
            "AWS_REGION",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AGENT_TOOLSDIRECTORY",
            "ACTIONS_RUNNER_HOOK_JOB_STARTED",
        ];
        assert_eq!(names_kept(&kept), kept);
    }

    #[test]
    fn a_runner_group_is_given_only_where_there_is_one() {
        let mut token = TokenRegistration {
            url: "https://github.com/octo".into(),
            token: Secret::new("AABF3JGZDX3P5PMEXLND6TS6FCWO6"),
            name: "fr-hello-42".into(),
            labels: "linux,self-hosted".into(),
            group: None,
        };
        assert_eq!(for_config(&token).len(), 4);
        token.group = Some("Big machines".into());
        assert_eq!(
            for_config(&token)[4],
            (
                "ACTIONS_RUNNER_INPUT_RUNNERGROUP".to_owned(),
                "Big machines".to_owned()
            )
        );
    }
}
