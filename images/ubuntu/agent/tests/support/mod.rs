//! What stands round the agent in these tests: SSM and the credentials endpoint on loopback, and a
//! runner's directory whose listener is a shell script.

mod aws;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use decisions::AgentExit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::{Registration, Secret};
use tempfile::TempDir;

pub(crate) use aws::{Aws, Mood};

pub(crate) const PARAMETER: &str =
    "/fargate-runners/runners/fr-hello-42/0123456789abcdef0123456789abcdef";
/// A warm task's bell, and the table with it.
pub(crate) const BELL: &str = "fedcba9876543210fedcba9876543210";
pub(crate) const TABLE: &str = "fargate-runners-stock";
/// Far beyond what anything here takes: a deadline for the broken case only.
const PATIENCE: Duration = Duration::from_mins(1);

/// A just-in-time configuration of the real one's form.
pub(crate) fn jit_config() -> String {
    let key = STANDARD.encode(r#"{"d":"the-private-exponent-of-it"}"#);
    STANDARD.encode(format!(r#"{{".credentials_rsaparams":"{key}"}}"#))
}

pub(crate) fn jit() -> Registration {
    Registration::Jit(Secret::new(jit_config()))
}

/// A runner's directory.
pub(crate) struct Home(TempDir);

impl Home {
    /// One whose listener does `script`. It has told the AWS stand-in that it is there before it
    /// does anything else, so that calls and start have an order.
    pub(crate) fn with_listener(script: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.path("bin")).unwrap();
        fs::create_dir(home.path("_diag")).unwrap();
        home.program("bin/Runner.Listener", script);
        home
    }

    pub(crate) fn program(&self, name: &str, script: &str) {
        let told = format!(
            "exec 3<>/dev/tcp/127.0.0.1/$STAND_IN_PORT\nprintf 'GET /{name} HTTP/1.1\\r\\n\\r\\n' >&3\ncat <&3 >/dev/null\nexec 3<&-"
        );
        fs::write(self.path(name), format!("#!/bin/bash\n{told}\n{script}\n")).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

/// A running agent. Its output is a file, so that a test can look while it runs.
pub(crate) struct Agent<'a> {
    child: Child,
    _stands_in: (&'a Aws, &'a Home),
    output: PathBuf,
    _scratch: TempDir,
}

impl<'a> Agent<'a> {
    pub(crate) fn start(aws: &'a Aws, home: &'a Home) -> Self {
        Self::start_with(aws, home, &[])
    }

    pub(crate) fn start_with(aws: &'a Aws, home: &'a Home, variables: &[(&str, &str)]) -> Self {
        let cold = [
            ("AGENT_PARAMETER", PARAMETER),
            ("AGENT_RUNNER", "fr-hello-42"),
            ("AGENT_EXECUTION", "hello-42"),
        ];
        Self::spawn(aws, home, &[&cold, variables].concat())
    }

    /// A task of the stock.
    pub(crate) fn warm(aws: &'a Aws, home: &'a Home, variables: &[(&str, &str)]) -> Self {
        let warm = [
            ("AGENT_BELL", BELL),
            ("AGENT_TABLE", TABLE),
            ("AGENT_TICKET", "fargate-runners-ubuntu-x64/03"),
        ];
        Self::spawn(aws, home, &[&warm, variables].concat())
    }

    fn spawn(aws: &'a Aws, home: &'a Home, variables: &[(&str, &str)]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let output = scratch.path().join("agent.log");
        let child = Command::new(env!("CARGO_BIN_EXE_agent"))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ENDPOINT_URL", aws.url())
            .env(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                format!("{}/credentials", aws.url()),
            )
            .env("STAND_IN_PORT", aws.port().to_string())
            .env("AGENT_RUNNER_HOME", home.path(""))
            .envs(variables.iter().copied())
            .stdout(Stdio::from(File::create(&output).unwrap()))
            .spawn()
            .unwrap();
        Self {
            child,
            _stands_in: (aws, home),
            output,
            _scratch: scratch,
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    pub(crate) fn stop(&self) {
        kill(self.pid(), Signal::SIGTERM).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.output).unwrap()
    }

    /// The last thing it said.
    pub(crate) fn last(&self) -> serde_json::Value {
        serde_json::from_str(self.log().lines().last().unwrap()).unwrap()
    }

    pub(crate) fn wait_for(&self, text: &str) {
        until(
            || self.log().contains(text),
            || format!("{text:?} in\n{}", self.log()),
        );
    }

    /// How it ended. What it said last names the same outcome, and the runner.
    pub(crate) fn outcome(&mut self) -> AgentExit {
        let exit = self.end();
        let last = self.last();
        assert_eq!(
            (&last["runner"], &last["execution"]),
            (&"fr-hello-42".into(), &"hello-42".into())
        );
        exit
    }

    /// How it ended. What it said last names the same outcome.
    pub(crate) fn end(&mut self) -> AgentExit {
        let mut status = None;
        let output = self.output.clone();
        until(
            || {
                status = self.child.try_wait().unwrap();
                status.is_some()
            },
            || {
                format!(
                    "the agent to end; it said\n{}",
                    fs::read_to_string(&output).unwrap()
                )
            },
        );
        let exit = AgentExit::from_code(status.unwrap().code().unwrap()).unwrap();
        let last = self.last();
        assert_eq!(last["outcome"], exit.name(), "{}", self.log());
        exit
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

pub(crate) fn until(mut holds: impl FnMut() -> bool, what: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {}", what());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether there is such a process, alive or unburied.
pub(crate) fn exists(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}
