//! What can happen next.

use decisions::{Attend, OnAbsent, OnQueuedAgain};

use crate::Runners;
use crate::ends::End;
use crate::handlers::may_retire;
use crate::mutations::Mutation;
use crate::world::{
    AtGitHub, Event, Execution, ExecutionId, JobId, Outage, Registered, Runner, RunnerId, Stage,
    Task, World,
};

/// One step of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    // GitHub
    /// A job appears, and `queued` is sent.
    Appears(JobId),
    /// GitHub gives a queued job to an idle runner that fits.
    Assigns(JobId, RunnerId),
    /// A runner finishes its job, and ends.
    Finishes(RunnerId),
    /// GitHub notices that the runner of a job is lost, and fails the job.
    NoticesLoss(RunnerId),
    /// GitHub shows a job again.
    ShowsAgain(JobId),
    /// A webhook or an event reaches its handler.
    Arrives(Event),

    // The state machine
    /// `Launch` and `Token` have run; RunTask has made the task. Or `token` finds that the job left
    /// the queue.
    Launches(ExecutionId),
    /// `Cleanup` judges the attempt.
    Judges(ExecutionId),
    /// The machine closes an execution that was judged.
    Closes(ExecutionId),
    /// `Cleanup` was repeated for as long as it is, and GitHub did not say where the job stands.
    StopsAsking(ExecutionId),
    /// A wait is over.
    Wakes(ExecutionId),

    // The task
    /// The agent takes its registration, and its listener connects.
    Boots(RunnerId),
    /// The agent's watchdog ends a runner that got no job.
    IdlesOut(RunnerId),
    /// `token`, in flight when its execution was aborted, has registered a runner.
    Lands(RunnerId),

    // `sweep`
    /// It has a lost webhook delivered again.
    Redelivers(Event),
    /// It decides that a runner has idled for too long.
    FindsIdle(RunnerId),
    /// A runner that was decided on is deleted; its task stopped if GitHub lets it go.
    Retires(RunnerId),
    /// It deletes the registration in SSM that a closed execution left.
    DeletesParameter(RunnerId),
    /// It ends a task whose runner GitHub does not know, asked twice by name.
    EndsAbsent(RunnerId),
    /// It starts an execution for a queued job that no webhook told of.
    Finds(JobId),
    /// It starts a check for a queued job whose runner runs another.
    ChecksOn(ExecutionId),
    /// It begins an execution again that failed for a passing reason.
    BeginsAgain(ExecutionId),
    /// It ends the wait of an execution whose job left the queue.
    EndsWait(ExecutionId),

    // People
    /// Somebody cancels a queued job.
    Cancels(JobId),
    /// An approval becomes due for a queued job.
    HoldsBack(JobId),
    /// The approval is given, and `queued` is sent again.
    Approves(JobId),
    /// A job's day in the queue comes to its end.
    DayPasses(JobId),

    /// Something goes wrong.
    Fails(Fault),
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A webhook fails; the App may have it redelivered.
    Loses(Event),
    /// An event is never seen.
    LosesForGood(Event),
    /// An event arrives, and will arrive again.
    Doubles(Event),
    /// The event of a task's end will be late.
    Delays(RunnerId),
    /// Spot takes a task.
    Kills(RunnerId),
    /// A listener fails at its start.
    Breaks(RunnerId),
    /// GitHub drops an idle runner, and its listener ends.
    Drops(RunnerId),
    /// A runner listens with a consumed registration: GitHub lists it no more and gives it nothing.
    Deafens(RunnerId),
    /// The same, and its agent does nothing any more.
    Freezes(RunnerId),
    /// A runner's job ends, and its task does not.
    HangsAfterJob(RunnerId),
    /// A listener never reaches GitHub.
    Disconnects(RunnerId),
    /// GitHub answers 404 for a job, and for what else goes with that.
    Hides(JobId, Outage),
    /// A runner is missing from the listing that `sweep` reads, and from one answer by its name.
    SkippedInList(RunnerId),
    /// RunTask finds no capacity.
    NoCapacity(ExecutionId),
    /// RunTask is throttled for long.
    Throttles(ExecutionId),
    /// GitHub fails after `token` has registered the runner.
    TokenFails(ExecutionId),
    /// GitHub's rate limit meets `token`.
    RateLimits(ExecutionId),
    /// A step fails for longer than its retries last.
    Outage(ExecutionId),
    /// The machine's time-out ends an execution.
    TimesOut(ExecutionId),
    /// A person aborts an execution.
    Aborts(ExecutionId),
    /// A person aborts an execution while `token` or RunTask is in flight.
    AbortsInFlight(ExecutionId),
}

/// Sorts of [`Fault`], for choosing those of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Webhooks lost and doubled.
    Webhooks,
    /// AWS's events lost and late.
    Events,
    /// Tasks and listeners that end early.
    Tasks,
    /// Runners that GitHub forgets.
    Registrations,
    /// Steps that fail.
    Steps,
    /// Executions that time out.
    TimeOuts,
    /// Executions that a person aborts.
    Aborts,
    /// Tasks that hang.
    Hangs,
    /// Jobs that GitHub hides.
    Outages,
    /// What passes by itself, of [`Self::Tasks`], [`Self::Registrations`] and [`Self::Steps`].
    Transient,
    /// Idle runners that GitHub drops, of [`Self::Registrations`].
    Drops,
}

impl FaultKind {
    /// Every sort.
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
    /// Whether it will happen soon, whatever else does or does not. A job may run for hours, people
    /// and faults may or may not come: nobody may count on those.
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

    /// Whether it will happen at last.
    pub fn is_certain(&self) -> bool {
        self.is_due() || matches!(self, Self::Finishes(_) | Self::NoticesLoss(_))
    }
}

impl Runners {
    /// Everything that can happen next.
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
            }
            Stage::Waiting => actions.push(Action::Wakes(id)),
            Stage::Closing(_) => actions.push(Action::Closes(id)),
            Stage::Running | Stage::Closed(_) => {}
        }
        match self.attends(world, execution) {
            Attend::Check => actions.push(Action::ChecksOn(id)),
            Attend::EndWait => actions.push(Action::EndsWait(id)),
            Attend::Leave => {}
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
        // GitHub gives out jobs well within the idle limits.
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
        }
    }

    fn event_faults(&self, world: &World, event: Event, actions: &mut Vec<Action>) {
        if world.left.faults == 0 {
            return;
        }
        let mut fails = |fault| actions.push(Action::Fails(fault));
        if event.is_webhook() && self.meets(FaultKind::Webhooks) {
            fails(Fault::Doubles(event));
            // A lost `queued` is found and redelivered. Nothing else may depend on that: webhooks of
            // a repository or an organization cannot be redelivered.
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
        // The time-out is longer than any job may wait and run.
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

    /// Whether GitHub may give the job to the runner.
    pub(crate) fn gets(&self, runner: &Runner, job: JobId) -> bool {
        runner.is_idle() && self.scope.fits(runner.id.execution.job, job)
    }
}

/// The end of an attempt that a fault in a step brings.
pub(crate) fn step_end(fault: Fault) -> Option<(ExecutionId, End)> {
    match fault {
        Fault::NoCapacity(id) => Some((id, End::NoCapacity)),
        Fault::TokenFails(id) => Some((id, End::TokenFailed)),
        Fault::RateLimits(id) => Some((id, End::RateLimited)),
        Fault::Throttles(id) => Some((id, End::Throttled)),
        _ => None,
    }
}
