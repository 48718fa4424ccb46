//! The script that the runner runs after each job.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::facts::Facts;

/// The runner's variable
/// ([documentation](https://docs.github.com/actions/how-tos/manage-runners/self-hosted-runners/run-scripts)).
pub(crate) const VARIABLE: &str = "ACTIONS_RUNNER_HOOK_JOB_COMPLETED";
/// The runner tells a script's shell by its ending, and takes no other than this, `.ps1` and `.js`
/// ([source](https://github.com/actions/runner/blob/main/src/Runner.Common/HostContext.cs)).
const SCRIPT: &str = "job-completed.sh";
const DIRECTORY: &str = "_agent";

/// A hook that is in place.
#[derive(Debug)]
pub(crate) struct Hook {
    directory: PathBuf,
    facts: Facts,
}

impl Hook {
    /// Puts the hook into the runner's home. `own` is the image's own hook, which runs after ours: its exit
    /// code counts as before.
    pub(crate) fn place(home: &Path, own: Option<&str>, facts: Facts) -> io::Result<Self> {
        let directory = home.join(DIRECTORY);
        fs::create_dir_all(&directory)?;
        let agent = std::env::current_exe()?;
        let script = script(&agent, &directory, own).ok_or_else(|| {
            io::Error::other(format!(
                "{VARIABLE} is {}, which ends neither in .sh nor in .ps1: it runs alone",
                own.unwrap_or_default()
            ))
        })?;
        fs::write(directory.join(SCRIPT), script)?;
        facts.write(&directory);
        Ok(Self { directory, facts })
    }

    /// The variable that makes the runner run it.
    pub(crate) fn variable(&self) -> (&'static str, PathBuf) {
        (VARIABLE, self.directory.join(SCRIPT))
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Notes that the job began now.
    pub(crate) fn began(&mut self, now: f64) {
        self.facts.job = Some(now);
        self.facts.write(&self.directory);
    }
}

/// The runner starts it as `bash -e`, or `sh -e` without a bash.
fn script(agent: &Path, directory: &Path, own: Option<&str>) -> Option<String> {
    let (agent, directory) = (quoted(agent.to_str()?), quoted(directory.to_str()?));
    let ours = format!(
        "# Written by the agent: it adds to the job's summary, and never fails the job.\n\
         {agent} summary {directory} || true\n"
    );
    let Some(own) = own else { return Some(ours) };
    let shell = match Path::new(own).extension()?.to_str()? {
        "sh" => "if command -v bash >/dev/null; then exec bash -e",
        "ps1" => {
            return Some(format!(
                "{ours}exec pwsh -command . {}\n",
                quoted(&quoted(own))
            ));
        }
        _ => return None,
    };
    let own = quoted(own);
    Some(format!("{ours}{shell} {own}; else exec sh -e {own}; fi\n"))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    /// Runs the script as the runner does; returns its exit code.
    fn run(script: &str, directory: &Path) -> Option<i32> {
        let path = directory.join("script.sh");
        fs::write(&path, script).unwrap();
        Command::new("sh")
            .arg("-e")
            .arg(path)
            .status()
            .unwrap()
            .code()
    }

    fn program(directory: &Path, name: &str, text: &str) -> PathBuf {
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_broken_or_missing_agent_fails_no_job() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        for agent in [
            program(directory, "agent's", "exit 3"),
            directory.join("none"),
        ] {
            let script = script(&agent, directory, None).unwrap();
            assert_eq!(run(&script, directory), Some(0), "{script}");
        }
    }

    #[test]
    fn the_images_own_hook_runs_after_ours_and_its_exit_code_counts() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let trace = directory.join("trace");
        let note = |text: &str| format!("echo {text} \"$1\" >>'{}'", trace.display());
        let agent = program(directory, "agent", &format!("{}; exit 1", note("ours")));
        let own = program(
            directory,
            "own hook.sh",
            &format!("{}; exit 7", note("own")),
        );
        let script = script(&agent, directory, own.to_str()).unwrap();
        assert_eq!(run(&script, directory), Some(7));
        assert_eq!(fs::read_to_string(trace).unwrap(), "ours summary\nown \n");
    }

    #[test]
    fn a_hook_that_cannot_be_chained_is_left_as_it_is() {
        let agent = Path::new("/usr/local/bin/agent");
        for own in ["/hooks/done.js", "/hooks/done"] {
            assert_eq!(script(agent, agent, Some(own)), None, "{own}");
        }
        let script = script(agent, agent, Some("/hooks/it's.ps1")).unwrap();
        assert!(script.contains("exec pwsh -command . "), "{script}");
    }
}
