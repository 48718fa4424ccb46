//! Actions: the possible next steps of a world.

use decisions::{Attend, OnAbsent, OnQueuedAgain};

use crate::Runners;
use crate::ends::End;
use crate::handlers::may_retire;
use crate::mutations::Mutation;
use crate::world::{
    AtGitHub, Event, Execution, ExecutionId, JobId, Outage, Registered, Runner, RunnerId, Stage,
    Task, World,
};

/// A step of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    // GitHub
    /// A job appears, and `queued` is sent.
    Appears(JobId),
    /// GitHub assigns a queued job to an idle runner that fits.
    Assigns(JobId, RunnerId),
    /// A runner finishes its job, and ends.
    Finishes(RunnerId),
    /// GitHub detects that a job's runner is lost, and fails the job.
    NoticesLoss(RunnerId),
    /// GitHub shows a hidden job again.
    ShowsAgain(JobId),
    /// A webhook or an event reaches its handler.
    Arrives(Event),

    // The state machine
    /// `Launch` and `Token` have run, and RunTask has created the task. Or `token` finds that the
    /// job left the queue.
    Launches(ExecutionId),
    /// `Cleanup` decides what follows the attempt.
    Judges(ExecutionId),
    /// The same without asking GitHub, because of the note that the job ended on this runner.
    JudgesByNote(ExecutionId, RunnerId),
    /// The state machine closes an execution after `Cleanup`'s decision.
    Closes(ExecutionId),
    /// `Cleanup`'s retries are used up, and GitHub did not return the job's status.
    StopsAsking(ExecutionId),
    /// A wait ends.
    Wakes(ExecutionId),

    // The task
    /// The agent reads its registration, and its listener connects.
    Boots(RunnerId),
    /// The agent's watchdog ends a runner that got no job.
    IdlesOut(RunnerId),
    /// `token`, which was running when its execution was aborted, has registered a runner.
    Lands(RunnerId),

    // `sweep`
    /// It requests the redelivery of a lost webhook.
    Redelivers(Event),
    /// It decides to delete a runner that has idled for too long.
    FindsIdle(RunnerId),
    /// The runner is deleted, and its task stopped if GitHub deleted the runner.
    Retires(RunnerId),
    /// It deletes a closed execution's registration from SSM.
    DeletesParameter(RunnerId),
    /// It stops a task whose runner GitHub did not find by its name, twice.
    EndsAbsent(RunnerId),
    /// It starts an execution for a queued job without a webhook.
    Finds(JobId),
    /// It starts a check of a queued job whose runner runs another job.
    ChecksOn(ExecutionId),
    /// It restarts an execution that failed for a transient reason.
    BeginsAgain(ExecutionId),
    /// It stops a waiting execution whose job left the queue.
    EndsWait(ExecutionId),

    // Users and operators
    /// A user cancels a queued job.
    Cancels(JobId),
    /// A queued job needs an approval.
    HoldsBack(JobId),
    /// The approval is given, and GitHub sends `queued` again.
    Approves(JobId),
    /// A job's day in the queue ends.
    DayPasses(JobId),

    /// A fault happens.
    Fails(Fault),
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The delivery of a webhook fails; the App may request its redelivery.
    Loses(Event),
    /// An event never arrives.
    LosesForGood(Event),
    /// An event arrives twice.
    Doubles(Event),
    /// The event of a task's end is late.
    Delays(RunnerId),
    /// Spot takes a task back.
    Kills(RunnerId),
    /// A listener fails when it starts.
    Breaks(RunnerId),
    /// GitHub deletes an idle runner, and its listener exits.
    Drops(RunnerId),
    /// A runner listens with a consumed registration: GitHub neither lists it nor assigns it jobs.
    Deafens(RunnerId),
    /// The same, and its agent hangs.
    Freezes(RunnerId),
    /// A runner's job ends, but its task does not.
    HangsAfterJob(RunnerId),
    /// A listener never reaches GitHub.
    Disconnects(RunnerId),
    /// GitHub puts a runner's job back into the queue and tells nobody; the runner ends as after a job.
    TakesBack(RunnerId),
    /// An ended job is queued again under its id.
    QueuesEnded(JobId),
    /// GitHub answers 404 for a job and what belongs to the outage.
    Hides(JobId, Outage),
    /// A runner is missing from the list that `sweep` reads and from one lookup by its name.
    SkippedInList(RunnerId),
    /// RunTask finds no capacity.
    NoCapacity(ExecutionId),
    /// RunTask is throttled for longer than its retries.
    Throttles(ExecutionId),
    /// GitHub fails after `token` registered the runner.
    TokenFails(ExecutionId),
    /// `token` is rate limited by GitHub.
    RateLimits(ExecutionId),
    /// A step fails for longer than its retries.
    Outage(ExecutionId),
    /// The state machine's timeout ends an execution.
    TimesOut(ExecutionId),
    /// An operator aborts an execution.
    Aborts(ExecutionId),
    /// An operator aborts an execution during `token` or RunTask.
    AbortsInFlight(ExecutionId),
}

