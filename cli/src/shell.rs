//! `shell`: opens a shell in the container of a running job, by ECS Exec.
//!
//! AWS's own two programs carry the session: `aws ecs execute-command`, and the plugin of Session Manager
//! that it starts. Everything that can be wrong is looked at before.

use std::ffi::OsStr;
use std::path::PathBuf;

use aws_sdk_ecs::types::{ManagedAgentName, Task};
use decisions::Status;
use protocol::CONTAINER;

use crate::cloud::Cloud;
use crate::find::Found;
use crate::why::Seen;
use crate::{Deployment, Error, JobRef, Place};

/// How AWS installs its command line and the plugin.
const INSTALL_AWS: &str =
    "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html";
const INSTALL_PLUGIN: &str = "https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html";

/// The program that opens the session, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub arguments: Vec<String>,
}

impl Session {
    pub const PROGRAM: &'static str = "aws";
    /// `aws` starts it.
    pub const PLUGIN: &'static str = "session-manager-plugin";

    /// For a shell to paste into.
    pub fn line(&self) -> String {
        let words = self.arguments.iter().map(|word| quoted(word));
        std::iter::once(Self::PROGRAM.to_owned())
            .chain(words)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Whether both programs are among the directories of `PATH`.
    pub fn check_programs(path: Option<&OsStr>) -> Result<(), Error> {
        for (program, install) in [(Self::PROGRAM, INSTALL_AWS), (Self::PLUGIN, INSTALL_PLUGIN)] {
            if !is_on(path, program) {
                return Err(Error::Other(format!(
                    "the program {program} of AWS is not on the PATH: install it ({install}), or print the command for another machine with --print"
                )));
            }
        }
        Ok(())
    }

    /// Becomes that program. Returns only if it cannot be started.
    pub fn exec(&self) -> Error {
        use std::os::unix::process::CommandExt as _;

        let error = std::process::Command::new(Self::PROGRAM)
            .args(&self.arguments)
            .exec();
        Error::Other(format!("cannot start {}: {error}", Self::PROGRAM))
    }
}

/// Finds the job's task, and says why no shell can be opened in it.
pub async fn open(
    cloud: &Cloud,
    deployment: &Deployment,
    found: &Found,
    asked: &JobRef,
    command: &str,
    place: &Place,
) -> Result<Session, Error> {
    let (newest, _) = found.served(asked)?;
    if newest.status != Status::Running {
        return Err(Error::Other(format!(
            "job {} is not running: its execution {} has ended; `fargate-runners why {}` tells how",
            asked.id, newest.name, asked.id
        )));
    }
    let task = match cloud.course(&newest.name).await {
        Seen::Found(course) => course.task,
        Seen::Nothing => None,
        Seen::Unknown(why) => return Err(Error::Other(why)),
    };
    let task = task.ok_or_else(|| {
        Error::Other(format!(
            "job {} is not running yet: its execution {} has no task; `fargate-runners why {}` tells where it is",
            asked.id, newest.name, asked.id
        ))
    })?;
    let described = cloud
        .ecs
        .describe_tasks()
        .cluster(&deployment.cluster)
        .tasks(&task)
        .send()
        .await
        .map_err(|error| aws::Error::new("ecs:DescribeTasks", &task, &error))?;
    judge(described.tasks().first(), asked)?;
    let mut arguments: Vec<String> = [
        "ecs",
        "execute-command",
        "--cluster",
        &deployment.cluster,
        "--task",
        &task,
        "--container",
        CONTAINER,
        "--interactive",
        "--command",
        command,
    ]
    .map(str::to_owned)
    .into();
    for (option, value) in [("--region", &place.region), ("--profile", &place.profile)] {
        if let Some(value) = value {
            arguments.extend([option.to_owned(), value.clone()]);
        }
    }
    Ok(Session { arguments })
}

/// Why no shell can be opened in a task, if so.
fn judge(task: Option<&Task>, asked: &JobRef) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::Other(why));
    let job = asked.id;
    let status = task.and_then(Task::last_status).unwrap_or("gone");
    let Some(task) = task.filter(|_| status == "RUNNING") else {
        return refuse(format!(
            "job {job} is not running: its task is {status}; `fargate-runners why {job}` tells the rest"
        ));
    };
    if !task.enable_execute_command() {
        let definition = task.task_definition_arn().unwrap_or_default();
        let family = definition.rsplit('/').next().unwrap_or_default();
        return refuse(format!(
            "the runner of job {job} ({family}) allows no shell: give it `shell: true`, deploy, and run the job again; read SECURITY.md first"
        ));
    }
    let runner = task
        .containers()
        .iter()
        .find(|container| container.name() == Some(CONTAINER));
    let agent = runner.and_then(|runner| {
        let mut agents = runner.managed_agents().iter();
        agents.find(|agent| agent.name() == Some(&ManagedAgentName::ExecuteCommandAgent))
    });
    // An agent that is not listed is left to AWS to judge.
    match agent.and_then(|agent| Some((agent.last_status()?, agent.reason()))) {
        None | Some(("RUNNING", _)) => Ok(()),
        Some((status, reason)) => {
            let reason = reason.map(|reason| format!(" ({reason})"));
            refuse(format!(
                "the agent of ECS Exec in the task of job {job} is {status}{}: try again in a few seconds; if it stays, the task reaches no endpoint of ssmmessages",
                reason.unwrap_or_default()
            ))
        }
    }
}

