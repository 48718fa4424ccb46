//! A runner without a process, for tests of what happens round it.

use std::sync::Arc;
use std::time::Duration;

use crate::state::connection::Connection;
use crate::state::jit;
use crate::state::job::Job;
use crate::state::refusal::Rejected;
use crate::state::shared::Shared;

/// The version such runners give themselves.
pub(crate) const VERSION: &str = "2.335.0";

/// A connected runner; it stays online until it is dropped. Dropped with a job, or without
/// [`SimulatedRunner::shut_down`], it has died.
pub struct SimulatedRunner {
    shared: Arc<Shared>,
    session: String,
    job: Option<u64>,
    _connection: Connection,
}

impl SimulatedRunner {
    pub(crate) fn connect(shared: &Arc<Shared>, encoded: &str) -> Result<Self, Rejected> {
        let credential = jit::credential(encoded)
            .ok_or_else(|| Rejected::invalid("that is no just-in-time configuration"))?;
        let session = shared
            .change(|world| world.open_session(&credential, VERSION))
            .map_err(|refusal| Rejected::invalid(refusal.message))?;
        Ok(Self {
            _connection: Connection::new(shared, &session),
            shared: shared.clone(),
            session,
            job: None,
        })
    }

    /// Waits for a job and begins it; nothing if none comes within `limit`, or if the runner is
    /// told to end.
    pub async fn take(&mut self, limit: Duration) -> Option<Job> {
        self.shared
            .wait(limit, |world| {
                world.has_message(&self.session).then_some(())
            })
            .await?;
        let job = self.shared.change(|world| {
            let runner = world.sessions.get(&self.session)?.runner;
            let job = world.runners.get(&runner)?.job?;
            world.acquire(&self.session, job)
        })?;
        self.job = Some(job.id);
        Some(job)
    }

    /// Ends the job it has with `success`, `failure` or `cancelled`. Whether it had one.
    pub fn finish(&mut self, conclusion: &str) -> bool {
        self.job.take().is_some_and(|job| {
            self.shared
                .change(|world| world.complete(&self.session, job, conclusion))
        })
    }

    /// Whether GitHub has ended its session.
    pub fn is_dismissed(&self) -> bool {
        self.shared.read(|world| {
            world
                .sessions
                .get(&self.session)
                .is_none_or(|session| session.notice.is_some())
        })
    }

    /// Leaves in order, as on SIGINT.
    pub fn shut_down(self) {
        self.shared
            .change(|world| world.close_session(&self.session));
    }
}
