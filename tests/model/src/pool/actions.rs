//! Actions: the possible next steps of a pool, and their effects.

use decisions::{OnBell, OnTicket, TaskSeen};

use super::world::{Agent, AtGitHub, Event, Hand, Stage, Step, Task, WarmId, World};
use super::{Pool, agent, execution::hand_over, keeper};
use crate::ends::End;
use crate::world::JobId;

/// A step of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    // The state machine
    /// `Launch` has run, and `token` has registered the runner.
    Launches(JobId),
    /// `token` finds a ticket that it may claim.
    Finds(JobId, WarmId),
    /// `token` finds none.
    FindsNone(JobId),
    /// `token` makes the next call of its claim.
    Claims(JobId),
    /// The table refuses the ring of `token`, so it is certain that it was not written.
    IsRefused(JobId),
    /// `WarmRunner` writes its wait.
    PutsWait(JobId),
    /// `Runner` runs a cold task.
    RunsCold(JobId),
    /// `Cleanup` decides what follows the attempt.
    CleansUp(JobId),
    /// `WarmRunner` exceeds its timeout, where nothing else can end it.
    WaitExpires(JobId),

    // The warm task
    /// Its agent starts.
    Starts(WarmId),
    /// Its agent reads its bell.
    Looks(WarmId),
    /// Its agent answers.
    Answers(WarmId),
    /// Its agent takes the registration.
    Takes(WarmId),
    /// GitHub assigns it the job.
    IsAssigned(WarmId),
    /// Its job ends.
    Finishes(WarmId),
    /// It got no job, or GitHub deleted its runner.
    EndsWithoutJob(WarmId),
    /// Its agent has waited for its limit.
    Ages(WarmId),
    /// Its agent has not reached the table for too long.
    GivesUp(WarmId),

    // Functions
    /// The keeper reserves a slot.
    Reserves(u8),
    /// The keeper handles a ticket in its minute.
    Keeps(WarmId),
    /// The keeper handles a ticket because of an event that says this of its task.
    Hears(WarmId, TaskSeen),
    /// The keeper's pause after a refused start ends.
    PauseEnds,
    /// `sweep` finds a task without a ticket.
    FindsOrphan(WarmId),
    /// `sweep` finds a wait for a task that has ended.
    EndsWait(WarmId),
    /// `sweep` finds an execution that waits for a task that has ended, and whom the table cannot tell.
    HandsOver(JobId),
    /// A function makes a call that it was about to make.
    CarriesOut(Hand),
    /// An event reaches `cleanup`.
    Arrives(Event),

    /// The table answers again.
    Recovers,
    /// A deployment activates another revision.
    Deploys,
    /// A deployment removes the pool, and others stay.
    Removes,
    /// A fault happens.
    Fails(Fault),
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The table answers no call for a while.
    Outage,
    /// The table loses all items.
    LosesTable,
    /// The table carries out the next call of a claim, and its answer is lost.
    ClaimUnanswered(JobId),
    /// The same, with an agent's answer.
    AnswerUnanswered(WarmId),
    /// The same, with a wait, which the state machine writes again or not.
    WaitUnanswered { job: JobId, retries: bool },
    /// The same, with the call of a function, or ECS does so.
    HandUnanswered(Hand),
    /// A function crashes before this call.
    Drops(Hand),
    /// `token` crashes.
    Crashes(JobId),
    /// ECS refuses to start a task.
    Refuses(WarmId),
    /// An event never arrives.
    Loses(Event),
    /// An event arrives twice.
    Doubles(Event),
    /// ECS forgets a stopped task whose end nobody noted.
    Forgets(WarmId),
    /// A task dies.
    Kills(WarmId),
    /// An agent hangs.
    Mutes(WarmId),
    /// `WarmRunner` exceeds its timeout.
    TimesOut(JobId),
    /// An operator aborts an execution.
    Aborts(JobId),
}

/// Kinds of [`Fault`], which a scope selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The table answers no call for a while.
    Outages,
    /// Calls whose answer is lost.
    Answers,
    /// Functions that crash.
    Crashes,
    /// Lost and duplicated events.
    Events,
    /// Tasks that die, hang or are refused.
    Tasks,
    /// Aborts and timeouts.
    Closures,
    /// A table that loses its items.
    Losses,
}

impl FaultKind {
    pub const ALL: &'static [Self] = &[
        Self::Outages,
        Self::Answers,
        Self::Crashes,
        Self::Events,
        Self::Tasks,
        Self::Closures,
        Self::Losses,
    ];
}

