//! State reductions that keep all findings.
//!
//! Two reductions make worlds of three jobs explorable. They are off in the smaller worlds, which
//! cover the same behaviour in full.
//!
//! - **Unobservable steps** are taken at once. Each is the only action that changes its part of the
//!   world, and the order of it and all other actions does not matter; the conditions are stated
//!   beside each. (In the terms of partial-order reduction, a singleton persistent set.)
//! - **Jobs with the same labels** are interchangeable (symmetry), so one representative stands for
//!   all states that differ only in which of them is which.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::Runners;
use crate::actions::{Action, FaultKind};
use crate::world::{
    AtGitHub, Close, Event, Execution, ExecutionId, JobId, Runner, RunnerId, Stage, World,
};

impl Runners {
    /// Takes all unobservable steps.
    pub(crate) fn take_unseen_steps(&self, world: &mut World) {
        while let Some(action) = self.unseen_step(world) {
            self.step(world, action);
        }
    }

    fn unseen_step(&self, world: &World) -> Option<Action> {
        let arrival = world
            .events
            .iter()
            .find(|event| self.arrives_unseen(world, **event))
            .map(|event| Action::Arrives(*event));
        arrival.or_else(|| {
            world
                .executions
                .iter()
                .find_map(|execution| self.execution_step(world, execution))
        })
    }

    /// The first `queued` of a job starts an execution whenever it arrives: a late arrival is
    /// equivalent to a late start of its runner.
    fn arrives_unseen(&self, world: &World, event: Event) -> bool {
        matches!(event, Event::Queued { job, old: false }
            if world.executions_of(job).next().is_none() && self.is_safe_from(world, &[FaultKind::Webhooks]))
    }

    fn execution_step(&self, world: &World, execution: &Execution) -> Option<Action> {
        let id = execution.id;
        let asks = execution.recheck || execution.attempt.rechecks();
        let from_outside = [FaultKind::Aborts, FaultKind::TimeOuts];
        let from_github = [FaultKind::TakenBack, FaultKind::QueuedAfterTheEnd];
        let in_steps = [
            FaultKind::Aborts,
            FaultKind::TimeOuts,
            FaultKind::Steps,
            FaultKind::Transient,
        ];
        let unseen = match execution.stage {
            // The task starts booting; nothing observes it before it has booted.
            Stage::Starting => {
                !asks && !may_be_cancelled(world, id.job) && self.is_safe_from(world, &in_steps)
            }
            // GitHub's answer cannot change, so the decision cannot either.
            Stage::CleaningUp(_) => {
                let decided = match world.job(id.job).state {
                    AtGitHub::Taken(runner) => runner.execution.job == id.job,
                    AtGitHub::Over { thief } => thief.is_none(),
                    _ => false,
                };
                let left = world.runner(execution.runner());
                decided
                    && world.job(id.job).outage.is_none()
                    && self.is_safe_from(world, &[FaultKind::Outages])
                    && self.is_safe_from(world, &from_github)
                    && left.is_none_or(|runner| runner.busy.is_none())
                    && self.is_safe_from(world, &in_steps)
            }
            // Nothing observes any more whether it is running.
            Stage::Closing(Close::Well) => {
                let settled = !matches!(
                    world.job(id.job).state,
                    AtGitHub::Queued | AtGitHub::HeldBack
                );
                let mut earlier = world.executions_of(id.job).take_while(|e| e.id != id);
                settled
                    && !earlier.any(Execution::runs)
                    && !may_be_queued(world, id.job)
                    && self.is_safe_from(world, &from_outside)
                    && self.is_safe_from(world, &from_github)
            }
            _ => false,
        };
        let action = match execution.stage {
            Stage::Starting => Action::Launches(id),
            Stage::CleaningUp(_) => Action::Judges(id),
            _ => Action::Closes(id),
        };
        unseen.then_some(action)
    }

