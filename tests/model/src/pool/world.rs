//! The world of a pool: jobs and registrations, executions, warm tasks with all that is known about
//! them, and what is in flight.

use std::fmt;

use decisions::{Bell, TicketState};

use super::Scope;
use crate::ends::End;
use crate::world::JobId;

/// A warm task, counted from 0: the id of its ticket and the key of its bell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WarmId(pub u8);

impl fmt::Debug for WarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "W{}", self.0)
    }
}

/// A registration: an attempt of a job's execution, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunnerId {
    pub job: JobId,
    pub attempt: u8,
}

impl fmt::Debug for RunnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "R({:?}-a{})", self.job, self.attempt)
    }
}

/// A registration's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Runner {
    /// It is in SSM.
    pub parameter: bool,
    /// GitHub knows it.
    pub registered: bool,
}

/// A job's status at GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AtGitHub {
    Queued,
    /// The runner of this attempt has it.
    Taken(u8),
    Over,
}

/// A job, and the registrations of its execution's attempts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Job {
    pub state: AtGitHub,
    pub runners: Vec<Runner>,
}

/// How an invocation of `token` proceeds with a claim. Each step is one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// It looks for a ticket.
    Look,
    /// It deletes the ticket.
    Claim(WarmId),
    Tag(WarmId),
    Ring(WarmId),
    Read(WarmId),
    Withdraw(WarmId),
    /// It withdraws before it has rung.
    Release(WarmId),
}

/// An execution's position in the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// `Launch`, or `Token` before its claim.
    Launch,
    /// `Token`.
    Token,
    /// `Start`, and `WarmRunner` before its wait is written.
    Put {
        task: WarmId,
        retry: u8,
    },
    /// `WarmRunner`.
    Waiting {
        task: WarmId,
        retry: u8,
    },
    /// `Runner`.
    Cold,
    /// `Cleanup`.
    CleaningUp {
        end: End,
        task: Option<WarmId>,
    },
    Closed,
}

/// An execution.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a condition of its own"
)]
pub struct Execution {
    pub stage: Stage,
    /// The claim of its `token`, which goes on if the execution is aborted.
    pub token: Option<Step>,
    pub attempt: u8,
    pub faults: u8,
    /// Attempts that claimed a task.
    pub claims: u8,
    /// Revision that `Match` selected.
    pub revision: u8,
    /// Its task has another size or role than warm tasks have.
    pub differs: bool,
    /// An operator aborted it.
    pub aborted: bool,
    /// `token` crashed, or its runner exceeded the time limit: a fault with or without a pool.
    pub faulted: bool,
    /// The table lost its wait.
    pub wait_lost: bool,
    /// The adopted task that has to end with it: it was aborted or timed out.
    pub takes_along: Option<WarmId>,
}

/// A ticket in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    pub slot: u8,
    pub state: TicketState,
}

impl Ticket {
    pub const fn ready(slot: u8) -> Self {
        Self {
            slot,
            state: TicketState::Ready,
        }
    }
}

/// What the agent of a warm task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Agent {
    Starting,
    /// It looks at its bell.
    Waiting,
    /// It has read that its bell rings.
    Rung(RunnerId),
    /// It has answered.
    Answered(RunnerId),
    /// It has the registration, and its listener is connected.
    Has(RunnerId),
}

/// A warm task in ECS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// RunTask was not called.
    None,
    Up(Agent),
    Stopped(End),
}

/// The wait for a task, in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wait {
    /// The task token: a job's execution and the try of its write.
    pub token: Option<(JobId, u8)>,
    /// The task's end is noted.
    pub ended: bool,
}

