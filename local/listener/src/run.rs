//! The command `run`: from the registration to the end of the session.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::github::{Doing, Fault, GitHub, Job, Message, Opened, Trouble};
use crate::home::{Home, Settings};
use crate::job::JobResult;
use crate::signals::{Shutdown, Signals};
use crate::terminal::{Diagnostics, error, event, line, success};
use crate::worker::{self, Order, Worker};
use crate::{VERSION, code, command};

/// Delay before a retry. The real listener waits 30 s.
const RETRY: Duration = Duration::from_secs(1);
/// How long to wait for another session. The real listener waits four minutes.
const CONFLICT_LIMIT: Duration = Duration::from_secs(15);
/// Maximum number of reports of a job's end.
const COMPLETE_ATTEMPTS: u32 = 30;

pub(crate) async fn run(home: &Home, jit_config: Option<&str>) -> i32 {
    let log = Diagnostics::open(home.path(), "Runner");
    log.info(&format!("Version: {VERSION} (stand-in)"));
    let code = prepare(home, jit_config, log).await;
    Diagnostics::open(home.path(), "Runner").info(&format!(
        "Runner execution has finished with return code {code}"
    ));
    code
}

async fn prepare(home: &Home, jit_config: Option<&str>, log: Diagnostics) -> i32 {
    // Installed first: a signal before the session counts too.
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(reason) => {
            return fail(
                &log,
                &format!("An error occurred: {reason}"),
                code::RETRYABLE,
            );
        }
    };
    if let Some(encoded) = jit_config
        && let Err(reason) = home.unpack(encoded)
    {
        return fail(&log, &format!("{reason:#}"), code::TERMINATED);
    }
    if !home.is_configured() {
        let code = fail(&log, "Runner is not configured.", code::TERMINATED);
        line(command::USAGE);
        return code;
    }
    let settings = match home.settings() {
        Ok(settings) => settings,
        Err(reason) => {
            return fail(
                &log,
                &format!("An error occurred: {reason:#}"),
                code::TERMINATED,
            );
        }
    };
    let github = match GitHub::new(&settings.server) {
        Ok(github) => github,
        Err(reason) => {
            return fail(
                &log,
                &format!("An error occurred: {reason}"),
                code::RETRYABLE,
            );
        }
    };
    let mut listener = Listener {
        home,
        settings,
        github,
        signals,
        shutdown: None,
        log,
    };
    let code = listener.serve().await;
    match listener.shutdown {
        Some(Shutdown::Terminate) => code::SIGTERM,
        Some(Shutdown::Interrupt) | None => code,
    }
}

fn fail(log: &Diagnostics, message: &str, code: i32) -> i32 {
    log.error(message);
    error(message);
    code
}

/// Why a listener ends.
enum End {
    /// With this exit code.
    Code(i32),
    /// On request.
    Shutdown,
}

struct Listener<'a> {
    home: &'a Home,
    settings: Settings,
    github: GitHub,
    signals: Signals,
    shutdown: Option<Shutdown>,
    log: Diagnostics,
}