    /// Whether no more faults of these kinds can happen.
    fn is_safe_from(&self, world: &World, kinds: &[FaultKind]) -> bool {
        world.left.faults == 0 || !kinds.iter().any(|kind| self.meets(*kind))
    }

    /// The representative of all states that differ only in which of several equivalent jobs is
    /// which.
    pub(crate) fn representative(&self, world: World) -> World {
        let ids: Vec<JobId> = world.job_ids().collect();
        let labels = |job: &JobId| self.scope.labels[usize::from(job.0)];
        let mut order = ids.clone();
        for &place in &ids {
            // The members of each set of equivalent jobs, sorted into its places.
            let like: Vec<_> = ids
                .iter()
                .filter(|id| labels(id) == labels(&place))
                .collect();
            if like[0] == &place && like.len() > 1 {
                let mut sorted = like.clone();
                sorted.sort_by_cached_key(|job| key(&world, **job));
                for (place, job) in like.iter().zip(sorted) {
                    order[usize::from(place.0)] = *job;
                }
            }
        }
        if order == ids {
            return world;
        }
        rename(world, &order)
    }
}

fn may_be_cancelled(world: &World, job: JobId) -> bool {
    let told = world.events.contains(&Event::Cancelled { job });
    told || world.left.cancels > 0
}

/// Once all jobs are over and no fault is left, the remains of each execution end independently, so
/// one order is enough: one execution after the other.
pub(crate) fn keep_one_subject(world: &World, actions: &mut Vec<Action>) {
    let over = |job: &crate::world::Job| matches!(job.state, AtGitHub::Over { .. });
    if world.left.faults > 0 || !world.jobs.iter().all(over) {
        return;
    }
    if let Some(first) = actions.iter().find_map(|action| subject(*action)) {
        actions.retain(|action| subject(*action) == Some(first));
    }
}

/// The execution that an action belongs to.
fn subject(action: Action) -> Option<ExecutionId> {
    match action {
        Action::Arrives(event) | Action::Redelivers(event) => match event {
            Event::TakenBy { runner, .. } | Event::TaskStopped(runner) => Some(runner.execution),
            Event::ExecutionClosed(execution) => Some(execution),
            Event::Queued { job, .. } | Event::Cancelled { job } | Event::QueuedAgain { job } => {
                Some(ExecutionId::first(job))
            }
        },
        Action::Launches(id)
        | Action::Judges(id)
        | Action::JudgesByNote(id, _)
        | Action::Closes(id)
        | Action::StopsAsking(id)
        | Action::Wakes(id)
        | Action::ChecksOn(id)
        | Action::BeginsAgain(id)
        | Action::EndsWait(id) => Some(id),
        Action::Finishes(id)
        | Action::NoticesLoss(id)
        | Action::Boots(id)
        | Action::IdlesOut(id)
        | Action::Lands(id)
        | Action::FindsIdle(id)
        | Action::Retires(id)
        | Action::DeletesParameter(id)
        | Action::EndsAbsent(id) => Some(id.execution),
        Action::ShowsAgain(job) => Some(ExecutionId::first(job)),
        Action::Appears(_)
        | Action::Assigns(..)
        | Action::Cancels(_)
        | Action::HoldsBack(_)
        | Action::Approves(_)
        | Action::DayPasses(_)
        | Action::Finds(_)
        | Action::Fails(_) => None,
    }
}

/// Whether a `queued` event of the job may still arrive.
fn may_be_queued(world: &World, id: JobId) -> bool {
    let told = world.events.iter().chain(&world.lost).any(|event| {
        matches!(event, Event::Queued { job, .. } | Event::QueuedAgain { job } if *job == id)
    });
    told || world.left.holds > 0
}

