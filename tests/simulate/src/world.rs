//! The simulated world: GitHub's queue, Step Functions, Fargate, and the decisions of this system.
//!
//! What happens next is an [`Event`]; [`World::run`] plays them in order. What this system decides, its
//! own functions decide: `admission`'s policy, `decisions`' rules, `verify`'s throttle, the keeper's plan
//! in `stock`, and the state machine's retries.

mod functions;
mod github;
mod intake;
mod pool;
mod runner;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use admission::Policy;
use decisions::{Attempt, Ended, Failure};
use fastrand::Rng;
use protocol::State;

use crate::faults::{Broken, Faults};
use crate::figures::Figures;
use crate::limit::{Bucket, DAY, HOUR, MINUTE, Time};
use crate::load::{Arrival, DAYS, REPOSITORIES};
use crate::machine::{Machine, Tries};
use crate::quotas::{Limit, Quotas};
use crate::timings::Timings;
use github::Installation;
use intake::Intake;
use pool::Pool;

pub(crate) use pool::size as pool_size;

/// Index of a job and of its execution.
type JobId = u32;
/// Index of a task.
type TaskId = u32;

/// What is simulated.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) quotas: Quotas,
    pub(crate) timings: Timings,
    pub(crate) faults: Faults,
    /// Warm tasks in working hours; none where it is zero.
    pub(crate) warm: u8,
}

impl Setup {
    /// A deployment without warm tasks in a month without outages.
    pub(crate) fn new(quotas: Quotas) -> Self {
        Self {
            quotas,
            timings: Timings::AWS,
            faults: Faults::ordinary(),
            warm: 0,
        }
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The next arrival's job is queued at GitHub.
    Queued,
    /// `verify` gets a job's webhook, for the first time or by a redelivery.
    Webhook { job: JobId, again: bool },
    /// A sandbox of `verify` is free again.
    Answered,
    /// One of the overflow queue's readers looks at it.
    Drain(u8),
    /// An execution enters its state.
    Enter(JobId),
    /// It enters a state for which it waited until Step Functions let it.
    Granted(JobId),
    /// The function of its state ends.
    Finish(JobId),
    /// `token` writes the registration again, after Parameter Store throttled it.
    Write(JobId),
    /// A failed execution's event: its job may get another one.
    Restart(JobId),
    /// A task reads its registration.
    Read(TaskId),
    /// Its runner listens.
    Listening(TaskId),
    /// Its runner has listened for the agent's limit.
    Idle(TaskId),
    /// Its job is done.
    Worked(TaskId),
    /// Spot takes it back.
    Interrupted(TaskId),
    /// It has stopped.
    Stopped(TaskId),
    /// A warm task runs.
    WarmRuns(TaskId),
    /// The keeper is called, by a job.
    Keeper,
    /// The keeper's minute.
    Tick,
    /// GitHub assigns jobs again.
    Assign,
}

/// A job's status at GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Queued,
    Running,
    Completed,
}

/// A job, and the execution that owns it.
#[derive(Debug)]
struct Job {
    queued: Time,
    work: Time,
    repository: u16,
    status: Status,
    state: State,
    tries: Tries,
    attempt: Attempt,
    /// Whether GitHub is to be asked before anything is launched.
    doubted: bool,
    ending: Ending,
    /// How long its Wait state lasts.
    pause: Time,
    /// Calls of Parameter Store in this invocation of `token`.
    writes: u32,
    /// Why the execution failed, if it did, and how many of the job's did so by a fault.
    failure: Failure,
    failures: u32,
    task: Option<TaskId>,
    /// The limit that refused it last, until it gets on.
    refused: Option<Limit>,
    /// From when on the table says that it ended on its own runner.
    noted: Option<Time>,
}