impl Listener<'_> {
    async fn serve(&mut self) -> i32 {
        let Opened { session, fault } = match self.open().await {
            Ok(opened) => opened,
            Err(End::Code(code)) => return code,
            Err(End::Shutdown) => return code::SUCCESS,
        };
        line(&format!("Current runner version: '{VERSION}'"));
        event("Listening for Jobs");
        let end = self.listen(&session, fault).await;
        self.log.info("Deleting Runner Session...");
        // The session's registration may be gone; that has no effect.
        let _ = self.github.close(&session).await;
        match end {
            End::Code(code) => code,
            End::Shutdown => code::SUCCESS,
        }
    }

    /// Opens a session, and retries for ever while GitHub is unreachable.
    async fn open(&mut self) -> Result<Opened, End> {
        let begun = Instant::now();
        let mut troubled = false;
        loop {
            let reply = tokio::select! {
                reply = self.github.open(&self.settings) => reply,
                shutdown = self.signals.next() => return Err(self.end(shutdown)),
            };
            if !matches!(reply, Err(Trouble::Transient(_))) {
                line("");
                success("Connected to GitHub");
                line("");
            }
            match reply {
                Ok(session) => {
                    if troubled {
                        event("Runner reconnected.");
                    }
                    return Ok(session);
                }
                Err(Trouble::Revoked | Trouble::NotFound(_)) => {
                    let message = "Failed to create a session. The runner registration has been deleted from the server, please re-configure. Runner registrations are automatically deleted for runners that have not connected to the service recently.";
                    return Err(End::Code(fail(&self.log, message, code::TERMINATED)));
                }
                Err(Trouble::Deprecated(reason)) => return Err(self.deprecated(&reason)),
                Err(Trouble::Conflict) => {
                    error("A session for this runner already exists.");
                    if begun.elapsed() > CONFLICT_LIMIT {
                        let message = "Stop retry on SessionConflictException.";
                        return Err(End::Code(fail(&self.log, message, code::SESSION_CONFLICT)));
                    }
                }
                Err(Trouble::Transient(reason)) => self.complain(&mut troubled, &reason),
            }
            self.pause().await?;
        }
    }

    /// Polls for messages and handles them.
    async fn listen(&mut self, session: &str, fault: Fault) -> End {
        let mut troubled = false;
        loop {
            let reply = tokio::select! {
                reply = self.github.message(session, Doing::Idle) => reply,
                shutdown = self.signals.next() => return self.end(shutdown),
            };
            if troubled && reply.is_ok() {
                event("Runner reconnected.");
                troubled = false;
            }
            match reply {
                Ok(None | Some(Message::Cancel(_))) => {}
                Ok(Some(Message::Update(_))) => return self.update(),
                Ok(Some(Message::Job(id))) if fault == Fault::RequestGone => {
                    return self.request_gone(id);
                }
                Ok(Some(Message::Job(id))) => match self.github.acquire(session, id).await {
                    Ok(job) => {
                        if let Some(end) = self.work(session, job, fault).await {
                            return end;
                        }
                    }
                    Err(trouble) => {
                        self.log.info(&format!("Skipping message Job. {trouble:?}"));
                        if let Err(end) = self.pause().await {
                            return end;
                        }
                    }
                },
                Err(Trouble::Revoked | Trouble::Conflict) => {
                    self.log
                        .info("Runner OAuth token has been revoked. Shutting down.");
                    return End::Code(code::SUCCESS);
                }
                Err(Trouble::NotFound(reason)) => {
                    let message = format!("An error occurred: {reason}");
                    return End::Code(fail(&self.log, &message, code::TERMINATED));
                }
                Err(Trouble::Deprecated(reason)) => return self.deprecated(&reason),
                Err(Trouble::Transient(reason)) => {
                    self.complain(&mut troubled, &reason);
                    if let Err(end) = self.pause().await {
                        return end;
                    }
                }
            }
        }
    }

    /// Runs a job; `None` if the runner waits for another.
    async fn work(&mut self, session: &str, job: Job, fault: Fault) -> Option<End> {
        let (id, name) = (job.id, job.name.clone());
        event(&format!("Running job: {name}"));
        self.log.info(&format!("Job {name} ({id}) begins."));
        if fault == Fault::SilentInJob {
            hang().await;
        }
        let order = Order {
            home: self.home.clone(),
            settings: self.settings.clone(),
            session: session.to_owned(),
            job,
        };
        let code = match Worker::start(&order).await {
            Ok(worker) => self.attend(session, worker).await,
            Err(reason) => {
                self.log
                    .error(&format!("The worker did not start: {reason}"));
                code::TERMINATED
            }
        };
        // Between listener and GitHub, a job's id is a GUID.
        self.log.said_by(
            "JobDispatcher",
            &format!("Worker finished for job 00000000-0000-0000-0000-{id:012}. Code: {code}"),
        );
        let result = worker::result(code);
        // Printed before the report: after it, the runner may be stopped at any moment.
        event(&format!(
            "Job {name} completed with result: {}",
            result.as_str()
        ));
        self.tell(session, id, result).await;
        if fault == Fault::HangsAfterJob {
            hang().await;
        }
        if self.settings.ephemeral {
            self.home.unconfigure();
            return Some(End::Code(code::SUCCESS));
        }
        self.shutdown.map(|_| End::Shutdown)
    }

    /// Follows the worker until it ends, and cancels its job on request of GitHub or a signal.
    /// Returns the worker's exit code.
    async fn attend(&mut self, session: &str, mut worker: Worker) -> i32 {
        let mut cancelled = false;
        loop {
            let doing = if cancelled {
                Doing::Ending
            } else {
                Doing::Busy
            };
            let reply = tokio::select! {
                biased;
                code = worker.ended() => return code,
                shutdown = self.signals.next() => {
                    self.end(shutdown);
                    worker.cancel().await;
                    cancelled = true;
                    continue;
                }
                reply = self.github.message(session, doing) => reply,
            };
            match reply {
                Ok(Some(Message::Cancel(_))) => {
                    self.log.info("GitHub has cancelled the job.");
                    worker.cancel().await;
                    cancelled = true;
                }
                Ok(_) => {}
                Err(Trouble::Transient(_)) => sleep(RETRY).await,
                // This runner no longer owns the job.
                Err(trouble) => {
                    self.log.error(&format!("The session is over: {trouble:?}"));
                    worker.cancel().await;
                    return worker.ended().await;
                }
            }
        }
    }

    async fn tell(&mut self, session: &str, job: u64, result: JobResult) {
        for _ in 0..COMPLETE_ATTEMPTS {
            match self.github.complete(session, job, result.as_str()).await {
                Err(Trouble::Transient(reason)) => {
                    self.log
                        .error(&format!("The job's end was not told: {reason}"));
                    sleep(RETRY).await;
                }
                Ok(()) => return,
                Err(trouble) => {
                    self.log
                        .error(&format!("GitHub gave the job up before: {trouble:?}"));
                    return;
                }
            }
        }
    }

    /// Leaves a script that finishes the update after this process has exited
    /// ([source](https://github.com/actions/runner/blob/main/src/Misc/layoutbin/update.sh.template)).
    fn update(&mut self) -> End {
        line("Runner update in progress, do not shutdown runner.");
        line("Downloading 2.336.0 runner");
        line("Waiting for current job finish running.");
        line("Generate and execute update script.");
        line("Runner will exit shortly for update, should be back online within 10 seconds.");
        let script = "while kill -0 \"$1\" 2>/dev/null; do sleep 0.1; done; : > update.finished";
        let started = Command::new("/bin/sh")
            .args(["-c", script, "update", &std::process::id().to_string()])
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Err(reason) = started {
            self.log
                .error(&format!("The update did not start: {reason}"));
        }
        End::Code(if self.settings.ephemeral {
            code::UPDATING_ONCE
        } else {
            code::UPDATING
        })
    }

    /// Prints the server's message; has its own exit code only with a variable
    /// ([source](https://github.com/actions/runner/blob/main/src/Runner.Listener/Program.cs)).
    fn deprecated(&self, reason: &str) -> End {
        let wanted = std::env::var("ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE");
        let code = if wanted.is_ok_and(|value| is_true(&value)) {
            code::VERSION_DEPRECATED
        } else {
            code::TERMINATED
        };
        End::Code(fail(
            &self.log,
            &format!("An error occurred: {reason}"),
            code,
        ))
    }

    /// GitHub withdrew a job before the listener acquired it
    /// ([source](https://github.com/actions/runner/blob/main/src/Runner.Listener/Runner.cs)).
    fn request_gone(&self, id: u64) -> End {
        self.log.said_by(
            "Runner",
            &format!(
                "Acknowledge returned job-not-found for ephemeral runner request '{id}'. Exiting runner."
            ),
        );
        self.home.unconfigure();
        success("Removed .credentials");
        success("Removed .runner");
        End::Code(code::SUCCESS)
    }

    fn end(&mut self, shutdown: Shutdown) -> End {
        if shutdown == Shutdown::Interrupt {
            line("Exiting...");
        }
        self.shutdown = Some(shutdown);
        End::Shutdown
    }

    fn complain(&self, troubled: &mut bool, reason: &str) {
        self.log.error(reason);
        if !*troubled {
            error(&format!(
                "{}: Runner connect error: {reason}. Retrying until reconnected.",
                crate::terminal::now()
            ));
            *troubled = true;
        }
    }

    async fn pause(&mut self) -> Result<(), End> {
        tokio::select! {
            () = sleep(RETRY) => Ok(()),
            shutdown = self.signals.next() => Err(self.end(shutdown)),
        }
    }
}

/// Parses a boolean like the real listener
/// ([source](https://github.com/actions/runner/blob/main/src/Runner.Sdk/Util/StringUtil.cs)).
fn is_true(value: &str) -> bool {
    ["1", "true", "$true"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

/// Ignores signals.
async fn hang() {
    std::future::pending::<()>().await;
}