/// When an action happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// Within seconds.
    Soon,
    /// At the next tick of the keeper or the next sweep.
    Later,
    /// After hours.
    AtLast,
    /// Perhaps never.
    Perhaps,
}

impl Action {
    pub const fn due(&self) -> Due {
        match self {
            Self::PauseEnds | Self::FindsOrphan(_) | Self::EndsWait(_) | Self::HandsOver(_) => {
                Due::Later
            }
            Self::Finishes(_) | Self::Ages(_) | Self::WaitExpires(_) => Due::AtLast,
            Self::Hears(..) | Self::GivesUp(_) | Self::Deploys | Self::Removes | Self::Fails(_) => {
                Due::Perhaps
            }
            _ => Due::Soon,
        }
    }
}

impl Pool {
    /// Collects all actions that are possible in this state.
    pub(crate) fn enabled(&self, world: &World, actions: &mut Vec<Action>) {
        for job in world.job_ids() {
            self.execution_actions(world, job, actions);
        }
        for id in world.warm_ids() {
            self.warm_actions(world, id, actions);
        }
        let free = (0..self.scope.slots).filter(|slot| self.reserves(world, *slot));
        actions.extend(free.map(Action::Reserves));
        actions.extend(world.hands.iter().map(|hand| Action::CarriesOut(*hand)));
        for event in &world.events {
            if !(world.down && matches!(event, Event::Stopped(_))) {
                actions.push(Action::Arrives(*event));
            } else if !world.slow {
                // Its retries end before the outage does.
                actions.push(Action::Fails(Fault::Loses(*event)));
            }
        }
        if world.down {
            actions.push(Action::Recovers);
        }
        if world.paused {
            actions.push(Action::PauseEnds);
        }
        if world.revisions_left > 0 {
            actions.push(Action::Deploys);
        }
        if world.removal_left {
            actions.push(Action::Removes);
        }
        if world.faults_left > 0 {
            self.faults(world, actions);
        }
    }

    fn execution_actions(&self, world: &World, job: JobId, actions: &mut Vec<Action>) {
        let execution = world.execution(job);
        match execution.token {
            None => {}
            Some(Step::Look) => {
                let found = if world.down {
                    Vec::new()
                } else {
                    self.claimable(world, job)
                };
                if found.is_empty() {
                    actions.push(Action::FindsNone(job));
                }
                actions.extend(found.into_iter().map(|id| Action::Finds(job, id)));
            }
            Some(step) => {
                actions.push(Action::Claims(job));
                if world.down && matches!(step, Step::Ring(_)) {
                    actions.push(Action::IsRefused(job));
                }
            }
        }
        match execution.stage {
            Stage::Launch => actions.push(Action::Launches(job)),
            Stage::Put { .. } => actions.push(Action::PutsWait(job)),
            Stage::Cold => actions.push(Action::RunsCold(job)),
            Stage::CleaningUp { .. } => actions.push(Action::CleansUp(job)),
            Stage::Waiting { task, .. } => {
                if world.warm(task).mute || execution.wait_lost {
                    actions.push(Action::WaitExpires(job));
                }
                if self.is_stranded(world, task) {
                    actions.push(Action::HandsOver(job));
                }
            }
            Stage::Token | Stage::Closed => {}
        }
    }

    fn warm_actions(&self, world: &World, id: WarmId, actions: &mut Vec<Action>) {
        let warm = world.warm(id);
        if let Task::Up(agent) = warm.task
            && !warm.mute
        {
            match agent {
                Agent::Starting => actions.push(Action::Starts(id)),
                Agent::Waiting => {
                    if world.down {
                        actions.push(Action::GivesUp(id));
                    } else if self.on_bell(world, id) != OnBell::Wait {
                        actions.push(Action::Looks(id));
                    }
                    actions.push(Action::Ages(id));
                }
                Agent::Rung(_) => actions.push(Action::Answers(id)),
                Agent::Answered(_) => actions.push(Action::Takes(id)),
                Agent::Has(runner) => {
                    let queued = world.job(runner.job).state == AtGitHub::Queued;
                    actions.push(if world.is_busy(runner) {
                        Action::Finishes(id)
                    } else if queued && world.runner(runner).registered {
                        Action::IsAssigned(id)
                    } else {
                        Action::EndsWithoutJob(id)
                    });
                }
            }
        }
        if self.acts_on(world, id, Self::described(world, id)) {
            actions.push(Action::Keeps(id));
        }
        let heard = Self::heard(world, id).iter();
        let acted = heard.filter(|task| self.acts_on(world, id, **task));
        actions.extend(acted.map(|task| Action::Hears(id, *task)));
        if self
            .on_orphan(world, id)
            .is_some_and(|hand| !world.holds(hand))
        {
            actions.push(Action::FindsOrphan(id));
        }
        let told = warm
            .wait
            .token
            .is_some_and(|token| world.holds(Hand::Tell(id, token)));
        if self.ends_wait(world, id) && !told {
            actions.push(Action::EndsWait(id));
        }
    }

