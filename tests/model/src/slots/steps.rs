//! What can happen, and what follows.

use std::collections::{BTreeMap, BTreeSet};

use decisions::{Caps, InLine, OnSlot, Seeker, Slots as Item, on_slot, release_slot, repair_slots};
use protocol::ExecutionName;

use super::world::{Execution, Id, Late, Stage, Step, Token, World};
use super::{Mutation, Slots};

/// The model has no time: no lease ends by itself.
const NOW: u64 = 1_000;
const NEVER: u64 = 1_000_000;

/// How a call of the table ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is carried out and answered.
    Given,
    /// It is carried out, and the answer is lost.
    Lost,
    /// It is not answered, and carried out later.
    Late,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Begins(Id),
    /// An invocation of `token`, by its index, makes its next call.
    Calls(usize, Answer),
    /// The wait is over.
    LooksAgain(Id),
    TaskEnds(Id),
    /// `Cleanup` gives the slot back. The job is still queued and gets another attempt if `again`.
    GivesBack(Id, Answer, bool),
    /// `Cleanup` can't give the slot back.
    KeepsSlot(Id),
    /// Step Functions gives an invocation of `token` up, which goes on.
    TokenTimesOut(Id),
    Aborted(Id),
    /// `cleanup` handles the event of an aborted execution.
    Told(Id),
    /// That event is lost.
    Untold(Id),
    /// The table carries out a write, by its index, that was not answered.
    Lands(usize),
    Sweeps,
    TableFails,
    TableAnswers,
    /// A deployment removes the caps.
    CapsRemoved,
    /// A deployment lowers its cap.
    CapsLowered,
}

impl Slots {
    /// The caps of a deployment: the one that lowered them, or the former.
    fn caps(&self, lowered: bool) -> Caps {
        let [before, repository, large] = self.scope.caps;
        Caps {
            deployment: if lowered { self.scope.lowered } else { before },
            repository,
            repositories: BTreeMap::new(),
            offers: large
                .map(|cap| ("large".to_owned(), cap))
                .into_iter()
                .collect(),
        }
    }

    /// The caps that an execution began with.
    fn caps_of(&self, world: &World, id: Id) -> Caps {
        self.caps(world.lowered && !world.executions[id].former)
    }

    pub(super) fn name(&self, id: Id) -> ExecutionName {
        let name = self.scope.executions[id].execution;
        let own = if self.without(Mutation::SharesByJob) {
            name.trim_end_matches("-r2")
        } else {
            name
        };
        #[expect(clippy::expect_used, reason = "a constant of a test")]
        own.parse().expect("an execution's name")
    }

    pub(super) fn seeker(&self, id: Id, attempt: u32) -> Seeker {
        let of = &self.scope.executions[id];
        Seeker {
            execution: self.name(id),
            attempt,
            at: of.place(),
            queued: of.queued,
            until: NEVER,
        }
    }

    pub(super) fn decide(&self, world: &World, id: Id, attempt: u32) -> OnSlot {
        let item = &world.item;
        let seeker = self.seeker(id, attempt);
        let mut seen = item.clone();
        if self.without(Mutation::ForgetsItsLease) {
            seen.leases.remove(&seeker.execution);
        }
        let decided = on_slot(&seen, &seeker, &self.caps_of(world, id), NOW, 0.5);
        match decided {
            OnSlot::Take(mut next) if self.without(Mutation::StaysInLine) => {
                if let Some(one) = item.line.get(&seeker.execution) {
                    next.line.insert(seeker.execution, one.clone());
                }
                OnSlot::Take(next)
            }
            decided => decided,
        }
    }

