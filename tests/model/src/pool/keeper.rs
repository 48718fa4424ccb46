//! The stock's keeper and `sweep`.

use std::time::Duration;

use decisions::{
    Bell, Demand, OnOrphan, OnTicket, OnWait, OrphanSeen, StrandedSeen, TaskSeen, TicketSeen,
    TicketState, WaitingSeen, Wanted, is_stranded, on_orphan, on_ticket, on_wait, pause_after,
    wanted,
};
use protocol::State;

use super::Pool;
use super::mutations::Mutation;
use super::world::{Agent, Hand, Stage, Task, Ticket, Warm, WarmId, World};

/// Longer than any limit but the age of a task in stock.
const LONG: Duration = Duration::from_hours(1);
const MAX_AGE: Duration = Duration::from_hours(6);

impl Pool {
    /// What the keeper wants.
    fn wanted(&self, world: &World) -> Wanted {
        let scheduled = if world.removed { 0 } else { self.scope.slots };
        let revision = (!world.removed).then(|| world.revision.into());
        Wanted {
            tasks: wanted(Demand {
                scheduled: scheduled.into(),
                ..Demand::default()
            }),
            revision,
            spot: false,
            max_age: MAX_AGE,
        }
    }

    /// Whether the keeper reserves this slot. Two of them may have seen that it is free.
    pub(crate) fn reserves(&self, world: &World, slot: u8) -> bool {
        let mut tickets = world.warms.iter().filter_map(|warm| warm.ticket);
        let in_slot = tickets.find(|ticket| ticket.slot == slot);
        let free = match in_slot {
            None => true,
            Some(ticket) => {
                ticket.state == TicketState::Reserved && self.without(Mutation::ReplacesATicket)
            }
        };
        free && !world.down
            && world.warms.len() < usize::from(self.scope.tasks)
            && usize::from(slot) < self.wanted(world).tasks
            && !world.paused
    }

    /// The keeper puts a ticket into a slot, and is about to start its task.
    #[expect(clippy::unused_self, reason = "as its siblings")]
    pub(crate) fn reserve(&self, world: &mut World, slot: u8) {
        for warm in &mut world.warms {
            if warm.ticket.is_some_and(|ticket| ticket.slot == slot) {
                warm.ticket = None;
                world.wrongs.replaced = true;
            }
        }
        let id = WarmId(u8::try_from(world.warms.len()).unwrap_or(u8::MAX));
        let revision = world.revision;
        world.warms.push(Warm::reserved(slot, revision));
        world.hold(Hand::Start(id));
    }

    /// What the keeper's minute sees of a ticket's task. It knows none before its start is noted.
    pub(crate) fn described(world: &World, id: WarmId) -> TaskSeen {
        let warm = world.warm(id);
        let state = warm.ticket.map(|ticket| ticket.state);
        match (state, warm.task) {
            (Some(TicketState::Reserved) | None, _) | (_, Task::None) => TaskSeen::Unknown,
            (_, Task::Up(Agent::Starting)) => TaskSeen::Starting,
            (_, Task::Up(_)) => TaskSeen::Running,
            (_, Task::Stopped(_)) => TaskSeen::Ended,
        }
    }

