//! Which runner gets which job.
//!
//! GitHub gives a queued job to any idle runner that the repository may use and whose labels contain
//! the job's ([docs]): to any, so not always to the one that was started for it. The runner then has
//! to take the job; until it does, the job stays queued and is leased to it.
//!
//! [docs]: https://docs.github.com/actions/reference/runners/self-hosted-runners#routing-precedence-for-self-hosted-runners

use std::time::{Duration, Instant};

use crate::config::Assignment;
use crate::state::job::{Job, JobStatus};
use crate::state::runner::RunnerEntry;
use crate::state::world::World;

impl World {
    /// Leases queued jobs, the oldest first, to idle runners.
    pub(crate) fn dispatch(&mut self) {
        if !self.settings.assigning {
            return;
        }
        let queued: Vec<u64> = self
            .jobs
            .values()
            .map(|entry| &entry.job)
            .filter(|job| job.status == JobStatus::Queued && job.leased_to.is_none())
            .map(|job| job.id)
            .collect();
        for job in queued {
            let candidates = self.candidates(job);
            let index = match self.settings.assignment {
                _ if candidates.is_empty() => continue,
                Assignment::Oldest => 0,
                Assignment::Newest => candidates.len() - 1,
                Assignment::Random { .. } => self.choices.index(candidates.len()),
            };
            self.lease(job, candidates[index]);
        }
    }

    /// The runners that could take the job now, in the order of their registration.
    fn candidates(&self, job: u64) -> Vec<u64> {
        let Some(entry) = self.jobs.get(&job) else {
            return Vec::new();
        };
        let pinned = entry.pinned.as_deref();
        let group = entry.group.as_deref();
        let in_group = |runner: &RunnerEntry| {
            let name = self.directory.group_name(&runner.scope, runner.group_id);
            group.is_none_or(|wanted| name.is_some_and(|name| name.eq_ignore_ascii_case(wanted)))
        };
        self.runners
            .values()
            .filter(|runner| pinned.is_none_or(|name| name == runner.name))
            .filter(|runner| in_group(runner))
            .filter(|runner| self.could_take(runner, &entry.job))
            .map(|runner| runner.id)
            .collect()
    }

    fn could_take(&self, runner: &RunnerEntry, job: &Job) -> bool {
        let listening = runner
            .session
            .as_ref()
            .and_then(|id| self.sessions.get(id))
            .is_some_and(|session| self.is_listening(session));
        listening
            && runner.job.is_none()
            && runner.labels.carries(&job.label_set())
            && self
                .directory
                .repository(&job.repository)
                .is_some_and(|repository| {
                    self.directory
                        .serves(&runner.scope, runner.group_id, repository)
                })
    }

    fn lease(&mut self, job: u64, runner: u64) {
        let gap = Duration::from_millis(self.settings.assignment_gap_ms);
        if let (Some(entry), Some(runner)) =
            (self.jobs.get_mut(&job), self.runners.get_mut(&runner))
        {
            entry.job.leased_to = Some(runner.id);
            runner.job = Some(job);
            runner.idle_since = None;
            runner.held_until = (!gap.is_zero()).then(|| Instant::now() + gap);
        }
    }
}