    pub(super) fn enabled(&self, world: &World, actions: &mut Vec<Action>) {
        let answers: &[Answer] = if world.faults > 0 && !world.down {
            &[Answer::Given, Answer::Lost, Answer::Late]
        } else {
            &[Answer::Given]
        };
        for index in 0..world.tokens.len() {
            let looks = matches!(world.tokens[index].step, Step::Look);
            let answers = if looks { &answers[..1] } else { answers };
            actions.extend(answers.iter().map(|answer| Action::Calls(index, *answer)));
        }
        for id in world.ids() {
            match world.executions[id].stage {
                Stage::Before => actions.push(Action::Begins(id)),
                Stage::WaitForSlot => actions.push(Action::LooksAgain(id)),
                Stage::Runner => actions.push(Action::TaskEnds(id)),
                Stage::Cleanup if world.down => actions.push(Action::KeepsSlot(id)),
                Stage::Cleanup => {
                    let more = world.executions[id].attempt < self.scope.attempts;
                    for answer in answers {
                        actions.push(Action::GivesBack(id, *answer, false));
                        if more {
                            actions.push(Action::GivesBack(id, *answer, true));
                        }
                    }
                }
                Stage::Aborted { told: false } => actions.push(Action::Told(id)),
                Stage::Token | Stage::Succeeded | Stage::Aborted { told: true } => {}
            }
            if world.faults > 0 {
                match world.executions[id].stage {
                    Stage::Token => {
                        actions.extend([Action::TokenTimesOut(id), Action::Aborted(id)]);
                    }
                    Stage::WaitForSlot | Stage::Runner => actions.push(Action::Aborted(id)),
                    Stage::Aborted { told: false } => actions.push(Action::Untold(id)),
                    _ => {}
                }
            }
        }
        actions.extend((0..world.late.len()).map(Action::Lands));
        if !world.removed {
            if world.down {
                actions.push(Action::TableAnswers);
            } else if world.faults > 0 {
                actions.push(Action::TableFails);
            }
            if self.scope.removed {
                actions.push(Action::CapsRemoved);
            }
            // Some sweep has recorded the former ones by then.
            if self.scope.lowered.is_some() && !world.lowered && world.item.caps.is_some() {
                actions.push(Action::CapsLowered);
            }
            if !world.down && self.swept(world).is_some() {
                actions.push(Action::Sweeps);
            }
        }
    }

    /// What a sweep leaves of the item, if it changes it.
    pub(super) fn swept(&self, world: &World) -> Option<Item> {
        let is_closed = |id: &Id| {
            matches!(
                world.executions[*id].stage,
                Stage::Succeeded | Stage::Aborted { .. }
            ) || self.without(Mutation::TakesFromTheRunning)
        };
        let closed: BTreeSet<_> = if self.without(Mutation::LeavesTheClosed) {
            BTreeSet::new()
        } else {
            world
                .ids()
                .filter(is_closed)
                .map(|id| self.name(id))
                .collect()
        };
        let mut next = repair_slots(&world.item, &closed, &self.caps(world.lowered), NOW)?;
        // That the caps are recorded matters only where they change.
        if self.scope.lowered.is_none() {
            next.caps = None;
        }
        let Item {
            leases, line, caps, ..
        } = &world.item;
        (next.leases != *leases || next.line != *line || next.caps != *caps).then_some(next)
    }

    pub(super) fn step(&self, world: &mut World, action: Action) {
        match action {
            Action::Begins(id) => {
                world.executions[id].former = self.scope.lowered.is_some() && !world.lowered;
                self.enter_token(world, id, Step::Take);
            }
            Action::LooksAgain(id) => self.enter_token(world, id, Step::Look),
            Action::Calls(index, answer) => {
                spend(world, answer != Answer::Given);
                let token = world.tokens.remove(index);
                self.call(world, &token, answer);
            }
            Action::TaskEnds(id) => world.executions[id].stage = Stage::Cleanup,
            Action::GivesBack(id, answer, again) => {
                spend(world, answer != Answer::Given);
                let attempt = world.executions[id].attempt;
                match answer {
                    Answer::Late => world.late.push(Late::GiveBack { of: id, attempt }),
                    // A lost answer is repeated, which finds nothing.
                    Answer::Given | Answer::Lost => self.give_back(world, id, attempt, true),
                }
                self.leave_cleanup(world, id, again);
            }
            Action::KeepsSlot(id) => self.leave_cleanup(world, id, false),
            Action::TokenTimesOut(id) => {
                spend(world, true);
                world.executions[id].stage = Stage::Cleanup;
            }
            Action::Aborted(id) => {
                spend(world, true);
                world.executions[id].stage = Stage::Aborted { told: false };
            }
            Action::Told(id) => {
                if !world.down
                    && !world.removed
                    && let Some(next) = release_slot(&world.item, &self.name(id), None)
                {
                    self.write(world, next);
                }
                world.executions[id].stage = Stage::Aborted { told: true };
            }
            Action::Untold(id) => {
                spend(world, true);
                world.executions[id].stage = Stage::Aborted { told: true };
            }
            Action::Lands(index) => match world.late.remove(index) {
                _ if world.down || world.removed => {}
                Late::Take { of, attempt } => {
                    self.take(world, of, attempt);
                }
                Late::Join { of } => self.join(world, of),
                Late::GiveBack { of, attempt } => self.give_back(world, of, attempt, false),
            },
            Action::Sweeps => {
                if let Some(next) = self.swept(world) {
                    self.write(world, next);
                }
            }
            Action::TableFails => {
                spend(world, true);
                world.down = true;
            }
            Action::TableAnswers => world.down = false,
            Action::CapsRemoved => {
                world.removed = true;
                world.down = false;
                world.item = Item::default();
                world.late.clear();
            }
            Action::CapsLowered => world.lowered = true,
        }
        let recorded = world.item.caps.as_ref() == Some(&self.caps(true));
        let fits = |cap| world.item.leases.len() <= cap as usize;
        world.settled |= world.lowered && recorded && self.scope.lowered.is_some_and(fits);
    }