/// A warm task with its ticket, bell, tag and wait.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Warm {
    pub revision: u8,
    pub ticket: Option<Ticket>,
    /// Somebody deleted the ticket, and so owns the task.
    pub owned: bool,
    pub bell: Option<Bell>,
    /// The registration that the bell announces.
    pub offer: Option<RunnerId>,
    pub task: Task,
    /// The task's tag.
    pub tag: Option<RunnerId>,
    /// Its agent hangs.
    pub mute: bool,
    pub wait: Wait,
    /// `cleanup` has handled the task's end.
    pub handled: bool,
}

impl Warm {
    pub const fn reserved(slot: u8, revision: u8) -> Self {
        Self {
            revision,
            ticket: Some(Ticket {
                slot,
                state: TicketState::Reserved,
            }),
            owned: false,
            bell: None,
            offer: None,
            task: Task::None,
            tag: None,
            mute: false,
            wait: Wait {
                token: None,
                ended: false,
            },
            handled: false,
        }
    }

    /// What stands for a task of which nothing is left.
    fn gone() -> Self {
        Self {
            ticket: None,
            owned: true,
            ..Self::reserved(0, 0)
        }
    }

    pub const fn is_up(&self) -> bool {
        matches!(self.task, Task::Up(_))
    }

    pub const fn agent(&self) -> Option<Agent> {
        match self.task {
            Task::Up(agent) => Some(agent),
            _ => None,
        }
    }
}

/// An event in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// ECS: the warm task stopped.
    Stopped(WarmId),
    /// Step Functions: the execution was aborted.
    Aborted(JobId),
}

/// The next call of a function that may crash before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hand {
    /// The keeper: RunTask for a ticket.
    Start(WarmId),
    /// The keeper notes the task of a ticket.
    Note(WarmId),
    /// The keeper deletes a ticket to retire its task.
    Retire(WarmId),
    /// The keeper or `sweep` puts the bell `leave`.
    Leave(WarmId),
    /// `sweep` or `token` stops a task.
    Stop(WarmId),
    /// `cleanup` or `sweep` tells the execution with this token that its task ended.
    Tell(WarmId, (JobId, u8)),
}

/// Violations that have happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a violation of its own"
)]
pub struct Wrongs {
    /// This system stopped a task during a job, and no operator or time limit asked for it.
    pub busy_stopped: bool,
    /// A task has two owners.
    pub owned_twice: bool,
    /// A ticket was replaced although nobody deleted it.
    pub replaced: bool,
    /// A ticket has two tasks.
    pub started_twice: bool,
    /// A cold task found that another task had taken its registration.
    pub robbed: bool,
    /// A handler deleted a registration that a cold task needs.
    pub needed_taken: bool,
    /// An execution waits for a task whose end was handled before.
    pub waits_for_ended: bool,
    /// An execution waits for a task that has not answered, though the table said so.
    pub unanswered: bool,
    /// A job was given a task of an older revision.
    pub outdated: bool,
    /// A job was given a task of another size or role than its own.
    pub misfit: bool,
}

/// A state of the world.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a condition of its own"
)]
pub struct World {
    pub jobs: Vec<Job>,
    /// One per job.
    pub executions: Vec<Execution>,
    pub warms: Vec<Warm>,
    /// Events in flight, sorted, with duplicates.
    pub events: Vec<Event>,
    /// Calls about to be made, sorted.
    pub hands: Vec<Hand>,
    /// The table answers no call.
    pub down: bool,
    /// Something happened that only a later sweep repairs.
    pub slow: bool,
    /// The keeper starts nothing for a while.
    pub paused: bool,
    /// The newest active revision.
    pub revision: u8,
    pub faults_left: u8,
    pub revisions_left: u8,
    /// A deployment will remove the pool.
    pub removal_left: bool,
    /// A deployment has removed the pool.
    pub removed: bool,
    pub wrongs: Wrongs,
}