/// Kinds of [`Fault`], which a scope selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Lost and duplicated webhooks.
    Webhooks,
    /// Lost and late events of AWS.
    Events,
    /// Tasks and listeners that end early.
    Tasks,
    /// Runners that GitHub no longer knows.
    Registrations,
    /// Failing steps.
    Steps,
    /// Executions that exceed their timeout.
    TimeOuts,
    /// Executions that an operator aborts.
    Aborts,
    /// Tasks that hang.
    Hangs,
    /// Jobs that GitHub hides with a 404.
    Outages,
    /// The transient ones of [`Self::Tasks`], [`Self::Registrations`] and [`Self::Steps`].
    Transient,
    /// Idle runners that GitHub deletes, of [`Self::Registrations`].
    Drops,
    /// Jobs that GitHub takes back from runners that began them. Not one of [`Self::ALL`]: after an
    /// execution has ended, nobody would notice.
    TakenBack,
    /// Ended jobs that are queued again. Not one of [`Self::ALL`]: a re-run has a new id.
    QueuedAfterTheEnd,
}

impl FaultKind {
    pub const ALL: &'static [Self] = &[
        Self::Webhooks,
        Self::Events,
        Self::Tasks,
        Self::Registrations,
        Self::Steps,
        Self::TimeOuts,
        Self::Aborts,
        Self::Hangs,
        Self::Outages,
    ];
}

impl Action {
    /// Whether it happens soon, whatever else happens. Nothing may depend on the rest: a job may
    /// run for hours, and users and faults may or may not act.
    pub fn is_due(&self) -> bool {
        !matches!(
            self,
            Self::Appears(_)
                | Self::Finishes(_)
                | Self::NoticesLoss(_)
                | Self::Cancels(_)
                | Self::HoldsBack(_)
                | Self::Approves(_)
                | Self::DayPasses(_)
                | Self::Fails(_)
        )
    }

    /// Whether it happens eventually.
    pub fn is_certain(&self) -> bool {
        self.is_due() || matches!(self, Self::Finishes(_) | Self::NoticesLoss(_))
    }
}

impl Runners {
    /// Collects all actions that are possible in this state.
    pub(crate) fn enabled(&self, world: &World, actions: &mut Vec<Action>) {
        for job in world.job_ids() {
            self.job_actions(world, job, actions);
        }
        for (n, event) in world.events.iter().enumerate() {
            let again = match *event {
                Event::QueuedAgain { job } => self.on_again(world, job) == OnQueuedAgain::LookAgain,
                _ => false,
            };
            if !again && (n == 0 || world.events[n - 1] != *event) {
                actions.push(Action::Arrives(*event));
                self.event_faults(world, *event, actions);
            }
        }
        actions.extend(world.lost.iter().map(|event| Action::Redelivers(*event)));
        for execution in &world.executions {
            self.execution_actions(world, execution, actions);
        }
        for runner in &world.runners {
            self.runner_actions(world, runner, actions);
        }
    }

