//! What people do to jobs.

use crate::server::Server;
use crate::state::job::{Job, NewJob};
use crate::state::refusal::Rejected;

impl Server {
    /// Queues a job and tells about it.
    ///
    /// # Errors
    ///
    /// The repository's name is none, or there is no label.
    pub fn create_job(&self, new: NewJob) -> Result<Job, Rejected> {
        self.shared.change(|world| world.create_job(new))
    }

    /// Cancels a job.
    ///
    /// # Errors
    ///
    /// It has ended, or there is none.
    pub fn cancel_job(&self, id: u64) -> Result<Job, Rejected> {
        self.shared.change(|world| world.cancel_job(id))
    }

    /// Makes a queued job wait for an approval.
    ///
    /// # Errors
    ///
    /// It is not queued, or there is none.
    pub fn hold_job(&self, id: u64) -> Result<Job, Rejected> {
        self.shared.change(|world| world.hold_job(id))
    }

    /// Approves a waiting job.
    ///
    /// # Errors
    ///
    /// It is not waiting, or there is none.
    pub fn approve_job(&self, id: u64) -> Result<Job, Rejected> {
        self.shared.change(|world| world.approve_job(id))
    }

    /// Runs a completed job again; the new job.
    ///
    /// # Errors
    ///
    /// It is not completed, or there is none.
    pub fn rerun_job(&self, id: u64) -> Result<Job, Rejected> {
        self.shared.change(|world| world.rerun_job(id))
    }

    /// Deletes a run with its jobs; nothing tells of it.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn delete_run(&self, id: u64) -> Result<(), Rejected> {
        self.shared.change(|world| world.delete_run(id))
    }

    /// GitHub loses the assignment of a queued job: no runner gets it until it is released.
    ///
    /// # Errors
    ///
    /// It is not queued, or there is none.
    pub fn lose_job(&self, id: u64) -> Result<Job, Rejected> {
        self.shared.change(|world| world.lose_job(id))
    }

    /// GitHub finds a lost job again.
    ///
    /// # Errors
    ///
    /// It is not lost, or there is none.
    pub fn release_job(&self, id: u64) -> Result<Job, Rejected> {
        self.shared.change(|world| world.release_job(id))
    }
}
