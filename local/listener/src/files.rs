//! The directories, files and variables of a job
//! ([source](https://docs.github.com/actions/reference/workflows-and-actions/variables)).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::command::INPUT;
use crate::github::Job;
use crate::home::Settings;
use crate::orphans::TRACKING;

/// The commit of every job in the stand-in.
const SHA: &str = "0000000000000000000000000000000000000001";

#[derive(Debug)]
pub(crate) struct Layout {
    /// Working directory of the script.
    pub(crate) workspace: PathBuf,
    pub(crate) script: PathBuf,
    pub(crate) environment: BTreeMap<String, String>,
}

impl Layout {
    /// Creates all of them. The script's name and the tracking id contain `nonce`.
    pub(crate) fn make(
        home: &Path,
        settings: &Settings,
        job: &Job,
        nonce: &str,
    ) -> io::Result<Self> {
        let work = home.join(&settings.work_folder);
        let (owner, name) = job
            .repository
            .split_once('/')
            .unwrap_or(("", &job.repository));
        let workspace = work.join(name).join(name);
        let (temp, tools) = (work.join("_temp"), work.join("_tool"));
        let commands = temp.join("_runner_file_commands");
        let event = temp.join("_github_workflow");
        for directory in [&workspace, &tools, &commands, &event] {
            fs::create_dir_all(directory)?;
        }
        let script = temp.join(format!("{nonce}.sh"));
        fs::write(&script, &job.run)?;
        let event = event.join("event.json");
        fs::write(
            &event,
            json!({ "repository": { "full_name": job.repository } }).to_string(),
        )?;

        let mut environment: BTreeMap<String, String> = std::env::vars()
            .filter(|(name, _)| !name.to_uppercase().starts_with(INPUT))
            .collect();
        for (variable, file) in [
            ("GITHUB_ENV", "set_env"),
            ("GITHUB_OUTPUT", "set_output"),
            ("GITHUB_PATH", "add_path"),
            ("GITHUB_STATE", "save_state"),
            ("GITHUB_STEP_SUMMARY", "step_summary"),
        ] {
            let file = commands.join(format!("{file}_{nonce}"));
            fs::write(&file, "")?;
            environment.insert(variable.to_owned(), shown(&file));
        }
        let architecture = match std::env::consts::ARCH {
            "aarch64" => "ARM64",
            _ => "X64",
        };
        let repository_workspace = workspace.parent().unwrap_or(&workspace);
        for (variable, value) in [
            ("CI", "true".to_owned()),
            ("GITHUB_ACTION", "__run".to_owned()),
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_ACTOR", "octocat".to_owned()),
            ("GITHUB_API_URL", job.server_url.clone()),
            ("GITHUB_BASE_REF", String::new()),
            ("GITHUB_EVENT_NAME", "push".to_owned()),
            ("GITHUB_EVENT_PATH", shown(&event)),
            ("GITHUB_GRAPHQL_URL", format!("{}/graphql", job.server_url)),
            ("GITHUB_HEAD_REF", String::new()),
            ("GITHUB_JOB", job.name.clone()),
            ("GITHUB_REF", "refs/heads/main".to_owned()),
            ("GITHUB_REF_NAME", "main".to_owned()),
            ("GITHUB_REF_TYPE", "branch".to_owned()),
            ("GITHUB_REPOSITORY", job.repository.clone()),
            ("GITHUB_REPOSITORY_OWNER", owner.to_owned()),
            ("GITHUB_RUN_ATTEMPT", job.run_attempt.to_string()),
            ("GITHUB_RUN_ID", job.run_id.to_string()),
            ("GITHUB_RUN_NUMBER", "1".to_owned()),
            ("GITHUB_SERVER_URL", job.server_url.clone()),
            ("GITHUB_SHA", SHA.to_owned()),
            ("GITHUB_TRIGGERING_ACTOR", "octocat".to_owned()),
            ("GITHUB_WORKFLOW", job.workflow.clone()),
            ("GITHUB_WORKSPACE", shown(&workspace)),
            ("RUNNER_ARCH", architecture.to_owned()),
            ("RUNNER_ENVIRONMENT", "self-hosted".to_owned()),
            ("RUNNER_NAME", settings.name.clone()),
            ("RUNNER_OS", "Linux".to_owned()),
            ("RUNNER_TEMP", shown(&temp)),
            ("RUNNER_TOOL_CACHE", shown(&tools)),
            ("RUNNER_WORKSPACE", shown(repository_workspace)),
            (TRACKING, tracking_id(nonce)),
        ] {
            environment.insert(variable.to_owned(), value);
        }
        environment.extend(job.env.clone());
        Ok(Self {
            workspace,
            script,
            environment,
        })
    }
}

pub(crate) fn tracking_id(nonce: &str) -> String {
    format!("github_{nonce}")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_sees_where_it_is_and_not_what_the_listener_was_given() {
        let home = tempfile::tempdir().unwrap();
        let settings = Settings {
            server: String::new(),
            name: "one".to_owned(),
            work_folder: "_work".to_owned(),
            ephemeral: true,
            client_id: String::new(),
            secret: String::new(),
        };
        let job = Job {
            id: 1,
            name: "build".to_owned(),
            run: "true".to_owned(),
            env: BTreeMap::from([("CI".to_owned(), "no".to_owned())]),
            repository: "octo/hello".to_owned(),
            workflow: "CI".to_owned(),
            run_id: 2,
            run_attempt: 1,
            server_url: "http://127.0.0.1:1".to_owned(),
        };
        let layout = Layout::make(home.path(), &settings, &job, "abc").unwrap();
        let seen = |name: &str| layout.environment.get(name).map(String::as_str);
        assert_eq!(seen("GITHUB_REPOSITORY_OWNER"), Some("octo"));
        assert_eq!(seen("RUNNER_TRACKING_ID"), Some("github_abc"));
        assert_eq!(seen("CI"), Some("no"), "the job's own come last");
        assert!(layout.workspace.ends_with("_work/hello/hello"));
        assert!(Path::new(seen("GITHUB_OUTPUT").unwrap()).exists());
        assert!(
            layout
                .environment
                .keys()
                .all(|name| !name.starts_with(INPUT))
        );
    }
}
