//! The world: jobs at GitHub, executions in Step Functions, runners with all their parts, and
//! events in flight.

use std::fmt;

use decisions::{Attempt, Failure, GiveUp, JobStatus, Look, NotFound, Status};

use crate::ends::End;

/// A job's number, shown as a letter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u8);

/// An execution: a job's, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionId {
    pub job: JobId,
    /// Its number among the job's executions.
    pub restart: u8,
}

/// A runner: an execution's attempt, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunnerId {
    pub execution: ExecutionId,
    /// Number of the attempt.
    pub attempt: u8,
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", char::from(b'A' + self.0))
    }
}

impl fmt::Debug for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.restart {
            1 => write!(f, "{:?}", self.job),
            n => write!(f, "{:?}-r{n}", self.job),
        }
    }
}

impl fmt::Debug for RunnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempt {
            1 => write!(f, "R({:?})", self.execution),
            n => write!(f, "R({:?}-a{n})", self.execution),
        }
    }
}

impl ExecutionId {
    /// A job's first execution.
    pub const fn first(job: JobId) -> Self {
        Self { job, restart: 1 }
    }

    /// The next execution of the same job.
    #[must_use]
    pub const fn next(self) -> Self {
        Self {
            job: self.job,
            restart: self.restart + 1,
        }
    }
}

/// A job's status at GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtGitHub {
    /// It does not exist yet.
    Unborn,
    /// It waits for a runner.
    Queued,
    /// An approval holds it back.
    HeldBack,
    /// A runner has been assigned it.
    Taken(RunnerId),
    /// It has ended.
    Over {
        /// The execution of another job whose runner ran it, if any.
        thief: Option<ExecutionId>,
    },
}

/// Why a queued job needs no owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Excuse {
    /// An operator aborted its execution.
    Aborted,
    /// An execution of it gave up for a permanent reason.
    GaveUp,
    /// It was not picked up for its day in the queue, and no runner has had a job since.
    NeverPickedUp,
}

/// What GitHub hides with a 404 during an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outage {
    /// Only jobs.
    Jobs,
    /// Jobs and runs.
    JobsAndRuns,
    /// The job and its run, briefly.
    Moment,
    /// The whole repository.
    Repository,
}

impl Outage {
    pub const ALL: [Self; 4] = [
        Self::Jobs,
        Self::JobsAndRuns,
        Self::Moment,
        Self::Repository,
    ];

    /// What is known about a job during the outage.
    pub fn seen(self) -> NotFound {
        let repository = match self {
            Self::Repository => Look::Hidden,
            _ => Look::Shown,
        };
        let runs = match self {
            Self::Jobs | Self::Moment => Look::Shown,
            Self::JobsAndRuns | Self::Repository => Look::Hidden,
        };
        NotFound {
            repository,
            included: Look::Shown,
            runs,
            run: match self {
                Self::Jobs => Look::Shown,
                _ => Look::Hidden,
            },
            repeated: self != Self::Moment,
        }
    }
}

/// A job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    pub state: AtGitHub,
    /// Why it needs no owner.
    pub excuse: Option<Excuse>,
    /// The outage that hides it.
    pub outage: Option<Outage>,
    /// Its day in the queue is over, in this stay.
    pub day_over: bool,
}

/// How an execution was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// It succeeded.
    Well,
    /// It failed.
    Failed(GiveUp),
    /// It exceeded the state machine's timeout.
    TimedOut,
    /// This system stopped it, because its job no longer needs it.
    Ended,
    /// An operator aborted it.
    Aborted,
}

/// An execution's position in the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// `Match`, `Launch` or `Token`.
    Starting,
    /// `Runner`: its task is being started or runs.
    Running,
    /// `Cleanup`, before it asks GitHub.
    CleaningUp(End),
    /// `Wait`.
    Waiting,
    /// `Cleanup` has decided; the state machine has not closed the execution yet.
    Closing(Close),
    /// Closed.
    Closed(Close),
}

/// An execution.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Execution {
    pub id: ExecutionId,
    pub stage: Stage,
    /// The current attempt, or the next one.
    pub attempt: Attempt,
    /// Its order requires asking GitHub first.
    pub recheck: bool,
    /// The stay in the queue that its order belongs to has lasted for a day.
    pub day_over: bool,
    /// A runner has had a job since it was closed.
    pub picked_up_since: bool,
}