/// Whether a directory of `PATH` has a file of this name.
fn is_on(path: Option<&OsStr>, program: &str) -> bool {
    let directories = path.map(|path| std::env::split_paths(path).collect::<Vec<PathBuf>>());
    directories
        .unwrap_or_default()
        .iter()
        .any(|directory| directory.join(program).is_file())
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{Container, ManagedAgent};

    use super::*;

    fn task(status: &str, shell: bool, agent: Option<&str>) -> Task {
        let agent = agent.map(|status| {
            ManagedAgent::builder()
                .name(ManagedAgentName::ExecuteCommandAgent)
                .last_status(status)
                .build()
        });
        let runner = Container::builder()
            .name("runner")
            .set_managed_agents(Some(agent.into_iter().collect()));
        Task::builder()
            .last_status(status)
            .enable_execute_command(shell)
            .task_definition_arn(
                "arn:aws:ecs:eu-west-1:1:task-definition/fargate-runners-ubuntu-x64:7",
            )
            .containers(runner.build())
            .build()
    }

    #[test]
    fn what_is_in_the_way_is_said_in_one_sentence() {
        let asked: JobRef = "4242".parse().unwrap();
        for (task, told) in [
            (None, "its task is gone"),
            (
                Some(task("PROVISIONING", true, None)),
                "its task is PROVISIONING",
            ),
            (
                Some(task("RUNNING", false, None)),
                "(fargate-runners-ubuntu-x64:7) allows no shell: give it `shell: true`",
            ),
            (
                Some(task("RUNNING", true, Some("PENDING"))),
                "is PENDING: try again",
            ),
            (
                Some(task("RUNNING", true, Some("STOPPED"))),
                "no endpoint of ssmmessages",
            ),
        ] {
            let error = judge(task.as_ref(), &asked).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
            assert!(
                error.contains("4242") && error.lines().count() == 1,
                "{error}"
            );
        }
        judge(Some(&task("RUNNING", true, None)), &asked).unwrap();
        judge(Some(&task("RUNNING", true, Some("RUNNING"))), &asked).unwrap();
    }

    #[test]
    fn a_missing_program_is_named_with_where_to_get_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = Some(directory.path().as_os_str());
        let told = |path| Session::check_programs(path).unwrap_err().to_string();
        assert!(told(None).contains("program aws of AWS"), "{}", told(None));
        std::fs::write(directory.path().join("aws"), "").unwrap();
        assert!(told(path).contains(INSTALL_PLUGIN), "{}", told(path));
        std::fs::write(directory.path().join("session-manager-plugin"), "").unwrap();
        Session::check_programs(path).unwrap();
    }

    #[test]
    fn the_printed_line_survives_a_shell() {
        let arguments = ["--command", "sh -c 'id'", ""].map(str::to_owned).into();
        let line = Session { arguments }.line();
        assert_eq!(line, r"aws --command 'sh -c '\''id'\''' ''");
    }
}
