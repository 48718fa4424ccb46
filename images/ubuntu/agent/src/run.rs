//! Runs the agent, from the task's environment to its exit code.

use std::path::Path;
use std::time::{Duration, Instant as Clock, SystemTime};

use decisions::AgentExit;
use nix::unistd::Pid;
use protocol::{Registration, TokenRegistration};
use runtime::settings::Settings;
use serde_json::json;
use tokio::process::Command;
use tokio::time::{Instant, sleep_until};

use crate::bell::Line;
use crate::config::{self, Config, Errand, Post};
use crate::connection::Connection;
use crate::event::Event;
use crate::evidence::{self, Evidence};
use crate::failure::Failure;
use crate::listener::{Listener, Next};
use crate::log::Log;
use crate::mask::Mask;
use crate::process::{self, Signals};
use crate::summary::{self, Facts, Hook, Sampler};
use crate::verdict::{End, Seen, Stop, is_update, verdict};
use crate::warm::{Release, Told};
use crate::watch::{Action, Watch};
use crate::{diagnostics, environment, parameter, update, warm};

/// Delay of the first sample in a job: the worker has started by then, and most jobs take longer.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// The reason for a listener that prints nothing.
const SILENT: &str = "the listener reported nothing about GitHub within the connect limit; check the network: NAT or public IP, security group, DNS, proxy";

/// Runs one runner from its registration to its end and returns the outcome, which is also the last
/// line of the log.
pub async fn run(settings: &Settings) -> AgentExit {
    let started = Clock::now();
    process::settle();
    let log = Log::new(config::speaker(settings));
    let mut released = None;
    let (exit, seen) = match serve(settings, &log, started).await {
        Ok(Course::Served(end, seen)) => (verdict(end, &seen), seen),
        Ok(Course::Released(release)) => {
            released = Some(release.reason());
            (AgentExit::Released, Seen::default())
        }
        Err(failure) => {
            log.error(&failure.to_string(), json!({}));
            log.report(&failure);
            (failure.exit(), Seen::default())
        }
    };
    log.info(
        "outcome",
        json!({
            "outcome": exit.name(),
            "exitCode": exit.code(),
            "job": seen.job,
            "result": seen.result.as_ref().map(crate::event::JobResult::as_str),
            "reason": released,
            "connectError": (exit == AgentExit::NoConnection)
                .then(|| seen.connect_error.as_deref().unwrap_or(SILENT)),
            "seconds": started.elapsed().as_secs(),
        }),
    );
    exit
}

/// The course of an agent's run that met no failure of its own.
enum Course {
    /// It ran a listener.
    Served(End, Seen),
    /// It was a warm task that nobody needed.
    Released(Release),
}

async fn serve(settings: &Settings, log: &Log, started: Clock) -> Result<Course, Failure> {
    let mut config = Config::read(settings)?;
    if let Some(authorities) = &config.authorities {
        let directory = std::env::temp_dir().join("fargate-runners");
        config.trusted = authorities
            .place(&directory)
            .map_err(|error| Failure::Authorities { directory, error })?;
    }
    let path = std::env::var_os("PATH");
    if !config
        .new_privileges
        .unwrap_or_else(|| process::has_sudo(path.as_deref()))
    {
        process::forbid_new_privileges();
    }
    let mut signals = Signals::listen().map_err(Failure::Signals)?;
    // Before it takes the registration, which an image without a listener would lose.
    if !config::executable(&config.listener()) {
        return Err(Failure::NoProgram(config.listener()));
    }
    let connection = Connection::open(settings, &config).map_err(Failure::Credentials)?;
    let (path, started, fresh, queued) = match &config.errand {
        Errand::Registration(path) => (path.clone(), started, Duration::ZERO, config.queued),
        Errand::Bell(post) => match wait(&config, post, &connection, log, &mut signals).await? {
            // The time until the listener starts counts from the ring.
            Told::Take(ring) => (ring.parameter, Clock::now(), parameter::FRESH, ring.queued),
            Told::Release(release) => return Ok(Course::Released(release)),
        },
    };
    let client = connection.parameters();
    drop(connection);
    let registration = tokio::select! {
        registration = parameter::take(&client, &path, fresh) => registration?,
        () = signals.stop() => return Err(Failure::Stopped),
    };
    drop(client);
    log.hide(Mask::of(&registration));
    if let Registration::Token(token) = &registration {
        register(&config, token, log, &mut signals).await?;
    }
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    log.info(
        "starting the listener",
        json!({ "milliseconds": milliseconds }),
    );
    let hook = hook(&config, started, queued, log);
    let (end, seen) = listen(&config, &registration, hook, log, &mut signals).await?;
    if is_worth_explaining(verdict(end, &seen)) {
        diagnostics::show(&config.diagnostics(), log);
    }
    Ok(Course::Served(end, seen))
}

