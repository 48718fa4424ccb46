//! Runs a job: its hooks and its script, and sends the output to GitHub.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::files::{Layout, tracking_id};
use crate::github::{GitHub, Job};
use crate::home::{Home, Settings};
use crate::orphans;
use crate::terminal::Diagnostics;

/// Delays between the signals to a cancelled step
/// ([source](https://github.com/actions/runner/blob/main/src/Runner.Sdk/ProcessInvoker.cs)).
const AFTER_INTERRUPT: Duration = Duration::from_millis(7_500);
const AFTER_TERMINATE: Duration = Duration::from_millis(2_500);
/// Wait for the remaining output after the script has ended.
const DRAIN: Duration = Duration::from_secs(1);
/// Interval between pieces of output.
const FLUSH: Duration = Duration::from_millis(200);

/// A job's result, as the console spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobResult {
    Succeeded,
    Failed,
    Canceled,
}

impl JobResult {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
        }
    }

    /// The result as a number
    /// ([source](https://github.com/actions/runner/blob/main/src/Sdk/DTWebApi/WebApi/TaskResult.cs)).
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Succeeded => 0,
            Self::Failed => 2,
            Self::Canceled => 3,
        }
    }
}

/// Runs the job, and cancels it when `cancelled` says so.
pub(crate) async fn execute(
    home: Home,
    settings: Settings,
    github: GitHub,
    session: String,
    job: Job,
    cancelled: watch::Receiver<bool>,
) -> JobResult {
    let log = Diagnostics::open(home.path(), "Worker");
    log.info(&format!("Job {} ({}) begins.", job.name, job.id));
    let (output, pieces) = mpsc::unbounded_channel();
    let sending = tokio::spawn(send_output(github.clone(), session.clone(), job.id, pieces));
    let mut summary = None;
    let nonce = nonce();
    let result = match Layout::make(home.path(), &settings, &job, &nonce) {
        Ok(layout) => {
            summary = layout.environment.get("GITHUB_STEP_SUMMARY").cloned();
            Steps {
                layout,
                tracking_id: tracking_id(&nonce),
                output,
                cancelled,
            }
            .run(&log)
            .await
        }
        Err(error) => {
            // The task above keeps the other end.
            let _ = output.send(format!("Cannot create the job's directories: {error}\n"));
            drop(output);
            JobResult::Failed
        }
    };
    let orphans = orphans::signal_all(&tracking_id(&nonce), Signal::SIGKILL);
    log.info(&format!(
        "Killed {orphans} processes that the job left behind."
    ));
    // Lost output does not change the result.
    let _ = sending.await;
    // One for the script and its hooks; GitHub shows those of all steps below each other.
    let summary = summary.and_then(|file| fs::read_to_string(file).ok());
    if let Some(text) = summary.filter(|text| !text.is_empty()) {
        let _ = github.summary(&session, job.id, text).await;
    }
    log.info(&format!("Job result: {}", result.as_str()));
    result
}

struct Steps {
    layout: Layout,
    tracking_id: String,
    output: mpsc::UnboundedSender<String>,
    cancelled: watch::Receiver<bool>,
}

impl Steps {
    async fn run(mut self, log: &Diagnostics) -> JobResult {
        let mut good = self.hook("ACTIONS_RUNNER_HOOK_JOB_STARTED", log).await;
        if good {
            let script = self.layout.script.clone();
            good = self.step("Run", &script, log).await;
        }
        // The hook after a job always runs.
        good &= self.hook("ACTIONS_RUNNER_HOOK_JOB_COMPLETED", log).await;
        match (*self.cancelled.borrow(), good) {
            (true, _) => JobResult::Canceled,
            (false, true) => JobResult::Succeeded,
            (false, false) => JobResult::Failed,
        }
    }

    async fn hook(&mut self, variable: &str, log: &Diagnostics) -> bool {
        let Some(script) = self.layout.environment.get(variable).cloned() else {
            return true;
        };
        // GitHub shows it as a step of its own; here a job has one output.
        log.info(&format!("A job hook is configured: {script}"));
        self.step(variable, Path::new(&script), log).await
    }

