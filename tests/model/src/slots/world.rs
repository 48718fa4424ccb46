//! The world: the item, executions, invocations of `token`, and what is in flight.

use decisions::{Place, Slots as Item};

use super::{Of, Scope};

/// An execution, by its index.
pub(super) type Id = usize;

/// The next call of an invocation of `token`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    /// It tries to take a slot without a look.
    Take,
    Look,
    /// It writes what it decided. `fresh` is whether nobody has written since its look.
    Put {
        next: Item,
        fresh: bool,
    },
    Join,
}

/// An invocation of `token`. It goes on if its execution is aborted or has given it up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Token {
    pub of: Id,
    pub attempt: u32,
    pub step: Step,
}

/// A write whose caller got no answer, and that the table carries out later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Late {
    Take { of: Id, attempt: u32 },
    Join { of: Id },
    GiveBack { of: Id, attempt: u32 },
}

/// An execution's position in the state machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Stage {
    /// It has not begun.
    Before,
    Token,
    WaitForSlot,
    /// Its task runs.
    Runner,
    Cleanup,
    /// It has ended, and Cleanup has seen to it.
    Succeeded,
    /// It was aborted. `told` is whether the event was handled, or lost.
    Aborted {
        told: bool,
    },
}

/// An execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Execution {
    pub stage: Stage,
    pub attempt: u32,
    /// It began before the cap was lowered.
    pub former: bool,
}

/// The world.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a condition of its own"
)]
pub struct World {
    pub(super) item: Item,
    pub(super) executions: Vec<Execution>,
    pub(super) tokens: Vec<Token>,
    pub(super) late: Vec<Late>,
    /// The table does not answer.
    pub(super) down: bool,
    /// A later deployment has no caps: the table is gone.
    pub(super) removed: bool,
    /// A later deployment has a lower cap.
    pub(super) lowered: bool,
    /// It is recorded, and no more have a slot than it allows.
    pub(super) settled: bool,
    pub(super) faults: u8,
    /// Somebody took a slot that another had the right to.
    pub(super) robbed: bool,
}

impl World {
    pub(super) fn of(scope: &Scope) -> Self {
        let before = Execution {
            stage: Stage::Before,
            attempt: 1,
            former: false,
        };
        Self {
            item: Item::default(),
            executions: vec![before; scope.executions.len()],
            tokens: Vec::new(),
            late: Vec::new(),
            down: false,
            removed: false,
            lowered: false,
            settled: false,
            faults: scope.faults,
            robbed: false,
        }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        0..self.executions.len()
    }

    pub(super) fn is(&self, id: Id, stage: Stage) -> bool {
        self.executions[id].stage == stage
    }

    /// States that differ only in how often the item was written, or in the numbers of turns, are one.
    pub(super) fn normalize(&mut self) {
        normalize(&mut self.item);
        for token in &mut self.tokens {
            if let Step::Put { next, .. } = &mut token.step {
                normalize(next);
            }
        }
        self.tokens.sort();
        self.late.sort_unstable();
    }
}

fn normalize(item: &mut Item) {
    item.version = 0;
    let mut turns: Vec<_> = item.turns.values().copied().collect();
    turns.sort_unstable();
    for turn in item.turns.values_mut() {
        *turn = turns.iter().position(|one| one == turn).unwrap_or(0) as u64 + 1;
    }
}

impl Of {
    pub(super) fn place(&self) -> Place {
        Place {
            repository: self.repository.to_owned(),
            offer: self.offer.to_owned(),
        }
    }
}