impl Execution {
    /// Step Functions' status.
    pub fn status(&self) -> Status {
        match self.stage {
            Stage::Closed(Close::Well) => Status::Succeeded,
            Stage::Closed(Close::Failed(_)) => Status::Failed,
            Stage::Closed(Close::TimedOut) => Status::TimedOut,
            Stage::Closed(Close::Aborted | Close::Ended) => Status::Aborted,
            _ => Status::Running,
        }
    }

    /// The error that it failed with.
    pub fn failure(&self) -> Option<Failure> {
        match self.stage {
            Stage::Closed(Close::Failed(reason)) => Some(Failure::Named(reason)),
            _ => None,
        }
    }

    /// Whether Step Functions considers it running.
    pub fn runs(&self) -> bool {
        self.status() == Status::Running
    }

    /// The runner of its current attempt.
    pub fn runner(&self) -> RunnerId {
        RunnerId {
            execution: self.id,
            attempt: u8::try_from(self.attempt.number).unwrap_or(u8::MAX),
        }
    }
}

/// A runner's registration at GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Registered {
    /// Not registered.
    No,
    /// Registered, without a connected listener.
    Offline,
    /// Registered, with a connected listener.
    Online,
}

/// A runner's task in ECS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// No task: not yet, or no longer.
    None,
    /// It is being prepared.
    Booting,
    /// Its listener runs.
    Up,
}

/// A runner with all its parts. It is removed once none is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a part of its own, and any of them can be there without the others"
)]
pub struct Runner {
    pub id: RunnerId,
    /// `token` is still running although its execution was aborted.
    pub landing: bool,
    /// Its registration is in SSM.
    pub parameter: bool,
    pub registered: Registered,
    /// The job that GitHub assigned to it.
    pub busy: Option<JobId>,
    pub task: Task,
    /// A handler has decided to delete it, but has not called GitHub yet.
    pub marked: bool,
    /// The event of its task's end will be late.
    pub late: bool,
    /// Its agent and its listener hang.
    pub hangs: bool,
}

impl Runner {
    /// Whether it listens without a job.
    pub fn is_idle(&self) -> bool {
        self.registered == Registered::Online && self.busy.is_none()
    }

    fn is_gone(&self) -> bool {
        !self.landing
            && !self.parameter
            && self.registered == Registered::No
            && self.task == Task::None
    }
}

/// An event in flight to one of the handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// GitHub's `queued`.
    Queued {
        job: JobId,
        /// Whether it is older than a minute.
        old: bool,
    },
    /// GitHub's `in_progress` with a runner of another job's execution.
    TakenBy { job: JobId, runner: RunnerId },
    /// GitHub's `completed` of a job that no runner took.
    Cancelled { job: JobId },
    /// `verify` received `queued` while an execution was running.
    QueuedAgain { job: JobId },
    /// ECS: the runner's task stopped.
    TaskStopped(RunnerId),
    /// Step Functions: the execution was aborted, failed or timed out.
    ExecutionClosed(ExecutionId),
}

impl Event {
    /// Whether the App can have it redelivered.
    pub const fn is_webhook(&self) -> bool {
        matches!(
            self,
            Self::Queued { .. } | Self::TakenBy { .. } | Self::Cancelled { .. }
        )
    }
}

/// Violations that have happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools)] // Six facts, each on its own.
pub struct Wrongs {
    /// This system stopped a runner during a job.
    pub busy_stopped: bool,
    /// This system stopped a task before GitHub deleted its runner.
    pub stopped_first: bool,
    /// The cleanup after an event deleted a registration that a running execution's runner needs.
    pub needed_taken: bool,
    /// This system restarted a job that an operator had aborted.
    pub abort_defied: bool,
    /// An execution continued after its job's day in the queue.
    pub day_outlived: bool,
    /// After a runner's end, another attempt followed for a job that GitHub did not show as queued.
    pub launched_unasked: bool,
}

/// How many faults and user actions may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    pub faults: u8,
    /// Jobs that a user cancels.
    pub cancels: u8,
    /// Jobs that are held back for an approval.
    pub holds: u8,
    /// Jobs whose day in the queue ends.
    pub days: u8,
}