    /// Runs a script; returns whether it succeeded.
    async fn step(&mut self, name: &str, script: &Path, log: &Diagnostics) -> bool {
        let mut child = match self.start(script) {
            Ok(child) => child,
            Err(error) => {
                self.say(&format!("{}: {error}\n", script.display()));
                return false;
            }
        };
        let readers: Vec<_> = [
            child
                .stdout
                .take()
                .map(|pipe| tokio::spawn(follow(pipe, self.output.clone()))),
            child
                .stderr
                .take()
                .map(|pipe| tokio::spawn(follow(pipe, self.output.clone()))),
        ]
        .into_iter()
        .flatten()
        .collect();
        let status = attend(&mut child, &self.tracking_id, &mut self.cancelled).await;
        for reader in readers {
            // A background process may keep the pipe open; do not wait for it.
            let _ = timeout(DRAIN, reader).await;
        }
        let code = status.ok().and_then(|status| status.code());
        log.info(&format!("{name} ended with exit code {code:?}."));
        if *self.cancelled.borrow() {
            self.say("##[error]The operation was canceled.\n");
        } else if code != Some(0) {
            self.say(&format!(
                "##[error]Process completed with exit code {}.\n",
                code.unwrap_or(-1)
            ));
        }
        code == Some(0)
    }

    fn start(&self, script: &Path) -> io::Result<Child> {
        let shell = if Path::new("/bin/bash").exists() {
            "/bin/bash"
        } else {
            "/bin/sh"
        };
        Command::new(shell)
            .arg("-e")
            .arg(script)
            .current_dir(&self.layout.workspace)
            .env_clear()
            .envs(&self.layout.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }

    fn say(&self, text: &str) {
        // This object keeps the other end.
        let _ = self.output.send(text.to_owned());
    }
}

/// Waits for a step's end, and signals it once the job is cancelled. A step that starts later (the
/// hook after the job) is not signalled.
async fn attend(
    child: &mut Child,
    tracking_id: &str,
    cancelled: &mut watch::Receiver<bool>,
) -> io::Result<std::process::ExitStatus> {
    if *cancelled.borrow() {
        return child.wait().await;
    }
    tokio::select! {
        status = child.wait() => return status,
        // An error means that no cancellation can come.
        Ok(_) = cancelled.wait_for(|cancelled| *cancelled) => {}
    }
    let begun = Instant::now();
    for (signal, patience) in [
        (Signal::SIGINT, AFTER_INTERRUPT),
        (Signal::SIGTERM, AFTER_INTERRUPT + AFTER_TERMINATE),
    ] {
        orphans::signal_all(tracking_id, signal);
        tokio::select! {
            status = child.wait() => return status,
            () = sleep_until(begun + patience) => {}
        }
    }
    orphans::signal_all(tracking_id, Signal::SIGKILL);
    child.wait().await
}

async fn follow(mut pipe: impl AsyncRead + Unpin, output: mpsc::UnboundedSender<String>) {
    let mut buffer = vec![0; 8192];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if output.send(text).is_err() {
            return;
        }
    }
}

/// Sends the output in larger pieces. Rejected output is dropped: a job does not fail because of
/// its log.
async fn send_output(
    github: GitHub,
    session: String,
    job: u64,
    mut pieces: mpsc::UnboundedReceiver<String>,
) {
    while let Some(mut text) = pieces.recv().await {
        let flush = Instant::now() + FLUSH;
        loop {
            tokio::select! {
                more = pieces.recv() => match more {
                    Some(more) => text.push_str(&more),
                    None => break,
                },
                () = sleep_until(flush) => break,
            }
        }
        let _ = github.output(&session, job, text).await;
    }
}

fn nonce() -> String {
    let mut bytes = [0; 16];
    // Without randomness two jobs in one directory would share a name; a directory has one job.
    let _ = getrandom::fill(&mut bytes);
    format!("{:032x}", u128::from_ne_bytes(bytes))
}