    /// Whether the keeper does anything about a ticket that it is not about to do already.
    fn acts_on(&self, world: &World, id: WarmId, task: TaskSeen) -> bool {
        let in_hand = match self.on_ticket(world, id, task) {
            None => return false,
            Some(OnTicket::Retire) => world.holds(Hand::Retire(id)) || world.holds(Hand::Stop(id)),
            Some(OnTicket::StartAgain) => world.holds(Hand::Start(id)),
            Some(OnTicket::Keep | OnTicket::MarkReady | OnTicket::Forget) => false,
        };
        !world.down && !in_hand
    }

    fn faults(&self, world: &World, actions: &mut Vec<Action>) {
        let mut fails = |kind, fault| {
            if self.meets(kind) {
                actions.push(Action::Fails(fault));
            }
        };
        if !world.down {
            fails(FaultKind::Outages, Fault::Outage);
        }
        // Not within the seconds of a claim: then nothing would say who took the registration.
        if world.executions.iter().all(|e| e.token.is_none()) {
            fails(FaultKind::Losses, Fault::LosesTable);
        }
        for job in world.job_ids() {
            let execution = world.execution(job);
            if let Some(step) = execution.token {
                let writes = !matches!(step, Step::Look | Step::Read(_));
                if writes && !world.down {
                    fails(FaultKind::Answers, Fault::ClaimUnanswered(job));
                }
                fails(FaultKind::Crashes, Fault::Crashes(job));
            }
            if matches!(execution.stage, Stage::Put { .. }) && !world.down {
                for retries in [false, true] {
                    fails(FaultKind::Answers, Fault::WaitUnanswered { job, retries });
                }
            }
            if matches!(execution.stage, Stage::Waiting { .. }) {
                fails(FaultKind::Closures, Fault::TimesOut(job));
            }
            if !matches!(execution.stage, Stage::Closed | Stage::Launch) {
                fails(FaultKind::Closures, Fault::Aborts(job));
            }
        }
        for id in world.warm_ids() {
            let warm = world.warm(id);
            match warm.agent() {
                Some(Agent::Rung(_)) if !world.down => {
                    fails(FaultKind::Answers, Fault::AnswerUnanswered(id));
                }
                Some(Agent::Answered(_) | Agent::Has(_)) => {
                    fails(FaultKind::Tasks, Fault::Kills(id));
                }
                _ => {}
            }
            let unnoted = !warm.wait.ended && !world.events.contains(&Event::Stopped(id));
            if matches!(warm.task, Task::Stopped(_)) && unnoted {
                fails(FaultKind::Events, Fault::Forgets(id));
            }
            if matches!(warm.agent(), Some(Agent::Starting | Agent::Waiting)) && !warm.mute {
                fails(FaultKind::Tasks, Fault::Mutes(id));
            }
        }
        for hand in &world.hands {
            let hand = *hand;
            fails(FaultKind::Crashes, Fault::Drops(hand));
            match hand {
                Hand::Start(id) => {
                    fails(FaultKind::Tasks, Fault::Refuses(id));
                    fails(FaultKind::Answers, Fault::HandUnanswered(hand));
                }
                Hand::Retire(_) if !world.down => {
                    fails(FaultKind::Answers, Fault::HandUnanswered(hand));
                }
                _ => {}
            }
        }
        for event in &world.events {
            fails(FaultKind::Events, Fault::Loses(*event));
            fails(FaultKind::Events, Fault::Doubles(*event));
        }
    }

