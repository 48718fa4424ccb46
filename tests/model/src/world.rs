//! What there is: jobs at GitHub, executions in Step Functions, runners in all their parts, and what
//! is on its way from one to the other.

use std::fmt;

use decisions::{Attempt, Failure, GiveUp, JobStatus, Look, NotFound, Status};

use crate::ends::End;

/// A job, by its number; shown as a letter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u8);

/// An execution: of which job, and which one, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionId {
    /// The job it serves.
    pub job: JobId,
    /// Which execution of that job.
    pub restart: u8,
}

/// A runner: of which execution, and which attempt of it, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunnerId {
    /// The execution that planned it.
    pub execution: ExecutionId,
    /// Which attempt.
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

    /// The execution that follows this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self {
            job: self.job,
            restart: self.restart + 1,
        }
    }
}

/// Where a job stands at GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtGitHub {
    /// It does not exist yet.
    Unborn,
    /// It wants a runner.
    Queued,
    /// An approval holds it back.
    HeldBack,
    /// A runner has it.
    Taken(RunnerId),
    /// It is over. A runner of another job's execution may have had it.
    Over {
        /// That execution; none where its own runner had it or nobody.
        thief: Option<ExecutionId>,
    },
}

/// Why nobody has to work for a job though it is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Excuse {
    /// A person aborted its execution.
    Aborted,
    /// An execution of it gave up with a name for the reason.
    GaveUp,
    /// Nobody picked it up for its day in the queue, and no runner has had a job since.
    NeverPickedUp,
}

/// What GitHub answers 404 for though it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outage {
    /// The jobs alone.
    Jobs,
    /// Jobs and runs.
    JobsAndRuns,
    /// The job and its run, for a moment.
    Moment,
    /// The whole repository.
    Repository,
}

impl Outage {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::Jobs,
        Self::JobsAndRuns,
        Self::Moment,
        Self::Repository,
    ];

    /// What is seen of a job then.
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
    /// Where it stands.
    pub state: AtGitHub,
    /// Why nobody has to work for it.
    pub excuse: Option<Excuse>,
    /// GitHub answers 404 for it.
    pub outage: Option<Outage>,
    /// Its day in the queue, this stay of it, is over.
    pub day_over: bool,
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// Well.
    Well,
    /// For this reason.
    Failed(GiveUp),
    /// By the machine's time-out.
    TimedOut,
    /// By us, because its job needs it no longer.
    Ended,
    /// By a person.
    Aborted,
}

/// Where an execution stands in the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// `Match`, `Launch` or `Token`.
    Starting,
    /// `Runner`: its task is on its way or runs.
    Running,
    /// `Cleanup`, which has not asked GitHub yet.
    CleaningUp(End),
    /// `Wait`.
    Waiting,
    /// `Cleanup` has judged; the machine has not closed the execution yet.
    Closing(Close),
    /// Closed.
    Closed(Close),
}

/// An execution.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Execution {
    /// Which.
    pub id: ExecutionId,
    /// Where it stands.
    pub stage: Stage,
    /// The attempt that it makes, or makes next.
    pub attempt: Attempt,
    /// Its order says to ask GitHub first.
    pub recheck: bool,
    /// The stay in the queue that its order tells of has lasted for a day.
    pub day_over: bool,
    /// A runner has had a job since it was closed.
    pub picked_up_since: bool,
}

impl Execution {
    /// Step Functions' word for it.
    pub fn status(&self) -> Status {
        match self.stage {
            Stage::Closed(Close::Well) => Status::Succeeded,
            Stage::Closed(Close::Failed(_)) => Status::Failed,
            Stage::Closed(Close::TimedOut) => Status::TimedOut,
            Stage::Closed(Close::Aborted | Close::Ended) => Status::Aborted,
            _ => Status::Running,
        }
    }

    /// What its error tells, where it failed.
    pub fn failure(&self) -> Option<Failure> {
        match self.stage {
            Stage::Closed(Close::Failed(reason)) => Some(Failure::Named(reason)),
            _ => None,
        }
    }

    /// Whether Step Functions calls it running.
    pub fn runs(&self) -> bool {
        self.status() == Status::Running
    }

    /// The runner of its present attempt.
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
    /// There is none.
    No,
    /// There is one, and no listener is connected.
    Offline,
    /// Its listener is connected.
    Online,
}

/// A runner's task in ECS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// There is none: not yet, or no longer.
    None,
    /// It is being prepared.
    Booting,
    /// Its listener runs.
    Up,
}

/// A runner in all its parts. It is forgotten once none is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a part of its own, and any of them can be there without the others"
)]
pub struct Runner {
    /// Which.
    pub id: RunnerId,
    /// `token` still works on its registration though its execution was aborted.
    pub landing: bool,
    /// Its registration lies in SSM.
    pub parameter: bool,
    /// Its registration at GitHub.
    pub registered: Registered,
    /// The job that GitHub gave it.
    pub busy: Option<JobId>,
    /// Its task.
    pub task: Task,
    /// Somebody looked at it and decided to delete it; GitHub has not been told yet.
    pub marked: bool,
    /// The event of its task's end will be late.
    pub late: bool,
    /// Its agent and its listener do nothing any more.
    pub hangs: bool,
}