/// The hook that writes the job's summary, unless it is switched off or can't be put in place: a job
/// runs without it, too.
fn hook(config: &Config, began: Clock, queued: Option<SystemTime>, log: &Log) -> Option<Hook> {
    if !config.summary {
        return None;
    }
    let began = SystemTime::now()
        .checked_sub(began.elapsed())
        .unwrap_or_else(SystemTime::now);
    let facts = Facts {
        queued: queued.map(summary::seconds),
        began: summary::seconds(began),
        job: None,
        warm: matches!(config.errand, Errand::Bell(_)),
        capacity: config.capacity.clone(),
    };
    let own = std::env::var(summary::VARIABLE).ok();
    match Hook::place(&config.home, own.as_deref(), facts) {
        Ok(hook) => Some(hook),
        Err(error) => {
            log.info(
                "jobs get no summary",
                json!({ "reason": error.to_string() }),
            );
            None
        }
    }
}

/// Waits as a warm task until the bell says what to do.
async fn wait(
    config: &Config,
    post: &Post,
    connection: &Connection,
    log: &Log,
    signals: &mut Signals,
) -> Result<Told, Failure> {
    let begun = Clock::now();
    log.info(
        "waiting for a job",
        json!({ "limitSeconds": post.limit.as_secs() }),
    );
    let mut command = command(config, config.listener());
    command.arg("warmup");
    let warm_up = match Listener::start(&mut command, log) {
        Ok(listener) => Some(listener),
        Err(error) => {
            log.error(
                "cannot warm up the listener",
                json!({ "error": error.to_string() }),
            );
            None
        }
    };
    let line = Line::new(connection.table(), post.table.clone(), &post.bell);
    let told = warm::wait(&line, post.limit, warm_up, log, signals).await?;
    if let Told::Take(ring) = &told {
        log.name(ring);
        log.info(
            "answered the bell",
            json!({ "waitedSeconds": begun.elapsed().as_secs() }),
        );
    }
    Ok(told)
}

/// Outcomes that need no diagnostics: a job that ran, and a requested stop.
fn is_worth_explaining(exit: AgentExit) -> bool {
    !matches!(exit, AgentExit::RanJob | AgentExit::Stopped)
}

/// Runs `config.sh`, which registers the runner if the server has no just-in-time configurations.
async fn register(
    config: &Config,
    registration: &TokenRegistration,
    log: &Log,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let mut command = command(config, config.configurator());
    command
        .args([
            "--unattended",
            "--ephemeral",
            "--disableupdate",
            "--no-default-labels",
            "--replace",
        ])
        .envs(environment::for_config(registration));
    let mut configurator = start(&mut command, config.configurator(), log)?;
    let pid = configurator.pid();
    let end = loop {
        tokio::select! {
            next = configurator.next() => if let Next::Ended(end) = next { break end },
            () = signals.stop_while_reaping(Some(pid)) => {
                configurator.kill();
                return Err(Failure::Stopped);
            }
        }
    };
    configurator.last_words().await;
    match end {
        End::Code(0) => Ok(()),
        End::Code(code) => Err(Failure::Refused(Some(code))),
        End::Killed => Err(Failure::Refused(None)),
    }
}

/// Runs the listener, twice if it updates itself, and ends it if it does not end by itself.
async fn listen(
    config: &Config,
    registration: &Registration,
    hook: Option<Hook>,
    log: &Log,
    signals: &mut Signals,
) -> Result<(End, Seen), Failure> {
    let mut watch = Watch::new(Instant::now(), config.limits);
    let mut looks = Looks {
        evidence: Evidence::begin(&config.cgroup),
        interval: config.sample,
        next: Instant::now() + config.sample,
        hook,
        sampler: None,
    };
    let mut updated = false;
    loop {
        let mut command = command(config, config.listener());
        command
            .arg("run")
            .envs(environment::for_listener(registration))
            .envs(looks.hook.as_ref().map(Hook::variable));
        let mut listener = start(&mut command, config.listener(), log)?;
        let end = attend(&mut listener, &mut watch, &mut looks, log, signals).await;
        let updating = is_update(end, watch.seen()) && !updated;
        if !updating && listener.kill() {
            log.info("killed processes that the listener left behind", json!({}));
        }
        for event in listener.last_words().await {
            watch.heard(event, Instant::now());
        }
        log.info("the listener ended", json!({ "code": end.code() }));
        looks.conclude(&listener, &mut watch, &config.diagnostics(), log);
        process::reap(None);
        if !updating {
            return Ok((end, watch.seen().clone()));
        }
        updated = true;
        tokio::select! {
            finished = update::finished(&config.home, update::LIMIT) => if !finished {
                log.error("the runner's self-update did not finish in time; build the image with a newer runner", json!({}));
                return Ok((End::Killed, watch.seen().clone()));
            },
            () = signals.stop_while_reaping(None) => {
                watch.stopped(Instant::now());
                return Ok((end, watch.seen().clone()));
            }
        }
        log.info("restarting the listener after its self-update", json!({}));
    }
}

