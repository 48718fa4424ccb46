//! Properties of all states.

use stateright::Property;

use crate::Runners;
use crate::world::{AtGitHub, Close, Event, Excuse, JobId, Registered, Stage, Task, World};

/// No small world needs more executions than this.
const EXECUTIONS: usize = 8;

/// The properties, each named after what it guarantees.
pub fn properties() -> Vec<Property<Runners>> {
    vec![
        Property::always(
            "no runner that runs a job is stopped by us",
            |_, world: &World| !world.wrongs.busy_stopped,
        ),
        Property::always(
            "GitHub lets a runner go before its task is stopped",
            |_, world: &World| !world.wrongs.stopped_first,
        ),
        Property::always(
            "an event takes nothing that a living execution's runner needs",
            |_, world: &World| !world.wrongs.needed_taken,
        ),
        Property::always(
            "an aborted execution is never restarted",
            |_, world: &World| !world.wrongs.abort_defied,
        ),
        Property::always(
            "an execution ends once its job's day in the queue is over",
            |_, world: &World| !world.wrongs.day_outlived,
        ),
        Property::always(
            "another attempt follows only a job that GitHub shows as queued",
            |_, world: &World| !world.wrongs.launched_unasked,
        ),
        Property::always(
            "somebody works for every queued job",
            |model: &Runners, world: &World| {
                world.job_ids().all(|job| is_attended(model, world, job))
            },
        ),
        Property::always(
            "no queued job is left when nothing more is due",
            |model: &Runners, world: &World| {
                !world.job_ids().any(|job| waits(world, job))
                    || model.is_anything(world, crate::Action::is_due)
            },
        ),
        Property::always(
            "nothing is left when nothing more happens",
            |model: &Runners, world: &World| {
                is_clean(world) || model.is_anything(world, crate::Action::is_certain)
            },
        ),
        Property::always("a job has few executions", |_, world: &World| {
            world.executions.len() <= EXECUTIONS * world.jobs.len()
        }),
        Property::sometimes(
            "a job is run by another job's runner",
            |_, world: &World| {
                world
                    .jobs
                    .iter()
                    .any(|job| matches!(job.state, AtGitHub::Over { thief: Some(_) }))
            },
        ),
        Property::sometimes(
            "all jobs are over and nothing is left",
            |_, world: &World| {
                is_clean(world)
                    && world
                        .jobs
                        .iter()
                        .all(|job| matches!(job.state, AtGitHub::Over { .. }))
            },
        ),
    ]
}

impl Runners {
    fn is_anything(&self, world: &World, asked: fn(&crate::Action) -> bool) -> bool {
        let mut actions = Vec::new();
        self.enabled(world, &mut actions);
        actions.iter().any(asked)
    }
}

/// Whether the job needs an owner.
fn waits(world: &World, id: JobId) -> bool {
    let job = world.job(id);
    job.state == AtGitHub::Queued && job.excuse.is_none()
}

/// Whether the job has an owner: an execution that will ask GitHub before it ends, a runner that
/// will get it, or a pending check.
fn is_attended(model: &Runners, world: &World, id: JobId) -> bool {
    if !waits(world, id) {
        return true;
    }
    let by_event = world
        .events
        .iter()
        .chain(&world.lost)
        .any(|event| match event {
            Event::Queued { job, .. } | Event::QueuedAgain { job } => *job == id,
            Event::TakenBy { runner, .. } => runner.execution.job == id,
            Event::ExecutionClosed(execution) => execution.job == id,
            _ => false,
        });
    let by_execution = || {
        world
            .executions_of(id)
            .any(|execution| match execution.stage {
                // A failed execution is followed by another one.
                Stage::Starting
                | Stage::Waiting
                | Stage::CleaningUp(_)
                | Stage::Closing(Close::Failed(_) | Close::TimedOut) => true,
                // If another job has its runner, the next sweep starts a check.
                Stage::Running => {
                    world
                        .runner(execution.runner())
                        .is_some_and(|runner| runner.busy.is_none())
                        || model.would_attend(world, execution, &world.status(id))
                            == decisions::Attend::Check
                }
                Stage::Closing(_) => false,
                Stage::Closed(_) => model.would_begin_again(world, execution),
            })
    };
    let by_runner = || world.runners.iter().any(|runner| model.gets(runner, id));
    by_event || by_execution() || by_runner() || model.finds(world, id)
}

/// Whether nothing of this deployment is left.
fn is_clean(world: &World) -> bool {
    world.runners.iter().all(|runner| {
        runner.task == Task::None
            && runner.registered == Registered::No
            && !runner.parameter
            && !runner.landing
    }) && world
        .executions
        .iter()
        .all(|execution| matches!(execution.stage, Stage::Closed(_)))
        && world.events.is_empty()
        && world.lost.is_empty()
}

/// Why a job may stay queued.
pub fn excuse(world: &World, id: JobId) -> Option<Excuse> {
    world.job(id).excuse
}