impl Runner {
    /// Whether it listens and has no job.
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

/// What is on its way to one of our handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// GitHub's `queued`. `old` where the job was made more than a minute before.
    Queued {
        /// The job.
        job: JobId,
        /// Whether the event is older than a minute.
        old: bool,
    },
    /// GitHub's `in_progress` that names a runner of another job's execution.
    TakenBy {
        /// The job.
        job: JobId,
        /// The runner.
        runner: RunnerId,
    },
    /// GitHub's `completed` of a job that no runner had.
    Cancelled {
        /// The job.
        job: JobId,
    },
    /// `verify` met a running execution with a `queued` event.
    QueuedAgain {
        /// The job.
        job: JobId,
    },
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

/// What must never happen, and has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools)] // Five facts, each on its own.
pub struct Wrongs {
    /// We stopped a runner that ran a job.
    pub busy_stopped: bool,
    /// We stopped a task whose runner GitHub had not let go.
    pub stopped_first: bool,
    /// An event's cleaning took a registration that a living execution's runner needs.
    pub needed_taken: bool,
    /// We began a job again that a person had aborted.
    pub abort_defied: bool,
    /// An execution went on though its job's day in the queue was over.
    pub day_outlived: bool,
}

/// How much may yet go wrong, and what people may yet do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    /// Faults.
    pub faults: u8,
    /// Jobs that somebody cancels.
    pub cancels: u8,
    /// Jobs that are held back for an approval.
    pub holds: u8,
    /// Jobs whose day in the queue comes to its end.
    pub days: u8,
}

/// A state of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The jobs, by their numbers.
    pub jobs: Vec<Job>,
    /// The executions, in order.
    pub executions: Vec<Execution>,
    /// The runners of which something is left, in order.
    pub runners: Vec<Runner>,
    /// What is on its way, in order, with repeats.
    pub events: Vec<Event>,
    /// Webhooks that failed and that the App may have redelivered.
    pub lost: Vec<Event>,
    /// What may yet happen.
    pub left: Left,
    /// What must not have happened.
    pub wrongs: Wrongs,
}

impl World {
    /// A job.
    pub fn job(&self, id: JobId) -> &Job {
        &self.jobs[usize::from(id.0)]
    }

    /// A job, to be changed.
    pub fn job_mut(&mut self, id: JobId) -> &mut Job {
        &mut self.jobs[usize::from(id.0)]
    }

    /// All jobs' ids.
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

    /// An execution, if there is one.
    pub fn execution(&self, id: ExecutionId) -> Option<&Execution> {
        self.executions.iter().find(|e| e.id == id)
    }

    /// An execution, to be changed.
    pub fn execution_mut(&mut self, id: ExecutionId) -> Option<&mut Execution> {
        self.executions.iter_mut().find(|e| e.id == id)
    }

    /// A job's executions, oldest first.
    pub fn executions_of(&self, job: JobId) -> impl DoubleEndedIterator<Item = &Execution> {
        self.executions.iter().filter(move |e| e.id.job == job)
    }

    /// Starts an execution, unless there is one of that name.
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

    /// Starts the execution that follows one, with the order of that.
    pub fn follow(&mut self, id: ExecutionId, stage: Stage) {
        let day_over = self.execution(id).is_some_and(|before| before.day_over);
        let starts = self.execution(id.next()).is_none();
        self.start(id.next(), stage, true);
        if starts && let Some(next) = self.execution_mut(id.next()) {
            next.day_over = day_over;
        }
    }

    /// A runner, if anything of it is left.
    pub fn runner(&self, id: RunnerId) -> Option<&Runner> {
        self.runners.iter().find(|r| r.id == id)
    }

    /// A runner, to be changed.
    pub fn runner_mut(&mut self, id: RunnerId) -> Option<&mut Runner> {
        self.runners.iter_mut().find(|r| r.id == id)
    }

    /// Adds a runner.
    pub fn add_runner(&mut self, runner: Runner) {
        let at = self.runners.partition_point(|r| r.id < runner.id);
        self.runners.insert(at, runner);
    }

    /// Forgets runners of which nothing is left.
    pub fn forget(&mut self) {
        self.runners.retain(|runner| !runner.is_gone());
    }

    /// Whether the execution that planned the runner works.
    pub fn is_orphan(&self, runner: RunnerId) -> bool {
        !self
            .execution(runner.execution)
            .is_some_and(Execution::runs)
    }

    /// Puts an event on its way.
    pub fn send(&mut self, event: Event) {
        let at = self.events.partition_point(|e| *e <= event);
        self.events.insert(at, event);
    }

    /// Takes one such event off its way.
    pub fn take(&mut self, event: Event) -> bool {
        let found = self.events.iter().position(|e| *e == event);
        if let Some(at) = found {
            self.events.remove(at);
        }
        found.is_some()
    }
}