/// Follows one listener until it has ended.
async fn attend(
    listener: &mut Listener,
    watch: &mut Watch,
    looks: &mut Looks,
    log: &Log,
    signals: &mut Signals,
) -> End {
    let pid = listener.pid();
    loop {
        let deadline = watch.deadline();
        let action = tokio::select! {
            // Output before a deadline or a signal takes precedence.
            biased;
            next = listener.next() => match next {
                Next::Said(event) => {
                    if matches!(event, Event::Started(_)) {
                        looks.next = Instant::now() + looks.interval.min(FIRST_LOOK);
                        looks.began();
                    }
                    watch.heard(event, Instant::now());
                    None
                }
                Next::Ended(end) => return end,
            },
            () = signals.stop_while_reaping(Some(pid)) => watch.stopped(Instant::now()),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                // Samples first: an existing worker means a job.
                looks.look(pid, watch, log);
                watch.expired(Instant::now())
            }
            () = sleep_until(looks.next) => {
                looks.look(pid, watch, log);
                None
            }
        };
        let Some(action) = action else { continue };
        log.info(
            action.name(),
            json!({ "reason": watch.seen().stop.map(Stop::name) }),
        );
        match action {
            Action::Interrupt => listener.interrupt(),
            Action::Kill => {
                listener.kill();
            }
        }
    }
}

/// Samples the runner.
struct Looks {
    evidence: Evidence,
    interval: Duration,
    next: Instant,
    /// What writes the job's summary, and what measures for it.
    hook: Option<Hook>,
    sampler: Option<Sampler>,
}

impl Looks {
    /// The runner began a job.
    fn began(&mut self) {
        if let Some(hook) = &mut self.hook {
            hook.began(summary::seconds(SystemTime::now()));
            self.sampler = Sampler::start(hook.directory());
        }
    }

    fn look(&mut self, listener: Pid, watch: &mut Watch, log: &Log) {
        let sample = self.evidence.look(listener.as_raw());
        watch.looked(sample.worker.is_some(), Instant::now());
        log.info(
            "state of the runner",
            json!({
                "memory": sample.memory,
                "listener": sample.listener,
                "worker": sample.worker,
                "running": watch.seen().is_running().then_some(&watch.seen().job),
            }),
        );
        self.next = Instant::now() + self.interval;
    }

    /// The last sample, after a listener has ended.
    fn conclude(&mut self, listener: &Listener, watch: &mut Watch, diagnostics: &Path, log: &Log) {
        let memory = self.evidence.look(listener.pid().as_raw()).memory;
        let worker_code = watch
            .seen()
            .job
            .is_some()
            .then(|| evidence::worker_code(&diagnostics::of_listener(diagnostics)))
            .flatten();
        let exhausted = self.evidence.is_exhausted(&memory, worker_code);
        let worker_died = worker_code.is_some_and(evidence::is_a_death);
        log.info(
            "state at the end",
            json!({
                "memory": memory,
                "workerCode": worker_code,
                "exhausted": exhausted,
                "workerDied": worker_died,
            }),
        );
        watch.concluded(exhausted, worker_died);
    }
}

/// A command in the runner's directory, with the environment that a job may see.
fn command(config: &Config, program: std::path::PathBuf) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(&config.home)
        .env_clear()
        .envs(environment::cleaned(std::env::vars_os()))
        .envs(config.trusted.iter().map(|(name, path)| (name, path)));
    command
}

fn start(
    command: &mut Command,
    program: std::path::PathBuf,
    log: &Log,
) -> Result<Listener, Failure> {
    Listener::start(command, log).map_err(|error| Failure::NotStarted { program, error })
}
