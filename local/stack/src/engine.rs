//! The AWS engine as a child process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tooling::{Checkout, Step, run};

use crate::{ACCOUNT, Aws, REGION};

/// It starts within two seconds, or slower while the machine compiles.
const START: Duration = Duration::from_mins(1);
/// It stops within ten seconds; after that, killing its guardian kills everything.
const STOP: Duration = Duration::from_secs(15);
/// The engine's exit status for a port in use.
const PORT_TAKEN: i32 = 3;

/// Options of the engine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// Factor on waits and retry delays.
    pub wait_scale: f64,
    /// Whether it has a control endpoint for faults and the call log.
    pub control: bool,
    /// Whether it rejects calls that roles do not allow.
    pub enforce_iam: bool,
    /// Directory for logs and task homes; emptied at start.
    pub directory: PathBuf,
}

/// The running engine. It ends when this is dropped, or when this process ends.
#[derive(Debug)]
pub struct Engine {
    child: Child,
    ready: Ready,
    directory: PathBuf,
}

/// The engine's only line on stdout.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    endpoint: String,
    control_port: Option<u16>,
}

impl Engine {
    /// Starts the engine and waits until it is ready.
    pub async fn start(checkout: &Checkout, options: &EngineOptions) -> anyhow::Result<Self> {
        let directory = &options.directory;
        if directory.exists() {
            fs::remove_dir_all(directory)
                .with_context(|| format!("emptying {}", directory.display()))?;
        }
        fs::create_dir_all(directory)?;
        let home = runner_home(checkout, directory)?;
        let python = checkout.venv_program("engine", "python");
        ensure!(
            python.is_file() && checkout.agent().is_file(),
            "the engine's Python environment or the agent is missing; run: cargo xtask prepare"
        );
        let mut command = Command::new(python);
        command
            .arg(checkout.path("local/engine/launch.py"))
            .args(["--port", &options.port.to_string()])
            .args(["--wait-scale", &options.wait_scale.to_string()])
            .arg("--state-dir")
            .arg(directory)
            .arg("--agent")
            .arg(checkout.agent())
            .arg("--runner-home")
            .arg(home);
        if options.control {
            command.args(["--control-port", "0"]);
        }
        if options.enforce_iam {
            command.arg("--enforce-iam");
        }
        // Its own process group: Ctrl-C in the terminal reaches only this process, which stops the
        // engine in order.
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the AWS engine")?;
        let ready = tokio::time::timeout(START, ready_line(&mut child, options.port))
            .await
            .with_context(|| {
                format!(
                    "the AWS engine was not ready within {} s; see its engine.log",
                    START.as_secs()
                )
            })??;
        Ok(Self {
            child,
            ready,
            directory: directory.clone(),
        })
    }

    /// The URL of the AWS endpoint.
    pub fn endpoint(&self) -> &str {
        &self.ready.endpoint
    }

    /// The URL of the control endpoint, if it has one.
    pub fn control(&self) -> Option<String> {
        self.ready
            .control_port
            .map(|port| format!("http://127.0.0.1:{port}"))
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A client of the engine.
    pub fn aws(&self) -> anyhow::Result<Aws> {
        Aws::new(self.endpoint())
    }

    /// Runs `cdk bootstrap`.
    pub fn bootstrap(&self, checkout: &Checkout, step: &Step) -> anyhow::Result<()> {
        let mut cdk = cdk(checkout, self.endpoint());
        // Outside the app's directory: bootstrap does not need the app, whose synthesis takes
        // seconds.
        cdk.args(["bootstrap", &format!("aws://{ACCOUNT}/{REGION}")])
            .current_dir(&self.directory);
        run(step, &mut cdk).map(drop)
    }

    /// Stops the engine, its functions and its tasks, and waits until they are gone.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) else {
            return Ok(());
        };
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)
            .context("stopping the AWS engine")?;
        if let Ok(ended) = tokio::time::timeout(STOP, self.child.wait()).await {
            return ended.map(drop).context("waiting for the AWS engine");
        }
        self.child.kill().await.context("killing the AWS engine")?;
        bail!(
            "the AWS engine did not stop within {} s and was killed",
            STOP.as_secs()
        )
    }
}

/// The CDK command line, set up for the engine.
pub(crate) fn cdk(checkout: &Checkout, endpoint: &str) -> std::process::Command {
    let mut command = std::process::Command::new(checkout.path("cdk/node_modules/.bin/cdk"));
    credentials(&mut command, endpoint);
    command.env("CDK_DISABLE_CLI_TELEMETRY", "1");
    command
}

/// Points a program with an AWS SDK to the engine only.
pub fn credentials(command: &mut std::process::Command, endpoint: &str) {
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", REGION)
        // A profile would override these credentials.
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN");
}

async fn ready_line(child: &mut Child, port: u16) -> anyhow::Result<Ready> {
    let stdout = child.stdout.take().context("the engine's stdout")?;
    let line = BufReader::new(stdout).lines().next_line().await?;
    if let Some(line) = line {
        return serde_json::from_str(&line).with_context(|| format!("the engine said {line:?}"));
    }
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said).await?;
    }
    let status = child.wait().await?;
    let advice = if status.code() == Some(PORT_TAKEN) {
        format!(
            "\n`ss -ltnp 'sport = :{port}'` shows which process uses the port. Stop it, or use another port: \
             cargo xtask local --port 4666"
        )
    } else {
        String::new()
    };
    bail!(
        "the AWS engine did not start ({status}): {}{advice}",
        said.trim()
    )
}

/// The template of a task's home, with the listener stand-in in place of the real listener.
fn runner_home(checkout: &Checkout, directory: &Path) -> anyhow::Result<PathBuf> {
    let home = directory.join("runner-home");
    fs::create_dir_all(home.join("bin"))?;
    let files = [
        (
            checkout.program("listener-standin"),
            home.join("bin/Runner.Listener"),
        ),
        (
            checkout.path("local/listener/home/config.sh"),
            home.join("config.sh"),
        ),
    ];
    for (from, to) in files {
        fs::copy(&from, &to)
            .with_context(|| format!("copying {}; make it: cargo xtask prepare", from.display()))?;
    }
    Ok(home)
}
