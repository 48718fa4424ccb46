//! The process that runs a job. The listener starts it, passes the job, and reads the result from
//! its exit code
//! ([source](https://github.com/actions/runner/blob/main/src/Runner.Listener/JobDispatcher.cs)). If
//! the worker is killed, by its job or for lack of memory, the listener continues.

use std::process::{ExitStatus, Stdio};

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};

use crate::code;
use crate::command::INPUT;
use crate::github::{GitHub, Job};
use crate::home::{Home, Settings};
use crate::job::{self, JobResult};
use crate::terminal::error;

const NAME: &str = "Runner.Worker";
/// The real worker's name.
const COMMAND: &str = "spawnclient";
const CANCEL: &[u8] = b"cancel\n";

/// The worker's input.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) home: Home,
    pub(crate) settings: Settings,
    pub(crate) session: String,
    pub(crate) job: Job,
}

#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    input: Option<ChildStdin>,
}

impl Worker {
    pub(crate) async fn start(order: &Order) -> std::io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0(NAME)
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        // The job must not see the listener's arguments.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().to_uppercase().starts_with(INPUT) {
                command.env_remove(name);
            }
        }
        let mut child = command.spawn()?;
        let mut input = child.stdin.take();
        if let Some(input) = &mut input {
            let mut line = serde_json::to_vec(order)?;
            line.push(b'\n');
            input.write_all(&line).await?;
        }
        Ok(Self { child, input })
    }

    /// Its exit code, as .NET reports it. Cancel safe.
    pub(crate) async fn ended(&mut self) -> i32 {
        self.child.wait().await.map_or(code::TERMINATED, exit_code)
    }

    pub(crate) async fn cancel(&mut self) {
        if let Some(input) = &mut self.input {
            // A worker that is gone has nothing to cancel.
            let _ = input.write_all(CANCEL).await;
        }
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    let signal = || status.signal().map(|signal| 128 + signal);
    status.code().or_else(signal).unwrap_or(code::TERMINATED)
}

/// The result of a worker's exit code; an unknown code is a failure.
pub(crate) fn result(code: i32) -> JobResult {
    [JobResult::Succeeded, JobResult::Canceled]
        .into_iter()
        .find(|result| code::WORKER_RESULT + result.number() == code)
        .unwrap_or(JobResult::Failed)
}

/// The kernel takes a process's name from the program's file.
pub(crate) fn take_name(arguments: &[String]) {
    if arguments.get(1).is_some_and(|argument| argument == COMMAND) {
        // Only helps debugging.
        let _ = nix::sys::prctl::set_name(c"Runner.Worker");
    }
}

/// Reads the listener's messages until it is gone, in its own thread, which nothing joins.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Runs the job that the listener passes.
pub(crate) async fn work() -> i32 {
    let mut lines = lines();
    let order = lines
        .recv()
        .await
        .and_then(|line| serde_json::from_str::<Order>(&line).ok());
    let Some(order) = order else {
        error("The listener sent no job.");
        return code::TERMINATED;
    };
    let github = match GitHub::new(&order.settings.server) {
        Ok(github) => github,
        Err(reason) => {
            error(&format!("An error occurred: {reason}"));
            return code::TERMINATED;
        }
    };
    let (cancel, cancelled) = watch::channel(false);
    tokio::spawn(async move {
        // Any message from the listener means cancel, and so does its end.
        lines.recv().await;
        cancel.send_replace(true);
    });
    let Order {
        home,
        settings,
        session,
        job,
    } = order;
    let result = job::execute(home, settings, github, session, job, cancelled).await;
    code::WORKER_RESULT + result.number()
}
