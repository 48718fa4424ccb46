//! The command line's console, on the running stack.

use std::io::IsTerminal as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use local_stack::REGION;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tooling::{Checkout, Progress};

const LOOK: Duration = Duration::from_millis(200);
/// A first job that nobody watches is queued after so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// The console answers at once; without a bound, one that does not would hold the first job back for ever.
const ANSWER: Duration = Duration::from_secs(2);

/// A console; dropped, it ends.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) url: String,
    _child: Child,
}

impl Console {
    /// Starts the console of a stack in the engine at `endpoint`.
    pub(crate) async fn start(
        checkout: &Checkout,
        endpoint: &str,
        stack: &str,
        port: u16,
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(checkout.program("fargate-runners"))
            .args(["console", "--every", "1", "--json", "--stack", stack])
            .args(["--port", &port.to_string()])
            .envs([
                ("AWS_ENDPOINT_URL", endpoint),
                ("AWS_REGION", REGION),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting the console")?;
        let stdout = child.stdout.take().context("the console has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut said = String::new();
        // It says where it is, as JSON, and goes on; or it ends.
        while let Some(line) = lines.next_line().await? {
            said.push_str(&line);
            if let Ok(told) = serde_json::from_str::<Value>(&said) {
                let url = told["url"].as_str().context("the console has no address")?;
                return Ok(Self {
                    url: url.to_owned(),
                    _child: child,
                });
            }
        }
        bail!("the console ended, as it says above");
    }

    /// Waits until somebody watches, if a person started the stack; not for long.
    pub(crate) async fn watched(&self, progress: &Progress) {
        if !std::io::stdout().is_terminal() {
            return;
        }
        let seconds = PATIENCE.as_secs();
        progress.say(&format!(
            "\nOpen {} to watch: the first job is queued when the page is open, or in {seconds} s.",
            self.url
        ));
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until && self.pages().await.unwrap_or_default() == 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How many pages are open.
    async fn pages(&self) -> Option<u64> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER)
            .build()
            .ok()?;
        let url = format!("{}pages", self.url);
        let told: Value = client.get(url).send().await.ok()?.json().await.ok()?;
        told["open"].as_u64()
    }
}
