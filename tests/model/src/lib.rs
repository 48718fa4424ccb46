//! Explores all interleavings of small worlds of jobs and runners.

pub mod actions;
pub mod ends;
pub mod handlers;
pub mod mutations;
pub mod pool;
pub mod properties;
mod reduction;
pub mod reruns;
pub mod slots;
pub mod steps;
pub mod world;

use stateright::{Model, Property};

pub use actions::{Action, Fault, FaultKind};
pub use mutations::Mutation;
pub use world::World;

/// The size of a world and the events that happen in it.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    pub name: &'static str,
    /// Each job's set of labels, as bits.
    pub labels: &'static [u8],
    /// How many of the jobs, counted from the last, appear later.
    pub later: usize,
    /// Maximum number of faults.
    pub faults: u8,
    /// Kinds of these faults.
    pub kinds: &'static [FaultKind],
    /// Maximum number of cancelled jobs.
    pub cancels: u8,
    /// Maximum number of approvals.
    pub holds: u8,
    /// Maximum number of jobs whose day in the queue ends.
    pub days: u8,
    /// Whether `sweep` looks for jobs without a webhook.
    pub reconciles: bool,
    /// Whether `verify` notes that a job has ended, in the deployment's table.
    pub notes: bool,
    /// Whether it is explored with reductions.
    pub reduced: bool,
}

impl Scope {
    /// Whether a runner made for one job may be assigned another.
    pub fn fits(&self, runner_of: world::JobId, job: world::JobId) -> bool {
        let labels = |id: world::JobId| self.labels[usize::from(id.0)];
        labels(job) & !labels(runner_of) == 0
    }
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Runners {
    pub scope: Scope,
    /// The rule that the model omits.
    pub mutation: Option<Mutation>,
}

impl Runners {
    fn without(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn meets(&self, kind: FaultKind) -> bool {
        self.scope.kinds.contains(&kind)
    }
}

impl Model for Runners {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let jobs = self.scope.labels.len();
        let mut world = World {
            jobs: vec![
                world::Job {
                    state: world::AtGitHub::Unborn,
                    excuse: None,
                    outage: None,
                    day_over: false,
                };
                jobs
            ],
            executions: Vec::new(),
            runners: Vec::new(),
            events: Vec::new(),
            lost: Vec::new(),
            notes: Vec::new(),
            left: world::Left {
                faults: self.scope.faults,
                cancels: self.scope.cancels,
                holds: self.scope.holds,
                days: self.scope.days,
            },
            wrongs: world::Wrongs::default(),
        };
        let ids: Vec<_> = world.job_ids().take(jobs - self.scope.later).collect();
        for job in ids {
            self.step(&mut world, Action::Appears(job));
        }
        if self.scope.reduced {
            self.take_unseen_steps(&mut world);
        }
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.enabled(world, actions);
        if self.scope.reduced {
            reduction::keep_one_subject(world, actions);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.step(&mut next, action);
        if self.scope.reduced {
            self.take_unseen_steps(&mut next);
            next = self.representative(next);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::properties()
    }
}