/// A state of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The jobs, ordered by number.
    pub jobs: Vec<Job>,
    /// The executions, sorted.
    pub executions: Vec<Execution>,
    /// The runners that have parts left, sorted.
    pub runners: Vec<Runner>,
    /// The events in flight, sorted, with duplicates.
    pub events: Vec<Event>,
    /// Failed webhooks that the App may have redelivered.
    pub lost: Vec<Event>,
    /// The notes that `verify` may have written: each job with each runner that it ended on, sorted. Any
    /// of them, or none, is in the table, because webhooks are lost, late and repeated.
    pub notes: Vec<(JobId, RunnerId)>,
    /// What may still happen.
    pub left: Left,
    /// Violations.
    pub wrongs: Wrongs,
}

impl World {
    pub fn job(&self, id: JobId) -> &Job {
        &self.jobs[usize::from(id.0)]
    }

    pub fn job_mut(&mut self, id: JobId) -> &mut Job {
        &mut self.jobs[usize::from(id.0)]
    }

    pub fn job_ids(&self) -> impl Iterator<Item = JobId> + use<> {
        (0..u8::try_from(self.jobs.len()).unwrap_or(u8::MAX)).map(JobId)
    }

    /// GitHub's answer about a job.
    pub fn status(&self, id: JobId) -> JobStatus {
        match self.job(id).state {
            AtGitHub::Unborn => JobStatus::Absent,
            AtGitHub::Queued => JobStatus::Queued,
            AtGitHub::HeldBack => JobStatus::Waiting,
            AtGitHub::Taken(_) => JobStatus::IN_PROGRESS,
            AtGitHub::Over { .. } => JobStatus::COMPLETED,
        }
    }

    pub fn execution(&self, id: ExecutionId) -> Option<&Execution> {
        self.executions.iter().find(|e| e.id == id)
    }

    pub fn execution_mut(&mut self, id: ExecutionId) -> Option<&mut Execution> {
        self.executions.iter_mut().find(|e| e.id == id)
    }

    /// A job's executions, oldest first.
    pub fn executions_of(&self, job: JobId) -> impl DoubleEndedIterator<Item = &Execution> {
        self.executions.iter().filter(move |e| e.id.job == job)
    }

    /// Starts an execution unless one with its name exists.
    pub fn start(&mut self, id: ExecutionId, stage: Stage, recheck: bool) {
        if self.execution(id).is_some() {
            return;
        }
        let at = self.executions.partition_point(|e| e.id < id);
        let attempt = Attempt::first();
        let day_over = self.job(id.job).day_over;
        self.executions.insert(
            at,
            Execution {
                id,
                stage,
                attempt,
                recheck,
                day_over,
                picked_up_since: false,
            },
        );
    }

    /// Starts the next execution of the same job, with the same order.
    pub fn follow(&mut self, id: ExecutionId, stage: Stage) {
        let day_over = self.execution(id).is_some_and(|before| before.day_over);
        let starts = self.execution(id.next()).is_none();
        self.start(id.next(), stage, true);
        if starts && let Some(next) = self.execution_mut(id.next()) {
            next.day_over = day_over;
        }
    }

    /// The runner, if any part of it is left.
    pub fn runner(&self, id: RunnerId) -> Option<&Runner> {
        self.runners.iter().find(|r| r.id == id)
    }

    pub fn runner_mut(&mut self, id: RunnerId) -> Option<&mut Runner> {
        self.runners.iter_mut().find(|r| r.id == id)
    }

    pub fn add_runner(&mut self, runner: Runner) {
        let at = self.runners.partition_point(|r| r.id < runner.id);
        self.runners.insert(at, runner);
    }

    /// Removes runners without any parts left.
    pub fn forget(&mut self) {
        self.runners.retain(|runner| !runner.is_gone());
    }

    /// Whether the runner's execution is not running.
    pub fn is_orphan(&self, runner: RunnerId) -> bool {
        !self
            .execution(runner.execution)
            .is_some_and(Execution::runs)
    }

    pub fn send(&mut self, event: Event) {
        let at = self.events.partition_point(|e| *e <= event);
        self.events.insert(at, event);
    }

    /// GitHub tells that a job ended on a runner.
    pub fn note(&mut self, job: JobId, runner: RunnerId) {
        if let Err(at) = self.notes.binary_search(&(job, runner)) {
            self.notes.insert(at, (job, runner));
        }
    }

    /// Removes one such event. Returns whether there was one.
    pub fn take(&mut self, event: Event) -> bool {
        let found = self.events.iter().position(|e| *e == event);
        if let Some(at) = found {
            self.events.remove(at);
        }
        found.is_some()
    }
}