impl World {
    pub fn of(scope: Scope) -> Self {
        let job = Job {
            state: AtGitHub::Queued,
            runners: Vec::new(),
        };
        let execution = Execution {
            stage: Stage::Launch,
            token: None,
            attempt: 1,
            faults: 0,
            claims: 0,
            revision: 0,
            differs: false,
            aborted: false,
            faulted: false,
            wait_lost: false,
            takes_along: None,
        };
        let mut executions = vec![execution; usize::from(scope.jobs)];
        if let Some(last) = executions.last_mut() {
            last.differs = scope.differs;
        }
        Self {
            jobs: vec![job; usize::from(scope.jobs)],
            executions,
            warms: Vec::new(),
            events: Vec::new(),
            hands: Vec::new(),
            down: false,
            slow: false,
            paused: false,
            revision: 0,
            faults_left: scope.faults,
            revisions_left: scope.revisions,
            removal_left: scope.removed,
            removed: false,
            wrongs: Wrongs::default(),
        }
    }

    pub fn job_ids(&self) -> impl Iterator<Item = JobId> + use<> {
        (0..u8::try_from(self.jobs.len()).unwrap_or(u8::MAX)).map(JobId)
    }

    pub fn warm_ids(&self) -> impl Iterator<Item = WarmId> + use<> {
        (0..u8::try_from(self.warms.len()).unwrap_or(u8::MAX)).map(WarmId)
    }

    pub fn job(&self, id: JobId) -> &Job {
        &self.jobs[usize::from(id.0)]
    }

    pub fn job_mut(&mut self, id: JobId) -> &mut Job {
        &mut self.jobs[usize::from(id.0)]
    }

    pub fn execution(&self, id: JobId) -> &Execution {
        &self.executions[usize::from(id.0)]
    }

    pub fn execution_mut(&mut self, id: JobId) -> &mut Execution {
        &mut self.executions[usize::from(id.0)]
    }

    pub fn warm(&self, id: WarmId) -> &Warm {
        &self.warms[usize::from(id.0)]
    }

    pub fn warm_mut(&mut self, id: WarmId) -> &mut Warm {
        &mut self.warms[usize::from(id.0)]
    }

    /// The registration of the execution's present attempt.
    pub fn runner_of(&self, job: JobId) -> RunnerId {
        RunnerId {
            job,
            attempt: self.execution(job).attempt,
        }
    }

    pub fn runner_mut(&mut self, id: RunnerId) -> &mut Runner {
        &mut self.job_mut(id.job).runners[usize::from(id.attempt) - 1]
    }

    pub fn runner(&self, id: RunnerId) -> Runner {
        self.job(id.job).runners[usize::from(id.attempt) - 1]
    }

    pub fn is_busy(&self, id: RunnerId) -> bool {
        self.job(id.job).state == AtGitHub::Taken(id.attempt)
    }

    /// RunTask.
    pub fn start_task(&mut self, id: WarmId) {
        self.warm_mut(id).task = Task::Up(Agent::Starting);
    }

    /// A warm task ends. GitHub fails the job that it ran.
    pub fn end_task(&mut self, id: WarmId, end: End) {
        let Task::Up(agent) = self.warm(id).task else {
            return;
        };
        let mut end = end;
        if let Agent::Has(runner) = agent
            && self.is_busy(runner)
        {
            self.job_mut(runner.job).state = AtGitHub::Over;
            self.runner_mut(runner).registered = false;
            if end != End::RanJob {
                end = End::LostInJob;
            }
        }
        self.warm_mut(id).task = Task::Stopped(end);
        self.send(Event::Stopped(id));
    }

    /// This system stops a warm task. `asked` is whether an operator or a time limit asked for it.
    pub fn stop_task(&mut self, id: WarmId, asked: bool) {
        if let Some(Agent::Has(runner)) = self.warm(id).agent() {
            self.wrongs.busy_stopped |= !asked && self.is_busy(runner);
        }
        self.end_task(id, End::Stopped);
    }

    pub fn send(&mut self, event: Event) {
        let at = self.events.partition_point(|e| *e <= event);
        self.events.insert(at, event);
    }

