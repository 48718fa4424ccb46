//! The agent: what it takes until the listener runs.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
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
use crate::spread::Spread;

const PARAMETER: &str = "/fargate-runners/runners/fr-hello-42/0123456789abcdef0123456789abcdef";

/// Says that it runs, and stays.
const LISTENER: &str =
    "#!/bin/sh\necho $$ > \"$0.pid.new\" && mv \"$0.pid.new\" \"$0.pid\"\nexec sleep 60\n";

/// The agent's figures: CPU times in milliseconds, from its start to the listener's.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// SSM without TLS.
    pub(crate) plain: Spread,
    /// SSM over TLS, with all authorities read.
    pub(crate) tls: Spread,
    pub(crate) program_bytes: u64,
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
    Ok(Figures {
        plain: Spread::of_times(without),
        tls: Spread::of_times(with),
        program_bytes: fs::metadata(rig.agent())?.len(),
    })
}

async fn start(rig: &Rig, ssm: &str, credentials: &str) -> anyhow::Result<Duration> {
    let home = tempfile::tempdir()?;
    let listener = home.path().join("bin/Runner.Listener");
    fs::create_dir(home.path().join("bin"))?;
    fs::write(&listener, LISTENER)?;
    fs::set_permissions(&listener, fs::Permissions::from_mode(0o755))?;
    let log = rig.directory().join("agent.log");
    let output = File::create(&log)?;
    let mut agent = Command::new(rig.agent())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", ssm)
        .env(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("{credentials}/credentials"),
        )
        .env("SSL_CERT_FILE", &rig.authority.bundle)
        .env("AGENT_PARAMETER", PARAMETER)
        .env("AGENT_RUNNER_HOME", home.path())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("starting {}", rig.agent().display()))?;
    let taken = started(&mut agent, &home.path().join("bin/Runner.Listener.pid")).await;
    let _ = agent.kill();
    let _ = agent.wait();
    taken.with_context(|| fs::read_to_string(&log).unwrap_or_default())
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
