//! Properties of all states.

use stateright::Property;

use super::world::{Agent, AtGitHub, Stage, Task, World};
use super::{Due, Pool};

/// The properties, each named after what it guarantees.
pub(super) fn properties() -> Vec<Property<Pool>> {
    vec![
        Property::always(
            "no task that runs a job is stopped by us",
            |_, world: &World| !world.wrongs.busy_stopped,
        ),
        Property::always("a task has one owner", |_, world: &World| {
            !world.wrongs.owned_twice
        }),
        Property::always("a slot has one ticket", |_, world: &World| {
            !world.wrongs.replaced
        }),
        Property::always("a ticket has one task", |_, world: &World| {
            !world.wrongs.started_twice
        }),
        Property::always("a registration has one taker", |_, world: &World| {
            !world.wrongs.robbed
        }),
        Property::always(
            "nothing deletes a registration that a cold task needs",
            |_, world: &World| !world.wrongs.needed_taken,
        ),
        Property::always(
            "no execution waits for a task whose end was handled",
            |_, world: &World| !world.wrongs.waits_for_ended,
        ),
        Property::always(
            "an execution waits for a task that answered",
            |_, world: &World| !world.wrongs.unanswered,
        ),
        Property::always(
            "no job gets a task of an older revision",
            |_, world: &World| !world.wrongs.outdated,
        ),
        Property::always(
            "no job gets a task of another size or role",
            |_, world: &World| !world.wrongs.misfit,
        ),
        Property::always("a failing pool spends no fault", |_, world: &World| {
            world
                .executions
                .iter()
                .all(|execution| execution.faults == 0 || execution.faulted)
        }),
        Property::always("an execution claims at most once", |_, world: &World| {
            world
                .executions
                .iter()
                .all(|execution| execution.claims <= 1)
        }),
        Property::always(
            "no queued job waits for a sweep after a lost answer",
            |model: &Pool, world: &World| {
                world.slow || !is_queued(world) || model.is_due(world, Due::Soon)
            },
        ),
        Property::always(
            "no queued job is left when nothing more is due",
            |model: &Pool, world: &World| !is_queued(world) || model.is_due(world, Due::Later),
        ),
        Property::always(
            "an execution ends when nothing more happens",
            |model: &Pool, world: &World| {
                let ended = world
                    .executions
                    .iter()
                    .all(|execution| execution.stage == Stage::Closed);
                ended || model.is_due(world, Due::AtLast)
            },
        ),
        Property::always(
            "a task is in stock, has a runner or ends",
            |model: &Pool, world: &World| !has_stray(world) || model.is_due(world, Due::Later),
        ),
        Property::always(
            "a ticket has a task when nothing more is due",
            |model: &Pool, world: &World| {
                let dead = |warm: &super::world::Warm| warm.ticket.is_some() && !warm.is_up();
                !world.warms.iter().any(dead) || model.is_due(world, Due::Later)
            },
        ),
        Property::always(
            "nothing waits for jobs in a pool that was removed",
            |model: &Pool, world: &World| {
                let stocked = world.warms.iter().any(|warm| warm.ticket.is_some());
                !world.removed || !stocked || model.is_due(world, Due::Later)
            },
        ),
        Property::always(
            "an adopted task ends with an aborted or timed-out execution",
            |model: &Pool, world: &World| {
                let survives = |execution: &super::world::Execution| {
                    execution
                        .takes_along
                        .is_some_and(|task| world.warm(task).is_up())
                };
                !world.executions.iter().any(survives) || model.is_due(world, Due::Soon)
            },
        ),
        Property::sometimes("a job runs on a warm task", |_, world: &World| {
            let waits = |stage| matches!(stage, Stage::Waiting { .. });
            world
                .jobs
                .iter()
                .zip(&world.executions)
                .any(|(job, execution)| {
                    matches!(job.state, AtGitHub::Taken(_)) && waits(execution.stage)
                })
        }),
        Property::sometimes("a claim is followed by a cold task", |_, world: &World| {
            world
                .executions
                .iter()
                .any(|execution| execution.claims > 0 && execution.stage == Stage::Cold)
        }),
    ]
}

impl Pool {
    /// Whether anything happens by then.
    fn is_due(&self, world: &World, by: Due) -> bool {
        let mut actions = Vec::new();
        self.enabled(world, &mut actions);
        actions.iter().any(|action| action.due() <= by)
    }
}

/// Whether a job waits for a runner. One that an operator aborted does not, nor does one whose
/// execution waits until its time limit for a task that hangs, although the table failed when it was
/// to be withdrawn.
fn is_queued(world: &World) -> bool {
    world
        .jobs
        .iter()
        .zip(&world.executions)
        .any(|(job, execution)| {
            let expires = match execution.stage {
                Stage::Waiting { task, .. } => {
                    let warm = world.warm(task);
                    warm.mute && warm.is_up()
                }
                _ => false,
            };
            job.state == AtGitHub::Queued && !execution.aborted && !expires
        })
}

/// Whether a task waits in vain: without a ticket, a registration or an end in sight. One that hangs
/// after it was tagged is left to its execution.
fn has_stray(world: &World) -> bool {
    world.warms.iter().any(|warm| match warm.task {
        Task::Up(Agent::Starting | Agent::Waiting | Agent::Rung(_) | Agent::Answered(_)) => {
            warm.ticket.is_none() && !(warm.mute && warm.tag.is_some())
        }
        Task::Up(Agent::Has(_)) | Task::None | Task::Stopped(_) => false,
    })
}