    #[expect(clippy::unused_self, reason = "as its siblings")]
    fn enter_token(&self, world: &mut World, id: Id, step: Step) {
        let execution = &mut world.executions[id];
        execution.stage = Stage::Token;
        world.tokens.push(Token {
            of: id,
            attempt: execution.attempt,
            step,
        });
    }

    fn leave_cleanup(&self, world: &mut World, id: Id, again: bool) {
        let Execution { stage, attempt, .. } = &mut world.executions[id];
        if again {
            *attempt += 1;
            self.enter_token(world, id, Step::Take);
        } else {
            *stage = Stage::Succeeded;
        }
    }

    /// The next call of an invocation of `token`, and what it decides on the answer.
    fn call(&self, world: &mut World, token: &Token, answer: Answer) {
        if world.removed {
            return finish(world, token, true);
        }
        if world.down {
            return finish(world, token, self.without(Mutation::GoesWithoutAnswer));
        }
        let Token { of, attempt, .. } = *token;
        let carried_out = answer != Answer::Late;
        match &token.step {
            Step::Take => {
                let done = carried_out && self.take(world, of, attempt);
                if answer == Answer::Late {
                    world.late.push(Late::Take { of, attempt });
                }
                self.after_write(world, token, done, answer);
            }
            Step::Look => self.decided(world, token),
            Step::Put { next, fresh } => {
                let valid = *fresh || self.without(Mutation::WritesOverOthers);
                let done = carried_out && valid;
                if done {
                    self.granted(world, of, next.clone());
                }
                // A write that names a version and comes later than another finds a newer one: the
                // look that follows a lost answer is as good as the refusal.
                self.after_write(world, token, done, answer);
            }
            Step::Join => {
                if carried_out {
                    self.join(world, of);
                } else {
                    world.late.push(Late::Join { of });
                }
                finish(world, token, false);
            }
        }
    }

    fn after_write(&self, world: &mut World, token: &Token, done: bool, answer: Answer) {
        match (answer, done) {
            (Answer::Given, true) => finish(world, token, true),
            // The refusal has the item in it.
            (Answer::Given, false) => self.decided(world, token),
            (Answer::Lost | Answer::Late, _) if self.without(Mutation::GoesWithoutAnswer) => {
                finish(world, token, true);
            }
            (Answer::Lost | Answer::Late, _) => {
                let step = Step::Look;
                world.tokens.push(Token { step, ..*token });
            }
        }
    }

    /// Decides on the item as it is now.
    fn decided(&self, world: &mut World, token: &Token) {
        match self.decide(world, token.of, token.attempt) {
            OnSlot::Go => finish(world, token, true),
            OnSlot::Take(next) => {
                let step = Step::Put { next, fresh: true };
                world.tokens.push(Token { step, ..*token });
            }
            OnSlot::Wait(awaited) if awaited.joins => {
                let step = Step::Join;
                world.tokens.push(Token { step, ..*token });
            }
            OnSlot::Wait(_) => finish(world, token, false),
        }
    }

