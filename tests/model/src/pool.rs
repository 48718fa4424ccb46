//! Explores all interleavings of small pools of warm tasks.
//!
//! Jobs claim tasks of a stock while its keeper fills it, `sweep` repairs it, tasks end, the table
//! fails, and functions crash between any two of their calls. What cold tasks do, and jobs that get
//! each other's runners, is in the [other model](crate::Runners): here each runner gets its own job,
//! and a cold task runs in one step.

mod actions;
mod agent;
mod execution;
mod keeper;
mod mutations;
mod properties;
mod token;
mod world;

use stateright::{Model, Property};

pub use actions::{Action, Due, Fault, FaultKind};
pub use mutations::Mutation;
pub use world::World;

use world::{Ticket, Warm, WarmId};

/// The size of a pool and what happens in it.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a condition of its own"
)]
pub struct Scope {
    pub name: &'static str,
    /// Jobs, all with the same labels.
    pub jobs: u8,
    pub slots: u8,
    /// Maximum number of warm tasks that are ever started.
    pub tasks: u8,
    /// Whether all slots are filled at first.
    pub stocked: bool,
    /// Maximum number of deployments of another revision.
    pub revisions: u8,
    /// Whether a deployment removes the pool at some time.
    pub removed: bool,
    /// Maximum number of faults.
    pub faults: u8,
    /// Kinds of these faults.
    pub kinds: &'static [FaultKind],
    /// Whether the last job's task has another size or role than warm tasks have.
    pub differs: bool,
    /// Whether states that differ only in which of two jobs is which are explored once.
    pub reduced: bool,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    pub scope: Scope,
    /// The rule that the model omits.
    pub mutation: Option<Mutation>,
}

impl Pool {
    fn without(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn meets(&self, kind: FaultKind) -> bool {
        self.scope.kinds.contains(&kind)
    }
}

impl Model for Pool {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut world = World::of(self.scope);
        if self.scope.stocked {
            for slot in 0..self.scope.slots {
                world.warms.push(Warm::reserved(slot, 0));
                let id = WarmId(slot);
                world.warm_mut(id).ticket = Some(Ticket::ready(slot));
                world.start_task(id);
                self.step(&mut world, Action::Starts(id));
            }
        }
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.enabled(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.step(&mut next, action);
        next.forget();
        Some(if self.scope.reduced {
            next.representative()
        } else {
            next
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::properties()
    }
}