    pub fn take(&mut self, event: Event) {
        if let Some(at) = self.events.iter().position(|e| *e == event) {
            self.events.remove(at);
        }
    }

    /// A function is about to make this call.
    pub fn hold(&mut self, hand: Hand) {
        if let Err(at) = self.hands.binary_search(&hand) {
            self.hands.insert(at, hand);
        }
    }

    pub fn holds(&self, hand: Hand) -> bool {
        self.hands.binary_search(&hand).is_ok()
    }

    pub fn drop_hand(&mut self, hand: Hand) {
        self.hands.retain(|held| *held != hand);
    }

    /// Somebody deleted the ticket, and owns the task from now on.
    pub fn own(&mut self, id: WarmId) {
        let warm = self.warm_mut(id);
        let twice = warm.owned;
        warm.owned = true;
        warm.ticket = None;
        self.wrongs.owned_twice |= twice;
    }

    /// Forgets the warm tasks of which nothing is left.
    pub fn forget(&mut self) {
        let up: Vec<_> = self.warms.iter().map(Warm::is_up).collect();
        for execution in &mut self.executions {
            let along = execution.takes_along;
            execution.takes_along = along.filter(|task| up[usize::from(task.0)]);
        }
        for id in self.warm_ids() {
            let warm = self.warm(id);
            let over = !warm.is_up() && warm.ticket.is_none() && warm.wait.token.is_none();
            if over && !self.is_known(id) {
                *self.warm_mut(id) = Warm::gone();
            }
        }
    }

    /// Whether anything in flight refers to the warm task.
    fn is_known(&self, id: WarmId) -> bool {
        let by_hand = self.hands.iter().any(|hand| match hand {
            Hand::Start(held)
            | Hand::Note(held)
            | Hand::Retire(held)
            | Hand::Leave(held)
            | Hand::Stop(held)
            | Hand::Tell(held, _) => *held == id,
        });
        let by_execution = self.executions.iter().any(|execution| {
            let staged = match execution.stage {
                Stage::Put { task, .. } | Stage::Waiting { task, .. } => task == id,
                Stage::CleaningUp { task, .. } => task == Some(id),
                Stage::Launch | Stage::Token | Stage::Cold | Stage::Closed => false,
            };
            let claimed = match execution.token {
                None | Some(Step::Look) => false,
                Some(
                    Step::Claim(task)
                    | Step::Tag(task)
                    | Step::Ring(task)
                    | Step::Read(task)
                    | Step::Withdraw(task)
                    | Step::Release(task),
                ) => task == id,
            };
            staged || claimed || execution.takes_along == Some(id)
        });
        by_hand || by_execution || self.events.contains(&Event::Stopped(id))
    }

    /// The smaller of this world and the one with its two jobs swapped: jobs are equal, so the
    /// states that differ only in which is which are explored once.
    #[must_use]
    pub fn representative(self) -> Self {
        if self.jobs.len() != 2 {
            return self;
        }
        let mut other = self.clone();
        other.jobs.swap(0, 1);
        other.executions.swap(0, 1);
        let job = |id: &mut JobId| id.0 = 1 - id.0;
        for warm in &mut other.warms {
            let agent = match &mut warm.task {
                Task::Up(Agent::Rung(by) | Agent::Answered(by) | Agent::Has(by)) => Some(by),
                _ => None,
            };
            let known = [warm.offer.as_mut(), warm.tag.as_mut(), agent];
            known.into_iter().flatten().for_each(|by| job(&mut by.job));
            if let Some((by, _)) = &mut warm.wait.token {
                job(by);
            }
        }
        for hand in &mut other.hands {
            if let Hand::Tell(_, (by, _)) = hand {
                job(by);
            }
        }
        for event in &mut other.events {
            if let Event::Aborted(by) = event {
                job(by);
            }
        }
        other.hands.sort();
        other.events.sort();
        self.min(other)
    }
}