    fn job_actions(&self, world: &World, id: JobId, actions: &mut Vec<Action>) {
        let job = world.job(id);
        if job.outage.is_some() {
            actions.push(Action::ShowsAgain(id));
        } else if world.left.faults > 0
            && self.meets(FaultKind::Outages)
            && job.state != AtGitHub::Unborn
        {
            let hides = Outage::ALL.map(|outage| Action::Fails(Fault::Hides(id, outage)));
            actions.extend(hides);
        }
        if self.finds(world, id) {
            actions.push(Action::Finds(id));
        }
        match job.state {
            AtGitHub::Unborn => actions.push(Action::Appears(id)),
            AtGitHub::Queued => {
                let fitting = world.runners.iter().filter(|r| self.gets(r, id));
                actions.extend(fitting.map(|runner| Action::Assigns(id, runner.id)));
                if world.left.cancels > 0 {
                    actions.push(Action::Cancels(id));
                }
                if world.left.holds > 0 {
                    actions.push(Action::HoldsBack(id));
                }
                if world.left.days > 0 && !job.day_over {
                    actions.push(Action::DayPasses(id));
                }
            }
            AtGitHub::HeldBack => actions.push(Action::Approves(id)),
            AtGitHub::Over { .. }
                if world.left.faults > 0 && self.meets(FaultKind::QueuedAfterTheEnd) =>
            {
                actions.push(Action::Fails(Fault::QueuesEnded(id)));
            }
            AtGitHub::Taken(_) | AtGitHub::Over { .. } => {}
        }
    }

    fn execution_actions(&self, world: &World, execution: &Execution, actions: &mut Vec<Action>) {
        let id = execution.id;
        match execution.stage {
            Stage::Starting => actions.push(Action::Launches(id)),
            Stage::CleaningUp(end) => {
                let asks = end.ended().asks_github();
                actions.push(if asks && self.ask(world, id.job).is_none() {
                    Action::StopsAsking(id)
                } else {
                    Action::Judges(id)
                });
                let notes = self.believed(world, execution, end);
                actions.extend(notes.map(|runner| Action::JudgesByNote(id, runner)));
            }
            Stage::Waiting => actions.push(Action::Wakes(id)),
            Stage::Closing(_) => actions.push(Action::Closes(id)),
            Stage::Running | Stage::Closed(_) => {}
        }
        match self.attends(world, execution) {
            Attend::Check => actions.push(Action::ChecksOn(id)),
            Attend::EndWait => actions.push(Action::EndsWait(id)),
            Attend::Leave | Attend::HandOver => {}
        }
        if self.begins_again(world, execution) && !self.without(Mutation::TrustsTheEvents) {
            actions.push(Action::BeginsAgain(id));
        }
        if world.left.faults > 0 {
            self.execution_faults(world, execution, actions);
        }
    }

    fn runner_actions(&self, world: &World, runner: &Runner, actions: &mut Vec<Action>) {
        let id = runner.id;
        let up = runner.task == Task::Up;
        match (runner.task, runner.busy) {
            (Task::Booting, _) => actions.push(Action::Boots(id)),
            (Task::Up, Some(_)) => actions.push(Action::Finishes(id)),
            (Task::None, Some(_)) => actions.push(Action::NoticesLoss(id)),
            _ => {}
        }
        if runner.landing {
            actions.push(Action::Lands(id));
        }
        // GitHub assigns jobs well within the idle limits.
        let wanted = world
            .job_ids()
            .any(|job| world.job(job).state == AtGitHub::Queued && self.gets(runner, job));
        let idles = runner.busy.is_none() && !wanted;
        if up && idles && !runner.hangs {
            actions.push(Action::IdlesOut(id));
        }
        if runner.marked {
            actions.push(Action::Retires(id));
        } else if runner.registered != Registered::No && idles && may_retire(world, runner) {
            actions.push(Action::FindsIdle(id));
        }
        let orphan = world.is_orphan(id);
        if orphan && runner.parameter && runner.task == Task::None {
            actions.push(Action::DeletesParameter(id));
        }
        let unknown = up && runner.registered == Registered::No;
        if unknown && self.on_absent(world, runner, 2) != OnAbsent::Leave {
            actions.push(Action::EndsAbsent(id));
        }
        if world.left.faults > 0 {
            self.runner_faults(runner, actions);
            if self.meets(FaultKind::TakenBack) && is_worked_for(world, runner) {
                actions.push(Action::Fails(Fault::TakesBack(id)));
            }
        }
    }

    fn event_faults(&self, world: &World, event: Event, actions: &mut Vec<Action>) {
        if world.left.faults == 0 {
            return;
        }
        let mut fails = |fault| actions.push(Action::Fails(fault));
        if event.is_webhook() && self.meets(FaultKind::Webhooks) {
            fails(Fault::Doubles(event));
            // A lost `queued` is found and redelivered. Nothing else may depend on that: webhooks
            // of a repository or an organization cannot be redelivered.
            fails(match event {
                Event::Queued { .. } if !self.scope.reconciles => Fault::Loses(event),
                _ => Fault::LosesForGood(event),
            });
        }
        let by_aws = matches!(event, Event::TaskStopped(_) | Event::ExecutionClosed(_));
        if by_aws && self.meets(FaultKind::Events) {
            fails(Fault::LosesForGood(event));
        }
    }

