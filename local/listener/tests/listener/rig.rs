//! A listener as a process, and the GitHub stand-in that it listens to.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use github_standin::{
    Config, Fault, FaultKind, Job, JobStatus, NewJob, OwnerType, Server, Settings,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Longer than anything takes here.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A runner registered at the GitHub stand-in, and where its listener is installed.
pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) home: TempDir,
    pub(crate) runner: u64,
    /// Its just-in-time configuration.
    pub(crate) config: String,
}

impl Rig {
    /// A runner of the organization.
    pub(crate) async fn new() -> Self {
        Self::at("octo").await
    }

    /// A runner of the organization `octo` or the repository `octo/hello`.
    pub(crate) async fn at(scope: &str) -> Self {
        let server = server().await;
        let (runner, config) = server.register_runner(scope, "one", &["x"]).unwrap();
        Self {
            server,
            home: home(),
            runner,
            config,
        }
    }

    /// The same at a GitHub with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let rig = Self::new().await;
        rig.server.change_settings(change);
        rig
    }

    pub(crate) fn queue(&self, run: &str) -> Job {
        queue(&self.server, run)
    }

    pub(crate) fn start(&self) -> Listener {
        self.start_in(&[])
    }

    /// With further variables.
    pub(crate) fn start_in(&self, environment: &[(&str, &str)]) -> Listener {
        Listener::start(&self.home, &self.config, environment)
    }

    /// A listener that waits for a job.
    pub(crate) async fn listening(&self) -> Listener {
        let mut listener = self.start();
        listener.until("Listening for Jobs").await;
        listener
    }

    /// Waits until the job's output has a text; the output.
    pub(crate) async fn output(&self, job: &Job, text: &str) -> String {
        let found = self
            .server
            .wait_for(PATIENCE, |state| {
                state.job(job.id).unwrap().output.contains(text)
            })
            .await
            .unwrap();
        found.job(job.id).unwrap().output.clone()
    }

    /// Waits until the job has ended.
    pub(crate) async fn completed(&self, job: &Job) -> Job {
        let state = self
            .server
            .wait_for(PATIENCE, |state| {
                state.job(job.id).unwrap().status == JobStatus::Completed
            })
            .await
            .unwrap();
        state.job(job.id).unwrap().clone()
    }

    /// Waits until the job has ended, with this conclusion.
    pub(crate) async fn concluded(&self, job: &Job, conclusion: &str) -> Job {
        let done = self.completed(job).await;
        assert_eq!(done.conclusion.as_deref(), Some(conclusion));
        done
    }

    /// Neither a job nor a runner is left at GitHub.
    pub(crate) fn nothing_is_left(&self) {
        let left = self.server.leftovers();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Opening a session fails so often.
    pub(crate) fn refuse_sessions(&self, times: u32) {
        let kind = FaultKind::Status {
            status: 503,
            message: None,
            retry_after: None,
        };
        let fault = Fault::new(kind).on("POST", "/_runner/sessions");
        self.server.fault(fault.times(times));
    }
}

pub(crate) async fn server() -> Server {
    let server = Server::start(Config::default()).await.unwrap();
    server
        .add_repository("octo/hello", OwnerType::Organization, true)
        .unwrap();
    server
}

pub(crate) fn queue(server: &Server, run: &str) -> Job {
    server
        .create_job(NewJob {
            repository: "octo/hello".to_owned(),
            labels: vec!["x".to_owned()],
            run: run.to_owned(),
            ..NewJob::default()
        })
        .unwrap()
}

pub(crate) fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink(
        env!("CARGO_BIN_EXE_listener-standin"),
        bin.join("Runner.Listener"),
    )
    .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("home/config.sh");
    std::fs::copy(script, home.path().join("config.sh")).unwrap();
    home
}

pub(crate) fn program(home: &TempDir) -> Command {
    let mut command = Command::new(home.path().join("bin/Runner.Listener"));
    command
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) struct Listener {
    pub(crate) child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Listener {
    pub(crate) fn start(home: &TempDir, config: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = program(home)
            .arg("run")
            .env("ACTIONS_RUNNER_INPUT_JITCONFIG", config)
            .envs(environment.iter().copied())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            said: Vec::new(),
        }
    }

    pub(crate) async fn until(&mut self, text: &str) {
        let found = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.said.push(line);
                if self.said.last().unwrap().contains(text) {
                    return true;
                }
            }
            false
        };
        assert!(
            timeout(PATIENCE, found).await.unwrap(),
            "never said {text:?}: {:?}",
            self.said
        );
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// Its exit code, what it has said, and what it has said on the other stream.
    pub(crate) async fn end(mut self) -> (Option<i32>, Vec<String>, String) {
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            self.said.push(line);
        }
        let mut errors = String::new();
        let mut pipe = self.child.stderr.take().unwrap();
        pipe.read_to_string(&mut errors).await.unwrap();
        (status.code(), self.said, errors)
    }
}