/// A hash of a job's part of the world, independent of the jobs' numbers.
fn key(world: &World, id: JobId) -> u64 {
    let relation = |job: JobId| job == id;
    let runner = |runner: RunnerId| {
        (
            relation(runner.execution.job),
            runner.execution.restart,
            runner.attempt,
        )
    };
    let mut hasher = DefaultHasher::new();
    let job = world.job(id);
    std::mem::discriminant(&job.state).hash(&mut hasher);
    (job.excuse, job.outage, job.day_over).hash(&mut hasher);
    match job.state {
        AtGitHub::Taken(by) => runner(by).hash(&mut hasher),
        AtGitHub::Over { thief } => thief.map(|by| by.restart).hash(&mut hasher),
        _ => {}
    }
    for (_, by) in world.notes.iter().filter(|(noted, _)| *noted == id) {
        (8, runner(*by)).hash(&mut hasher);
    }
    for execution in world.executions_of(id) {
        (
            execution.id.restart,
            execution.stage,
            &execution.attempt,
            execution.recheck,
            execution.day_over,
            execution.picked_up_since,
        )
            .hash(&mut hasher);
    }
    for own in world
        .runners
        .iter()
        .filter(|runner| runner.id.execution.job == id)
    {
        let unnamed = Runner {
            id: RunnerId {
                execution: ExecutionId {
                    job: JobId(0),
                    ..own.id.execution
                },
                ..own.id
            },
            busy: None,
            ..*own
        };
        (unnamed, own.busy.map(relation)).hash(&mut hasher);
    }
    for event in &world.events {
        match *event {
            Event::Queued { job, old } if job == id => (1, old).hash(&mut hasher),
            Event::Cancelled { job } if job == id => 2.hash(&mut hasher),
            Event::QueuedAgain { job } if job == id => 3.hash(&mut hasher),
            Event::TakenBy { job, .. } if job == id => 4.hash(&mut hasher),
            Event::TakenBy { runner: by, .. } if by.execution.job == id => {
                (5, runner(by)).hash(&mut hasher);
            }
            Event::TaskStopped(by) if by.execution.job == id => (6, runner(by)).hash(&mut hasher),
            Event::ExecutionClosed(by) if by.job == id => (7, by.restart).hash(&mut hasher),
            _ => {}
        }
    }
    hasher.finish()
}

/// The same world, with its jobs renumbered by their places in `order`.
fn rename(mut world: World, order: &[JobId]) -> World {
    let mut names = vec![JobId(0); order.len()];
    for (new, old) in (0..).zip(order) {
        names[usize::from(old.0)] = JobId(new);
    }
    let job = |job: &mut JobId| *job = names[usize::from(job.0)];
    let event = |event: &mut Event| match event {
        Event::Queued { job: id, .. }
        | Event::Cancelled { job: id }
        | Event::QueuedAgain { job: id } => job(id),
        Event::TakenBy { job: id, runner } => {
            job(id);
            job(&mut runner.execution.job);
        }
        Event::TaskStopped(runner) => job(&mut runner.execution.job),
        Event::ExecutionClosed(execution) => job(&mut execution.job),
    };
    world.jobs = order.iter().map(|old| *world.job(*old)).collect();
    for each in &mut world.jobs {
        match &mut each.state {
            AtGitHub::Taken(runner) => job(&mut runner.execution.job),
            AtGitHub::Over {
                thief: Some(execution),
            } => job(&mut execution.job),
            _ => {}
        }
    }
    for execution in &mut world.executions {
        job(&mut execution.id.job);
    }
    for runner in &mut world.runners {
        job(&mut runner.id.execution.job);
        if let Some(busy) = &mut runner.busy {
            job(busy);
        }
    }
    world
        .events
        .iter_mut()
        .chain(&mut world.lost)
        .for_each(event);
    for (noted, runner) in &mut world.notes {
        job(noted);
        job(&mut runner.execution.job);
    }
    world.notes.sort();
    world.executions.sort_by_key(|execution| execution.id);
    world.runners.sort_by_key(|runner| runner.id);
    world.events.sort();
    world.lost.sort();
    world
}