    /// The write without a look.
    fn take(&self, world: &mut World, of: Id, attempt: u32) -> bool {
        let seeker = self.seeker(of, attempt);
        let item = &world.item;
        let caps = self.caps_of(world, of);
        let free = if self.without(Mutation::TakesWithoutRoom) {
            item.line.is_empty() && !item.leases.contains_key(&seeker.execution)
        } else if self.without(Mutation::TakesPastTheLine) {
            let line = BTreeMap::new();
            Item {
                line,
                ..item.clone()
            }
            .takes_at_once(&seeker, &caps)
        } else if self.without(Mutation::TakesByFormerCaps) {
            let unrecorded = Item {
                caps: None,
                ..item.clone()
            };
            unrecorded.takes_at_once(&seeker, &caps)
        } else {
            item.takes_at_once(&seeker, &caps)
        };
        if free {
            let next = item.with_lease(&seeker, NOW);
            self.granted(world, of, next);
        }
        free
    }

    /// Writes the item with a new lease. Whoever in line could take a slot still can, unless this is its
    /// own.
    fn granted(&self, world: &mut World, of: Id, next: Item) {
        if world.item.leases.contains_key(&self.name(of)) {
            // It goes on with a lease that it could not give back.
            return self.write(world, next);
        }
        let stood = world.item.line.contains_key(&self.name(of));
        let before = self.entitled(world);
        self.write(world, next);
        let after = self.entitled(world);
        // Somebody new may come first if its repository has had no turn.
        world.robbed |= stood && before.iter().any(|id| *id != of && !after.contains(id));
        // Without a look nobody passes those who wait.
        world.robbed |= !stood && self.passes(world, of);
    }

    /// Who stands in line and may take a slot.
    pub(super) fn entitled(&self, world: &World) -> Vec<Id> {
        world
            .ids()
            .filter(|id| world.item.line.contains_key(&self.name(*id)))
            .filter(|id| {
                let attempt = world.executions[*id].attempt;
                matches!(self.decide(world, *id, attempt), OnSlot::Take(_))
            })
            .collect()
    }

    /// Whether somebody stands in line who came before, to the same repository and offer, and who can't
    /// take a slot now.
    fn passes(&self, world: &World, of: Id) -> bool {
        let own = &self.scope.executions[of];
        let entitled = self.entitled(world);
        world.ids().any(|id| {
            let other = &self.scope.executions[id];
            world.item.line.contains_key(&self.name(id))
                && other.place() == own.place()
                && other.queued < own.queued
                && !entitled.contains(&id)
        })
    }

    fn join(&self, world: &mut World, of: Id) {
        let name = self.name(of);
        let item = &world.item;
        if item.line.contains_key(&name) || item.leases.contains_key(&name) {
            return;
        }
        let own = &self.scope.executions[of];
        let mut next = item.clone();
        let one = InLine {
            at: own.place(),
            queued: own.queued,
            since: NOW,
        };
        next.line.insert(name, one);
        self.write(world, next);
    }

    /// Gives the lease of an attempt back: in one call, and if that is refused and `looks`, whatever else
    /// there is.
    fn give_back(&self, world: &mut World, of: Id, attempt: u32, looks: bool) {
        if world.removed {
            return;
        }
        let name = self.name(of);
        let own = world.item.leases.get(&name).is_some_and(|lease| {
            lease.attempt == attempt || self.without(Mutation::GivesBackAnyAttempt)
        });
        if own {
            let mut next = world.item.clone();
            next.leases.remove(&name);
            self.write(world, next);
        } else if looks && let Some(next) = release_slot(&world.item, &name, Some(attempt)) {
            self.write(world, next);
        }
    }

    #[expect(clippy::unused_self, reason = "as its siblings")]
    fn write(&self, world: &mut World, next: Item) {
        world.item = next;
        for token in &mut world.tokens {
            if let Step::Put { fresh, .. } = &mut token.step {
                *fresh = false;
            }
        }
    }
}

fn spend(world: &mut World, fault: bool) {
    world.faults -= u8::from(fault);
}

/// An invocation of `token` ends. Only its own attempt's result counts, and only while Step Functions
/// waits for it.
fn finish(world: &mut World, token: &Token, goes_on: bool) {
    let execution = &mut world.executions[token.of];
    if execution.stage == Stage::Token && execution.attempt == token.attempt {
        execution.stage = if goes_on {
            Stage::Runner
        } else {
            Stage::WaitForSlot
        };
    }
}
