//! The agent: what it takes until the listener runs, and while a warm task waits.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::{Registration, Secret};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::github::configuration;
use crate::rig::Rig;
use crate::serve::Server;
use crate::spread::{Spread, milliseconds};

const PARAMETER: &str = "/fargate-runners/runners/fr-hello-42/0123456789abcdef0123456789abcdef";

/// Says that it runs, and stays; warms up at once.
const LISTENER: &str = "#!/bin/sh\n[ \"$1\" = warmup ] && exit\necho $$ > \"$0.pid.new\" && mv \"$0.pid.new\" \"$0.pid\"\nexec sleep 60\n";

/// Looks at the bell before the wait is measured: the connection and the warm-up are behind it.
const SETTLED: u64 = 4;
/// Looks that are measured.
const LOOKS: u64 = 20;
/// Looks in a second.
const RATE: f64 = 2.0;

/// The agent's figures: CPU times in milliseconds, from its start to the listener's.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// SSM without TLS.
    pub(crate) plain: Spread,
    /// SSM over TLS, with all authorities read.
    pub(crate) tls: Spread,
    pub(crate) program_bytes: u64,
    /// A warm task that waits, its table over TLS: CPU time of a second, in milliseconds.
    #[serde(default)]
    pub(crate) waiting: Spread,
    /// The most memory that it had in RAM.
    #[serde(default)]
    pub(crate) waiting_mib: Spread,
}

pub(crate) async fn measure(rig: &Rig, runs: u32) -> anyhow::Result<Figures> {
    let configuration = Registration::Jit(Secret::new(configuration())).encode()?;
    rig.aws
        .account()
        .parameters
        .insert(PARAMETER.to_owned(), configuration.expose().to_owned());
    let plain = Server::start(None, Arc::clone(&rig.aws)).await?;
    let plain = format!("http://{}", plain.address);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        without.push(start(rig, &plain, &plain).await?);
        with.push(start(rig, &rig.aws_url(), &plain).await?);
    }
    let (mut waiting, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..runs.min(3) {
        let (cpu, mib) = wait(rig, &plain).await?;
        waiting.push(cpu);
        memory.push(mib);
    }
    Ok(Figures {
        plain: Spread::of_times(without),
        tls: Spread::of_times(with),
        program_bytes: fs::metadata(rig.agent())?.len(),
        waiting: Spread::of(waiting),
        waiting_mib: Spread::of(memory),
    })
}

async fn start(rig: &Rig, ssm: &str, credentials: &str) -> anyhow::Result<Duration> {
    let home = home()?;
    let variables = [("AGENT_PARAMETER", PARAMETER)];
    let mut agent = spawn(rig, home.path(), ssm, credentials, &variables)?;
    let taken = started(&mut agent, &home.path().join("bin/Runner.Listener.pid")).await;
    end(rig, agent, taken)
}

/// The CPU time of a second of waiting in milliseconds, and the most memory in MiB.
async fn wait(rig: &Rig, credentials: &str) -> anyhow::Result<(f64, f64)> {
    let home = home()?;
    let variables = [
        ("AGENT_BELL", "fedcba9876543210fedcba9876543210"),
        ("AGENT_TABLE", "fargate-runners-stock"),
    ];
    let mut agent = spawn(rig, home.path(), &rig.aws_url(), credentials, &variables)?;
    let waited = waited(rig, &mut agent).await;
    end(rig, agent, waited)
}

async fn waited(rig: &Rig, agent: &mut Child) -> anyhow::Result<(f64, f64)> {
    rig.aws.take_calls();
    looks(rig, agent, SETTLED).await?;
    let before = clock::cpu_at_rest(agent.id()).await?;
    looks(rig, agent, SETTLED + LOOKS).await?;
    let after = clock::cpu_at_rest(agent.id()).await?;
    let taken = after.saturating_sub(before);
    // Far below 2^52.
    #[allow(clippy::cast_precision_loss)]
    let (looks, memory) = (LOOKS as f64, clock::peak_memory(agent.id())? as f64);
    Ok((
        milliseconds(taken) / looks * RATE,
        memory / f64::from(1 << 20),
    ))
}

/// Waits until the task has looked at its bell so often.
async fn looks(rig: &Rig, agent: &mut Child, times: u64) -> anyhow::Result<()> {
    const LIMIT: u32 = 10_000;
    for _ in 0..LIMIT {
        let calls = rig.aws.account().calls.get("dynamodb:GetItem").copied();
        if calls.unwrap_or_default() >= times {
            return Ok(());
        }
        if let Some(status) = agent.try_wait()? {
            bail!("the agent ended ({status})");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("the agent does not look at its bell")
}

fn home() -> anyhow::Result<tempfile::TempDir> {
    let home = tempfile::tempdir()?;
    let listener = home.path().join("bin/Runner.Listener");
    fs::create_dir(home.path().join("bin"))?;
    fs::write(&listener, LISTENER)?;
    fs::set_permissions(&listener, fs::Permissions::from_mode(0o755))?;
    Ok(home)
}

fn log(rig: &Rig) -> PathBuf {
    rig.directory().join("agent.log")
}

fn spawn(
    rig: &Rig,
    home: &Path,
    endpoint: &str,
    credentials: &str,
    variables: &[(&str, &str)],
) -> anyhow::Result<Child> {
    let output = File::create(log(rig))?;
    Command::new(rig.agent())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", endpoint)
        .env(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("{credentials}/credentials"),
        )
        .env("SSL_CERT_FILE", &rig.authority.bundle)
        .env("AGENT_RUNNER_HOME", home)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("starting {}", rig.agent().display()))
}

/// Ends the agent. A failure quotes its log.
fn end<T>(rig: &Rig, mut agent: Child, result: anyhow::Result<T>) -> anyhow::Result<T> {
    let _ = agent.kill();
    let _ = agent.wait();
    result.with_context(|| fs::read_to_string(log(rig)).unwrap_or_default())
}

/// Waits for the listener, reads the agent's clock, and ends the listener.
async fn started(agent: &mut Child, word: &Path) -> anyhow::Result<Duration> {
    const LOOKS: u32 = 10_000;
    for _ in 0..LOOKS {
        if let Ok(pid) = fs::read_to_string(word) {
            let taken = clock::cpu_at_rest(agent.id()).await?;
            kill(Pid::from_raw(pid.trim().parse()?), Signal::SIGKILL)?;
            return Ok(taken);
        }
        if let Some(status) = agent.try_wait()? {
            bail!("the agent ended ({status})");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bail!("the agent started no listener in time")
}
