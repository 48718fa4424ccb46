//! Properties of all states.

use decisions::OnSlot;
use stateright::Property;

use super::world::{Id, Stage, World};
use super::{Mutation, Slots};

pub(super) fn properties() -> Vec<Property<Slots>> {
    vec![
        Property::always("no cap is exceeded", |model: &Slots, world: &World| {
            world.removed || !model.exceeds(world)
        }),
        Property::always(
            "nobody takes a slot that another has the right to",
            |_, world: &World| !world.robbed,
        ),
        Property::always(
            "nobody stands in line who has a slot",
            |_, world: &World| {
                let mut stands = world.item.line.keys();
                !stands.any(|one| world.item.leases.contains_key(one))
            },
        ),
        Property::always(
            "somebody goes on when all wait",
            |model: &Slots, world: &World| !model.is_stuck(world),
        ),
        Property::always(
            "nothing is left when nothing more happens",
            |model: &Slots, world: &World| {
                let left = !world.item.leases.is_empty() || !world.item.line.is_empty();
                !left || model.goes_on(world)
            },
        ),
        Property::sometimes("a job waits and then runs", |_, world: &World| {
            world.ids().any(|id| world.is(id, Stage::WaitForSlot))
        }),
    ]
}

impl Slots {
    fn exceeds(&self, world: &World) -> bool {
        let run: Vec<Id> = world
            .ids()
            .filter(|id| world.is(*id, Stage::Runner))
            .collect();
        let of = |id: &Id| &self.scope.executions[*id];
        let over = |count: usize, cap: Option<u32>| cap.is_some_and(|cap| count > cap as usize);
        let [before, repository, large] = self.scope.caps;
        let deployment = if world.settled {
            self.scope.lowered
        } else {
            before
        };
        over(run.len(), deployment)
            || run.iter().any(|one| {
                let same = run
                    .iter()
                    .filter(|id| of(id).repository == of(one).repository);
                over(same.count(), repository)
            })
            || over(
                run.iter().filter(|id| of(id).offer == "large").count(),
                large,
            )
    }

    /// Whether all wait for a slot, nothing else happens that would free one, and nobody gets one by
    /// looking again.
    fn is_stuck(&self, world: &World) -> bool {
        let waits: Vec<Id> = world
            .ids()
            .filter(|id| world.is(*id, Stage::WaitForSlot))
            .collect();
        let busy = world.ids().any(|id| {
            matches!(
                world.executions[id].stage,
                Stage::Token | Stage::Runner | Stage::Cleanup | Stage::Aborted { told: false }
            )
        });
        let pending = !world.late.is_empty() || !world.tokens.is_empty() || world.down;
        if waits.is_empty() || busy || pending || world.removed || self.swept(world).is_some() {
            return false;
        }
        waits.iter().all(|id| {
            let attempt = world.executions[*id].attempt;
            matches!(self.decide(world, *id, attempt), OnSlot::Wait(_))
        })
    }

    /// Whether anything happens yet.
    fn goes_on(&self, world: &World) -> bool {
        // `sweep` is what removes the rest, so its absence is one.
        let closed = |stage| matches!(stage, Stage::Succeeded | Stage::Aborted { told: true });
        let all = world.executions.iter().all(|one| closed(one.stage));
        let sweeps = !self.without(Mutation::LeavesTheClosed) && self.swept(world).is_some();
        !all || sweeps || world.down || !world.late.is_empty() || !world.tokens.is_empty()
    }
}