/// How an attempt ended. [`Ending::told`] is what Step Functions tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    RanJob,
    /// The runner listened in vain.
    Idle,
    Interrupted,
    InterruptedInJob,
    NotStarted,
    RegistrationUnavailable,
    /// A warm task was told to leave.
    Released,
    NoCapacity,
    RunTaskThrottled,
    TokenThrottled,
    FunctionThrottled,
    /// Seconds until GitHub answers again.
    RateLimited(u32),
    GitHubUnavailable,
    JobNotQueued,
}

/// A task of Fargate.
#[derive(Debug)]
struct Task {
    /// The execution that waits for it; none yet for a waiting warm task.
    owner: Option<JobId>,
    /// The job that its runner has.
    job: Option<JobId>,
    repository: u16,
    ended: bool,
    ending: Ending,
    /// When it first tried to read its registration.
    reading: Option<Time>,
}

/// GitHub's queue of a repository, and its idle runners.
#[derive(Debug, Default)]
struct Repository {
    queued: VecDeque<JobId>,
    idle: VecDeque<TaskId>,
}

/// What is used up by calls.
#[derive(Debug)]
struct Buckets {
    start_execution: Bucket,
    transitions: Bucket,
    parameter_store: Bucket,
    run_task: Bucket,
    launches: Bucket,
    table: Bucket,
}

/// Everything.
pub(crate) struct World<'a> {
    machine: &'a Machine,
    setup: &'a Setup,
    arrivals: &'a [Arrival],
    now: Time,
    events: BinaryHeap<Reverse<(Time, u64, Event)>>,
    sequence: u64,
    rng: Rng,
    jobs: Vec<Job>,
    tasks: Vec<Task>,
    repositories: Vec<Repository>,
    installations: Vec<Installation>,
    buckets: Buckets,
    intake: Intake,
    policy: Policy,
    pool: Option<Pool>,
    /// Functions that run.
    functions: u32,
    vcpus: u32,
    /// When each processor of a shared machine is free.
    processors: Vec<Time>,
    /// What Step Functions tells of each ending, as `decisions` reads it.
    told: BTreeMap<Ending, Ended>,
    figures: Figures,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World at {} with {} jobs", self.now, self.jobs.len())
    }
}

/// Plays the arrivals until every job has left GitHub's queue and every execution has ended.
pub(crate) fn play(
    machine: &Machine,
    setup: &Setup,
    arrivals: &[Arrival],
    seed: u64,
) -> anyhow::Result<Figures> {
    Ok(World::new(machine, setup, arrivals, seed)?.run())
}

impl<'a> World<'a> {
    fn new(
        machine: &'a Machine,
        setup: &'a Setup,
        arrivals: &'a [Arrival],
        seed: u64,
    ) -> anyhow::Result<Self> {
        let quotas = &setup.quotas;
        let mut world = Self {
            machine,
            setup,
            arrivals,
            now: 0,
            events: BinaryHeap::new(),
            sequence: 0,
            rng: Rng::with_seed(seed),
            jobs: Vec::new(),
            tasks: Vec::new(),
            repositories: (0..REPOSITORIES).map(|_| Repository::default()).collect(),
            installations: (0..quotas.installations)
                .map(|_| Installation::new(quotas))
                .collect(),
            buckets: Buckets {
                start_execution: Bucket::new(quotas.start_execution),
                transitions: Bucket::new(quotas.transitions),
                parameter_store: Bucket::new(quotas.parameter_store),
                run_task: Bucket::new(quotas.run_task),
                launches: Bucket::new(quotas.fargate_launches),
                table: Bucket::new(quotas.table_writes),
            },
            intake: Intake::new()?,
            policy: intake::policy()?,
            pool: Pool::new(setup.warm)?,
            functions: 0,
            vcpus: 0,
            processors: vec![0; setup.timings.machine.map_or(0, |machine| machine.count)],
            told: BTreeMap::new(),
            figures: Figures::default(),
        };
        world.at(0, Event::Queued);
        if world.pool.is_some() {
            world.at(0, Event::Tick);
        }
        for (broken, when) in &setup.faults.outages {
            if *broken == Broken::Assignments {
                world.at(when.end, Event::Assign);
            }
        }
        Ok(world)
    }