    /// Takes one step.
    pub(crate) fn step(&self, world: &mut World, action: Action) {
        match action {
            Action::Launches(job) => self.launch(world, job),
            Action::Finds(job, id) => world.execution_mut(job).token = Some(Step::Claim(id)),
            Action::FindsNone(job) => self.go_cold(world, job),
            Action::Claims(job) => self.claim(world, job, true),
            Action::IsRefused(job) => {
                if let Some(Step::Ring(id)) = world.execution(job).token {
                    world.execution_mut(job).token = Some(Step::Release(id));
                }
            }
            Action::PutsWait(job) => self.put_wait(world, job, true, false),
            Action::RunsCold(job) => self.run_cold(world, job),
            Action::CleansUp(job) => self.clean_up(world, job),
            Action::WaitExpires(job) => time_out(world, job),
            Action::Starts(id) => world.warm_mut(id).task = Task::Up(Agent::Waiting),
            Action::Looks(id) => self.look(world, id),
            Action::Answers(id) => self.answer(world, id, true),
            Action::Takes(id) => agent::take(world, id),
            Action::IsAssigned(id) => {
                if let Some(Agent::Has(runner)) = world.warm(id).agent() {
                    world.job_mut(runner.job).state = AtGitHub::Taken(runner.attempt);
                }
            }
            Action::Finishes(id) => agent::finish(world, id),
            Action::EndsWithoutJob(id) => world.end_task(id, End::LetGo),
            Action::Ages(id) | Action::GivesUp(id) => world.end_task(id, End::Released),
            Action::Reserves(slot) => self.reserve(world, slot),
            Action::Keeps(id) => self.keep(world, id, Self::described(world, id)),
            Action::Hears(id, task) => self.keep(world, id, task),
            Action::FindsOrphan(id) => {
                if let Some(hand) = self.on_orphan(world, id) {
                    world.hold(hand);
                }
            }
            Action::EndsWait(id) => self.stopped(world, id),
            Action::HandsOver(job) => hand_over(world, job),
            Action::CarriesOut(hand) => self.carry_out(world, hand, true),
            Action::Arrives(event) => {
                world.take(event);
                self.receive(world, event);
            }
            Action::Recovers => world.down = false,
            Action::PauseEnds => world.paused = false,
            Action::Deploys => {
                world.revisions_left -= 1;
                world.revision += 1;
            }
            Action::Removes => {
                world.removal_left = false;
                world.removed = true;
            }
            Action::Fails(fault) => self.fail(world, fault),
        }
    }

    fn fail(&self, world: &mut World, fault: Fault) {
        world.faults_left = world.faults_left.saturating_sub(1);
        match fault {
            Fault::Outage => {
                world.down = true;
                world.slow = true;
            }
            Fault::LosesTable => {
                keeper::lose_table(world);
                world.slow = true;
            }
            Fault::ClaimUnanswered(job) => self.claim(world, job, false),
            Fault::AnswerUnanswered(id) => self.answer(world, id, false),
            Fault::WaitUnanswered { job, retries } => self.put_wait(world, job, false, retries),
            Fault::HandUnanswered(hand) => self.carry_out(world, hand, false),
            Fault::Drops(hand) => {
                world.drop_hand(hand);
                world.slow = true;
            }
            Fault::Crashes(job) => {
                let execution = world.execution_mut(job);
                execution.token = None;
                execution.faulted = true;
                if execution.stage == Stage::Token {
                    execution.stage = Stage::CleaningUp {
                        end: End::TokenCrashed,
                        task: None,
                    };
                }
            }
            Fault::Refuses(id) => keeper::refuse(world, id),
            Fault::Loses(event) => {
                world.take(event);
                world.slow = true;
                if let Event::Aborted(job) = event {
                    world.execution_mut(job).takes_along = None;
                }
            }
            Fault::Doubles(event) => world.send(event),
            Fault::Forgets(id) => world.warm_mut(id).task = Task::Stopped(End::Forgotten),
            Fault::Kills(id) => world.end_task(id, End::Interrupted),
            Fault::Mutes(id) => world.warm_mut(id).mute = true,
            Fault::TimesOut(job) => time_out(world, job),
            Fault::Aborts(job) => self.abort(world, job),
        }
    }
}

/// `WarmRunner` exceeds its timeout.
fn time_out(world: &mut World, job: JobId) {
    let execution = world.execution_mut(job);
    if let Stage::Waiting { task, .. } = execution.stage {
        execution.takes_along = Some(task);
        execution.faulted = true;
        execution.stage = Stage::CleaningUp {
            end: End::WaitTimedOut,
            task: Some(task),
        };
    }
}
