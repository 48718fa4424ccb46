//! The agent of a warm task.

use decisions::{Bell, OnBell, on_bell};

use super::Pool;
use super::mutations::Mutation;
use super::world::{Agent, AtGitHub, Task, WarmId, World};
use crate::ends::End;

impl Pool {
    /// What the agent does about its bell.
    pub(crate) fn on_bell(&self, world: &World, id: WarmId) -> OnBell {
        match on_bell(world.warm(id).bell) {
            OnBell::Take if self.without(Mutation::ForgetsItsAnswer) => OnBell::Wait,
            decision => decision,
        }
    }

    /// The agent looks at its bell.
    pub(crate) fn look(&self, world: &mut World, id: WarmId) {
        let decision = self.on_bell(world, id);
        let warm = world.warm_mut(id);
        match (decision, warm.offer) {
            (OnBell::Answer, Some(runner)) => {
                warm.task = Task::Up(if self.without(Mutation::TakesUnanswered) {
                    Agent::Answered(runner)
                } else {
                    Agent::Rung(runner)
                });
            }
            (OnBell::Take, Some(runner)) => warm.task = Task::Up(Agent::Answered(runner)),
            (OnBell::Leave, _) => world.end_task(id, End::Released),
            (OnBell::Wait | OnBell::Answer | OnBell::Take, _) => {}
        }
    }

    /// The agent answers. `answered` is false if the write is carried out and its answer lost.
    pub(crate) fn answer(&self, world: &mut World, id: WarmId, answered: bool) {
        let down = world.down;
        let warm = world.warm_mut(id);
        let Task::Up(Agent::Rung(runner)) = warm.task else {
            return;
        };
        let done = !down && warm.bell == Some(Bell::Ring);
        if done {
            let deletes = self.without(Mutation::AnswersByDeleting);
            warm.bell = (!deletes).then_some(Bell::Taken);
        }
        warm.task = Task::Up(if done && answered {
            Agent::Answered(runner)
        } else {
            Agent::Waiting
        });
    }
}

/// The agent takes the registration out of SSM, and its listener connects.
pub(crate) fn take(world: &mut World, id: WarmId) {
    let Some(Agent::Answered(runner)) = world.warm(id).agent() else {
        return;
    };
    let parts = world.runner_mut(runner);
    if parts.parameter {
        parts.parameter = false;
        world.warm_mut(id).task = Task::Up(Agent::Has(runner));
    } else {
        world.end_task(id, End::NoParameter);
    }
}

/// The runner's job ends, and its task with it.
pub(crate) fn finish(world: &mut World, id: WarmId) {
    let Some(Agent::Has(runner)) = world.warm(id).agent() else {
        return;
    };
    world.job_mut(runner.job).state = AtGitHub::Over;
    world.runner_mut(runner).registered = false;
    world.end_task(id, End::RanJob);
}
