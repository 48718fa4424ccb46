//! What becomes of jobs and runners that are not heard of any more.

use std::time::{Duration, Instant};

use crate::state::job::JobStatus;
use crate::state::session::Notice;
use crate::state::world::World;

impl World {
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