    fn execution_faults(&self, world: &World, execution: &Execution, actions: &mut Vec<Action>) {
        let id = execution.id;
        let mut fails = |fault| actions.push(Action::Fails(fault));
        let runner = world.runner(execution.runner());
        let passing = self.meets(FaultKind::Transient);
        if execution.stage == Stage::Starting && (passing || self.meets(FaultKind::Steps)) {
            fails(Fault::NoCapacity(id));
            fails(Fault::TokenFails(id));
            fails(Fault::RateLimits(id));
            fails(Fault::Throttles(id));
        }
        if self.meets(FaultKind::Steps)
            && matches!(execution.stage, Stage::Starting | Stage::CleaningUp(_))
        {
            fails(Fault::Outage(id));
        }
        if !execution.runs() {
            return;
        }
        // The timeout is longer than any job may wait and run.
        if self.meets(FaultKind::TimeOuts) && runner.is_none_or(|runner| runner.busy.is_none()) {
            fails(Fault::TimesOut(id));
        }
        if self.meets(FaultKind::Aborts) {
            fails(Fault::Aborts(id));
            let starts = execution.stage == Stage::Starting
                || runner.is_some_and(|runner| runner.task == Task::Booting);
            if starts {
                fails(Fault::AbortsInFlight(id));
            }
        }
    }

    fn runner_faults(&self, runner: &Runner, actions: &mut Vec<Action>) {
        let id = runner.id;
        let mut fails = |fault| actions.push(Action::Fails(fault));
        if runner.task != Task::None && self.meets(FaultKind::Tasks) {
            fails(Fault::Kills(id));
            if runner.task == Task::Booting {
                fails(Fault::Breaks(id));
            }
        }
        let passing = self.meets(FaultKind::Transient);
        if runner.task == Task::Booting && (passing || self.meets(FaultKind::Tasks)) {
            fails(Fault::Disconnects(id));
        }
        if runner.task == Task::Up && runner.is_idle() && (passing || self.meets(FaultKind::Drops))
        {
            fails(Fault::Drops(id));
        }
        if runner.task == Task::Up && self.meets(FaultKind::Hangs) {
            if runner.is_idle() {
                fails(Fault::Freezes(id));
            }
            if runner.busy.is_some() {
                fails(Fault::HangsAfterJob(id));
            }
        }
        if runner.task != Task::None && !runner.late && self.meets(FaultKind::Events) {
            fails(Fault::Delays(id));
        }
        if self.meets(FaultKind::Registrations) {
            if runner.task == Task::Up && runner.is_idle() {
                fails(Fault::Drops(id));
                fails(Fault::Deafens(id));
            }
            if runner.task == Task::Up && runner.registered != Registered::No {
                fails(Fault::SkippedInList(id));
            }
        }
    }

    /// Whether GitHub may assign the job to the runner.
    pub(crate) fn gets(&self, runner: &Runner, job: JobId) -> bool {
        runner.is_idle() && self.scope.fits(runner.id.execution.job, job)
    }
}

/// How a step's fault ends the attempt.
pub(crate) fn step_end(fault: Fault) -> Option<(ExecutionId, End)> {
    match fault {
        Fault::NoCapacity(id) => Some((id, End::NoCapacity)),
        Fault::TokenFails(id) => Some((id, End::TokenFailed)),
        Fault::RateLimits(id) => Some((id, End::RateLimited)),
        Fault::Throttles(id) => Some((id, End::Throttled)),
        _ => None,
    }
}

/// Whether a runner has a job that an execution of it works for. GitHub puts no other job back: after
/// its last execution has ended, only `sweep` with `reconcileCalls` would find it.
fn is_worked_for(world: &World, runner: &Runner) -> bool {
    runner.busy.is_some_and(|job| {
        world.executions_of(job).any(|execution| {
            matches!(
                execution.stage,
                Stage::Starting | Stage::Running | Stage::CleaningUp(_) | Stage::Waiting
            )
        })
    })
}
