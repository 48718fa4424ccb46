//! The claim of a warm task by `token`.

use std::time::Duration;

use decisions::{
    Answer, Bell, ClaimSeen, OnAnswer, Start, Ticket as SeenTicket, TicketState, Withdrawn,
    may_claim, on_answer, on_withdrawn,
};

use super::Pool;
use super::mutations::Mutation;
use super::world::{Hand, Stage, Step, WarmId, World};
use crate::world::JobId;

/// Longer than any limit: the model has no time, so every limit may have passed.
const LONG: Duration = Duration::from_hours(1);

impl Pool {
    /// The tickets that the execution may claim.
    pub(crate) fn claimable(&self, world: &World, job: JobId) -> Vec<WarmId> {
        world
            .warm_ids()
            .filter(|id| {
                let warm = world.warm(*id);
                let ticket = warm.ticket.map(|ticket| SeenTicket {
                    state: ticket.state,
                    revision: u64::from(warm.revision),
                    spot: false,
                });
                ticket.is_some() && self.may_claim(world, job, ticket)
            })
            .collect()
    }

    /// Whether the execution's attempt may claim this ticket, or any.
    pub(crate) fn may_claim(&self, world: &World, job: JobId, ticket: Option<SeenTicket>) -> bool {
        let execution = world.execution(job);
        let any_revision = self.without(Mutation::ClaimsOlderRevisions);
        let any_attempt = self.without(Mutation::ClaimsAgain);
        let any_size = self.without(Mutation::ClaimsOtherSizes);
        may_claim(&ClaimSeen {
            attempt: if any_attempt {
                1
            } else {
                execution.attempt.into()
            },
            revision: if any_revision {
                0
            } else {
                execution.revision.into()
            },
            spot: false,
            differs: execution.differs && !any_size,
            ticket,
        })
    }

    /// The next call of a claim. `answered` is false if the call is carried out and its answer lost.
    pub(crate) fn claim(&self, world: &mut World, job: JobId, answered: bool) {
        let Some(step) = world.execution(job).token else {
            return;
        };
        let runner = world.runner_of(job);
        let late_tag = self.without(Mutation::RingsFirst);
        match step {
            Step::Look => {}
            Step::Claim(id) => {
                let warm = world.warm(id);
                let is_ready = |t: super::world::Ticket| t.state == TicketState::Ready;
                let granted =
                    warm.ticket.is_some_and(is_ready) || self.without(Mutation::ClaimsWhatIsGone);
                if !world.down && granted {
                    world.own(id);
                    world.execution_mut(job).claims += 1;
                }
                if world.down || !granted || !answered {
                    self.go_cold(world, job);
                } else {
                    go_on(
                        world,
                        job,
                        if late_tag {
                            Step::Ring(id)
                        } else {
                            Step::Tag(id)
                        },
                    );
                }
            }
            Step::Tag(id) => {
                // ECS does not tag a stopped task.
                let tagged = world.warm(id).is_up();
                if tagged {
                    world.warm_mut(id).tag = Some(runner);
                }
                go_on(
                    world,
                    job,
                    match (tagged && answered, late_tag) {
                        (false, true) => Step::Withdraw(id),
                        (false, false) => Step::Release(id),
                        (true, true) => Step::Read(id),
                        (true, false) => Step::Ring(id),
                    },
                );
            }
            Step::Ring(id) => {
                let down = world.down;
                let warm = world.warm_mut(id);
                let free = warm.bell.is_none() || self.without(Mutation::RingsOverABell);
                if !down && free {
                    warm.bell = Some(Bell::Ring);
                    warm.offer = Some(runner);
                }
                // Whatever it was answered, the bell says how it stands.
                go_on(
                    world,
                    job,
                    if late_tag {
                        Step::Tag(id)
                    } else {
                        Step::Read(id)
                    },
                );
            }
            Step::Read(id) => {
                let answer = match world.warm(id).bell {
                    _ if world.down => Answer::Unknown,
                    None if self.without(Mutation::AnswersByDeleting) => Answer::Bell(Bell::Taken),
                    None => Answer::Nothing,
                    Some(bell) => Answer::Bell(bell),
                };
                match on_answer(answer, LONG) {
                    OnAnswer::Adopted => self.adopt(world, job, id, true),
                    OnAnswer::Withdraw => go_on(world, job, Step::Withdraw(id)),
                    OnAnswer::GoCold => self.go_cold(world, job),
                    OnAnswer::LookAgain => {}
                }
            }
            Step::Withdraw(id) => {
                let answer = self.withdraw(world, id, answered);
                let start = match answer {
                    Withdrawn::Undecided if self.without(Mutation::GoesColdUndecided) => {
                        Start::Cold
                    }
                    answer => on_withdrawn(answer),
                };
                match start {
                    Start::Warm => self.adopt(world, job, id, answer != Withdrawn::Undecided),
                    Start::Cold => self.go_cold(world, job),
                }
            }
            Step::Release(id) => {
                self.withdraw(world, id, answered);
                self.go_cold(world, job);
            }
        }
    }

    /// Sets the bell to `leave`, unless it is decided. Only the one who did so stops the task.
    fn withdraw(&self, world: &mut World, id: WarmId, answered: bool) -> Withdrawn {
        let down = world.down;
        let warm = world.warm_mut(id);
        let answer = match warm.bell {
            _ if down => Withdrawn::Undecided,
            None if self.without(Mutation::WithdrawsOnlyARing) => Withdrawn::Refused(Bell::Taken),
            Some(bell @ (Bell::Taken | Bell::Leave))
                if !self.without(Mutation::WithdrawsAnAnswer) =>
            {
                Withdrawn::Refused(bell)
            }
            _ => {
                warm.bell = Some(Bell::Leave);
                Withdrawn::Done
            }
        };
        if !answered {
            return Withdrawn::Undecided;
        }
        if answer == Withdrawn::Done {
            world.hold(Hand::Stop(id));
        }
        answer
    }

    /// `token` reports that a warm task has the registration. `decided` is whether the table said so.
    #[expect(clippy::unused_self, reason = "as its siblings")]
    fn adopt(&self, world: &mut World, job: JobId, task: WarmId, decided: bool) {
        let warm = world.warm(task);
        let outdated = warm.revision < world.execution(job).revision;
        let silent = decided && warm.bell.is_some_and(|bell| bell != Bell::Taken);
        let unrung = decided && warm.offer.is_none();
        world.wrongs.outdated |= outdated;
        world.wrongs.misfit |= world.execution(job).differs;
        world.wrongs.unanswered |= silent || unrung;
        let execution = world.execution_mut(job);
        execution.token = None;
        if execution.stage == Stage::Token {
            execution.stage = Stage::Put { task, retry: 0 };
        }
    }

    /// `token` reports that no warm task has the registration.
    #[expect(clippy::unused_self, reason = "as its siblings")]
    pub(crate) fn go_cold(&self, world: &mut World, job: JobId) {
        let execution = world.execution_mut(job);
        execution.token = None;
        if execution.stage == Stage::Token {
            execution.stage = Stage::Cold;
        }
    }
}

fn go_on(world: &mut World, job: JobId, step: Step) {
    world.execution_mut(job).token = Some(step);
}
