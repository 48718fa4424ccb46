//! Which runner gets which job, and what becomes of both when one is not heard of any more.
//!
//! GitHub gives a queued job to any idle runner that the repository may use and whose labels contain
//! the job's ([docs]): to any, so not always to the one that was started for it. The runner then has
//! to take the job; until it does, the job stays queued and is leased to it.
//!
//! [docs]: https://docs.github.com/actions/reference/runners/self-hosted-runners#routing-precedence-for-self-hosted-runners

use std::time::{Duration, Instant};

use crate::api::runners::RunnerEntry;
use crate::config::Assignment;
use crate::service::sessions::Notice;
use crate::state::jobs::{Job, JobStatus};
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
            .is_some_and(|session| session.is_listening(self));
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

    /// Whether some limit has been passed at `now`.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.silent_sessions(now).next().is_some()
            || self.abandoned(now).next().is_some()
            || self.idle_too_long(now).next().is_some()
            || self.runners.values().any(|runner| runner.hears(now))
    }

    /// Does what is due at `now`.
    pub(crate) fn expire(&mut self, now: Instant) {
        for session in self.silent_sessions(now).collect::<Vec<_>>() {
            self.close_session(&session);
        }
        for runner in self.runners.values_mut() {
            if runner.hears(now) {
                runner.held_until = None;
            }
        }
        for runner in self.abandoned(now).collect::<Vec<_>>() {
            self.give_up(runner);
        }
        for runner in self.idle_too_long(now).collect::<Vec<_>>() {
            self.remove_runner(runner, Notice::Deleted);
        }
    }

    /// Sessions without a connection for so long that they are over.
    fn silent_sessions(&self, now: Instant) -> impl Iterator<Item = String> {
        let limit = Duration::from_millis(self.settings.session_timeout_ms);
        self.sessions
            .iter()
            .filter(move |(_, session)| session.silence(now).is_some_and(|silent| silent > limit))
            .map(|(id, _)| id.clone())
    }

    /// Runners that have gone with a job.
    fn abandoned(&self, now: Instant) -> impl Iterator<Item = u64> {
        let grace = Duration::from_millis(self.settings.lease_grace_ms);
        self.runners
            .values()
            .filter(move |runner| {
                let lost = runner.lost_at.map(|at| now.saturating_duration_since(at));
                runner.job.is_some() && lost.is_some_and(|lost| lost > grace)
            })
            .map(|runner| runner.id)
    }

    fn idle_too_long(&self, now: Instant) -> impl Iterator<Item = u64> {
        let limit = self.settings.idle_limit_ms.map(Duration::from_millis);
        self.runners
            .values()
            .filter(move |runner| {
                let idle = runner
                    .idle_since
                    .map(|at| now.saturating_duration_since(at));
                matches!((limit, idle), (Some(limit), Some(idle)) if idle > limit)
            })
            .map(|runner| runner.id)
    }

    /// A begun job has failed with its runner. One that was only leased goes back to the queue, and
    /// its runner is offline.
    fn give_up(&mut self, runner: u64) {
        let Some(entry) = self.runners.get_mut(&runner) else {
            return;
        };
        let Some(id) = entry.job.take() else {
            return;
        };
        let Some(entry) = self.jobs.get_mut(&id) else {
            return;
        };
        if entry.job.status == JobStatus::Queued {
            entry.job.leased_to = None;
            return;
        }
        let conclusion = if entry.cancelled {
            "cancelled"
        } else {
            "failure"
        };
        self.append_output(
            id,
            "The self-hosted runner lost communication with the server.\n",
        );
        self.conclude(id, conclusion);
        self.remove_runner(runner, Notice::Deleted);
    }
}
