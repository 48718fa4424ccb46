//! Everything, for a look from outside.

use serde::{Deserialize, Serialize};

use crate::state::delivery::Delivery;
use crate::state::job::{Job, JobStatus};
use crate::state::runner::{Runner, RunnerEntry};
use crate::state::world::World;

/// Everything, for a look from outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// All jobs, the oldest first.
    pub jobs: Vec<Job>,
    /// All runners in GitHub's lists.
    pub runners: Vec<Runner>,
    /// All deliveries, the oldest first.
    pub deliveries: Vec<Delivery>,
    /// What is not finished; empty when all is well.
    pub leftovers: Vec<String>,
}

impl Snapshot {
    /// The job of that number.
    pub fn job(&self, id: u64) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }
}

impl World {
    /// What would be left behind if everything ended now.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let jobs = self.jobs.values().map(|entry| &entry.job);
        let open = jobs
            .filter(|job| job.status != JobStatus::Completed)
            .map(|job| {
                format!(
                    "job {} ({}, {}) is {}",
                    job.id,
                    job.repository,
                    job.name,
                    job.status.as_str()
                )
            });
        let registered = self.runners.values().map(|entry| {
            let runner = entry.view();
            let state = if runner.busy {
                "busy"
            } else if runner.online {
                "idle"
            } else {
                "offline"
            };
            format!(
                "runner {} ({}) is registered at {}, {state}",
                runner.name, runner.id, runner.scope
            )
        });
        let repeated = self
            .jobs
            .values()
            .filter(|entry| entry.job.started > 1)
            .map(|entry| format!("job {} was begun {} times", entry.job.id, entry.job.started));
        open.chain(registered).chain(repeated).collect()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            jobs: self.jobs.values().map(|entry| entry.job.clone()).collect(),
            runners: self.runners.values().map(RunnerEntry::view).collect(),
            deliveries: self
                .deliveries
                .values()
                .map(|exchange| exchange.delivery.clone())
                .collect(),
            leftovers: self.leftovers(),
        }
    }
}