    /// What events may say of the task meanwhile: they overtake the note of its start, and are late.
    pub(crate) fn heard(world: &World, id: WarmId) -> &'static [TaskSeen] {
        let warm = world.warm(id);
        let state = warm.ticket.map(|ticket| ticket.state);
        match (state, warm.task) {
            (Some(TicketState::Reserved), Task::Stopped(_)) => {
                &[TaskSeen::Running, TaskSeen::Ended]
            }
            (Some(TicketState::Started), Task::Stopped(_)) => &[TaskSeen::Running],
            (Some(TicketState::Reserved), Task::Up(agent)) if agent != Agent::Starting => {
                &[TaskSeen::Running]
            }
            _ => &[],
        }
    }

    /// What the keeper does about a ticket, if it sees this of its task.
    pub(crate) fn on_ticket(&self, world: &World, id: WarmId, task: TaskSeen) -> Option<OnTicket> {
        let warm = world.warm(id);
        let ticket = warm.ticket?;
        let at_work = [Hand::Start(id), Hand::Note(id)];
        let decision = on_ticket(
            TicketSeen {
                state: ticket.state,
                age: if at_work.iter().any(|hand| world.holds(*hand)) {
                    Duration::ZERO
                } else {
                    LONG
                },
                revision: warm.revision.into(),
                spot: false,
                ahead: ticket.slot.into(),
                task,
            },
            self.wanted(world),
        );
        match decision {
            OnTicket::Keep => None,
            _ if world.removed && self.without(Mutation::LeavesFormerStock) => None,
            OnTicket::StartAgain if self.without(Mutation::LeavesHalfStarted) => None,
            OnTicket::Forget if self.without(Mutation::KeepsDeadTickets) => None,
            decision => Some(decision),
        }
    }

    /// The keeper does it. A write that has this ticket's id as its condition is done at once; what
    /// takes several calls is in its hands from now on.
    pub(crate) fn keep(&self, world: &mut World, id: WarmId, task: TaskSeen) {
        match self.on_ticket(world, id, task) {
            Some(OnTicket::StartAgain) => world.hold(Hand::Start(id)),
            Some(OnTicket::MarkReady) => {
                if let Some(ticket) = &mut world.warm_mut(id).ticket {
                    ticket.state = TicketState::Ready;
                }
            }
            Some(OnTicket::Retire) if self.without(Mutation::StopsWhatItSees) => {
                world.hold(Hand::Stop(id));
            }
            Some(OnTicket::Retire) => world.hold(Hand::Retire(id)),
            Some(OnTicket::Forget) => world.warm_mut(id).ticket = None,
            Some(OnTicket::Keep) | None => {}
        }
    }

    /// What `sweep` does about a task, if it sees it now.
    pub(crate) fn on_orphan(&self, world: &World, id: WarmId) -> Option<Hand> {
        let warm = world.warm(id);
        if world.down || !warm.is_up() {
            return None;
        }
        let decision = on_orphan(OrphanSeen {
            age: LONG,
            has_ticket: warm.ticket.is_some(),
            has_runner: warm.tag.is_some() && !self.without(Mutation::StopsTagged),
            bell: warm.bell,
            told_for: LONG,
        });
        let tagged = warm.tag.is_some();
        match decision {
            OnOrphan::Leave => None,
            OnOrphan::TellToLeave if self.without(Mutation::LeavesOrphans) => None,
            OnOrphan::TellToLeave if tagged && self.without(Mutation::LeavesTagged) => None,
            OnOrphan::TellToLeave => Some(Hand::Leave(id)),
            OnOrphan::Stop if self.without(Mutation::LeavesMute) => None,
            OnOrphan::Stop => Some(Hand::Stop(id)),
        }
    }

    /// Whether `sweep` does what the event of the task's end would have done.
    pub(crate) fn ends_wait(&self, world: &World, id: WarmId) -> bool {
        let warm = world.warm(id);
        let stopped = matches!(warm.task, Task::Stopped(_));
        let noted = warm.wait.ended && !self.without(Mutation::TrustsTheNote);
        let trusted = warm.wait.ended && self.without(Mutation::TrustsTheNote);
        let waiting = warm.wait.token.is_some() && !trusted;
        on_wait(WaitingSeen {
            age: LONG,
            waiting,
            ended: noted || stopped,
        }) == OnWait::End
            && !world.down
            && !self.without(Mutation::TrustsTheEvents)
    }

    /// Whether `sweep` finds that nobody can tell who waits for this task that it ended.
    pub(crate) fn is_stranded(&self, world: &World, id: WarmId) -> bool {
        let warm = world.warm(id);
        let seen = StrandedSeen {
            state: Some(State::WarmRunner),
            age: LONG,
            ended: matches!(warm.task, Task::Stopped(_)),
            has_wait: warm.wait.token.is_some(),
        };
        is_stranded(seen) && !world.down && !self.without(Mutation::LeavesTheStranded)
    }

    /// A call that a function was about to make. `answered` is false if it is carried out and its
    /// answer lost.
    pub(crate) fn carry_out(&self, world: &mut World, hand: Hand, answered: bool) {
        world.drop_hand(hand);
        if world.down && !matches!(hand, Hand::Start(_) | Hand::Stop(_) | Hand::Tell(..)) {
            return;
        }
        match hand {
            Hand::Start(id) => {
                if world.warm(id).task == Task::None {
                    world.start_task(id);
                } else {
                    // The client token is the ticket's id, so the call starts nothing.
                    world.wrongs.started_twice |= self.without(Mutation::StartsWithANewToken);
                }
                if answered {
                    world.hold(Hand::Note(id));
                }
            }
            Hand::Note(id) => {
                if let Some(ticket) = &mut world.warm_mut(id).ticket
                    && ticket.state == TicketState::Reserved
                {
                    ticket.state = TicketState::Started;
                }
            }
            Hand::Retire(id) => {
                let there = world.warm(id).ticket.is_some();
                if there || self.without(Mutation::RetiresWhatIsGone) {
                    world.own(id);
                    if answered {
                        world.hold(Hand::Leave(id));
                    }
                }
            }
            Hand::Leave(id) => {
                let warm = world.warm_mut(id);
                if warm.bell.is_none() || self.without(Mutation::LeavesOverABell) {
                    warm.bell = Some(Bell::Leave);
                }
            }
            Hand::Stop(id) => world.stop_task(id, false),
            Hand::Tell(id, token) => tell(world, id, token),
        }
    }
}

/// ECS refuses to start a task: the keeper deletes its ticket, and pauses.
pub(crate) fn refuse(world: &mut World, id: WarmId) {
    world.drop_hand(Hand::Start(id));
    world.paused = !pause_after(1).is_zero();
    if world.warm(id).task == Task::None {
        world.warm_mut(id).ticket = None;
    }
}

/// The table loses all items.
pub(crate) fn lose_table(world: &mut World) {
    for id in world.warm_ids() {
        let warm = world.warm_mut(id);
        warm.ticket = None::<Ticket>;
        warm.bell = None;
        warm.offer = None;
        warm.wait = super::world::Wait::default();
        warm.handled = false;
    }
    for execution in &mut world.executions {
        execution.wait_lost |= matches!(execution.stage, Stage::Waiting { .. });
    }
}

/// Tells an execution that its task ended. An execution that no longer waits with this token hears
/// nothing.
fn tell(world: &mut World, id: WarmId, token: (crate::world::JobId, u8)) {
    let (job, retry) = token;
    let end = match world.warm(id).task {
        Task::Stopped(end) => end,
        Task::None | Task::Up(_) => return,
    };
    let execution = world.execution_mut(job);
    if execution.stage == (Stage::Waiting { task: id, retry }) {
        execution.stage = Stage::CleaningUp {
            end,
            task: Some(id),
        };
    }
    let down = world.down;
    let wait = &mut world.warm_mut(id).wait;
    if !down && wait.token == Some(token) {
        wait.token = None;
    }
}