    /// Plays all events.
    fn run(mut self) -> Figures {
        // The last day's jobs leave the queue within a day, one way or the other.
        let end = (DAYS + 3) * DAY;
        let mut left = EVENTS * (self.arrivals.len() as u64) + EVENTS_AT_LEAST;
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            left -= 1;
            if left == 0 || at >= end {
                let queued = self.jobs.iter().filter(|job| job.status == Status::Queued);
                self.figures.behind = queued.count() as u64;
                break;
            }
            self.now = at;
            self.happens(event);
        }
        self.figures.over();
        self.figures
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Queued => self.queued(),
            Event::Webhook { job, again } => self.webhook(job, again),
            Event::Answered => self.answered(),
            Event::Drain(reader) => self.drain(reader),
            Event::Enter(job) => self.enter(job),
            Event::Granted(job) => self.entered(job),
            Event::Finish(job) => self.finish(job),
            Event::Write(job) => self.write_again(job),
            Event::Restart(job) => self.restart(job),
            Event::Read(task) => self.read(task),
            Event::Listening(task) => self.listening(task),
            Event::Idle(task) => self.idle(task),
            Event::Worked(task) => self.worked(task),
            Event::Interrupted(task) => self.interrupted(task),
            Event::Stopped(task) => self.stopped(task),
            Event::WarmRuns(task) => self.warm_runs(task),
            Event::Keeper => self.keep(None),
            Event::Tick => self.tick(),
            Event::Assign => self.assign_all(),
        }
    }

    fn at(&mut self, at: Time, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence, event)));
    }

    fn after(&mut self, delay: Time, event: Event) {
        self.at(self.now + delay, event);
    }

    fn job(&mut self, job: JobId) -> &mut Job {
        &mut self.jobs[index(job)]
    }

    fn task(&mut self, task: TaskId) -> &mut Task {
        &mut self.tasks[index(task)]
    }

    /// A limit refused something.
    fn refused(&mut self, limit: Limit) {
        self.figures.refused(limit, self.now);
    }

    /// Whether jobs are still to come or to be served.
    fn has_work(&self) -> bool {
        self.jobs.len() < self.arrivals.len() || self.figures.open > 0
    }

    /// When a shared machine has done some seconds of work; now, where none is shared.
    fn processed(&mut self, seconds: f64) -> Time {
        let now = self.now;
        let free = self.processors.iter_mut().min();
        free.map_or(now, |free| {
            *free = now.max(*free) + crate::load::micros(seconds);
            *free
        })
    }
}

/// A job that goes well makes 16 events. With so many for each the queue is not getting shorter.
const EVENTS: u64 = 100;
/// Few jobs may have more trouble.
const EVENTS_AT_LEAST: u64 = 1_000_000;

/// Of a job or a task.
fn index(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}

/// The longest stay in the queue that an execution serves, faults, and the pause before the next attempt:
/// the defaults of `QUEUE_LIMIT_SECONDS`, `FAULT_BUDGET` and `RELAUNCH_GRACE_SECONDS`.
const BUDGET: decisions::Budget = decisions::Budget {
    faults: 5,
    queue: std::time::Duration::from_micros(DAY),
    grace: std::time::Duration::from_secs(90),
};
/// The default of `AGENT_IDLE_LIMIT_SECONDS`.
const IDLE_LIMIT: Time = 5 * MINUTE;
/// `sweep` runs so often.
const SWEEP: Time = 5 * MINUTE;
/// How long an agent tries to read its registration.
const READ_LIMIT: Time = 90 * crate::limit::SECOND;
/// Spot's mean time between interruptions is counted in task hours.
const TASK_HOUR: Time = HOUR;
