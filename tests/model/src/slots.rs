//! Explores all interleavings of small deployments whose number of runners is capped.
//!
//! Executions take leases and give them back while calls of the table fail, lose their answers or are
//! carried out late, `token` times out and goes on, executions are aborted and events about that are
//! lost. Jobs, registrations and tasks are in the [other models](crate::Runners): here a task runs from
//! the end of `Token` to `Cleanup`.

mod properties;
mod steps;
mod world;

use stateright::{Model, Property};

pub use steps::{Action, Answer};
pub use world::World;

/// An execution: its job's repository and offer, and its job's place in GitHub's queue.
#[derive(Clone, Copy, Debug)]
pub struct Of {
    pub execution: &'static str,
    pub repository: &'static str,
    pub offer: &'static str,
    pub queued: u64,
}

/// The size of a deployment and what happens in it.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    pub name: &'static str,
    /// The executions, which begin at any time.
    pub executions: &'static [Of],
    /// The caps: of the deployment, of each repository, of the offer `large`.
    pub caps: [Option<u32>; 3],
    /// Maximum number of attempts of an execution.
    pub attempts: u32,
    /// Maximum number of faults of any kind.
    pub faults: u8,
    /// Whether a deployment removes the caps at some time.
    pub removed: bool,
    /// The deployment's cap that a deployment sets at some time. Executions that began before keep the
    /// caps of theirs, and learn of it by what `sweep` records.
    pub lowered: Option<u32>,
}

/// A rule that the model omits, so that the check must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// The write without a look takes a slot whether there is room or not.
    TakesWithoutRoom,
    /// The write without a look takes a slot although others wait.
    TakesPastTheLine,
    /// The write without a look takes a slot by the caps of an earlier deployment.
    TakesByFormerCaps,
    /// A write replaces what others have written since the look.
    WritesOverOthers,
    /// All executions of a job have one lease.
    SharesByJob,
    /// Giving back takes the lease of a later attempt as well.
    GivesBackAnyAttempt,
    /// A job goes on if the table does not answer.
    GoesWithoutAnswer,
    /// `sweep` leaves what closed executions have.
    LeavesTheClosed,
    /// `sweep` takes the leases of executions that run.
    TakesFromTheRunning,
    /// A lease that the execution has already does not count.
    ForgetsItsLease,
    /// Who has a slot in turn does not leave the line.
    StaysInLine,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    pub scope: Scope,
    /// The rule that the model omits.
    pub mutation: Option<Mutation>,
}

impl Slots {
    fn without(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}

impl Model for Slots {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::of(&self.scope)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.enabled(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.step(&mut next, action);
        next.normalize();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::properties()
    }
}
