//! What people do to jobs, and what GitHub does to them by mistake.

use std::time::Instant;

use crate::state::accounts::Scope;
use crate::state::job::{Job, JobStatus};
use crate::state::refusal::Rejected;
use crate::state::world::World;

/// No runner has this number: a job that is leased to it is lost.
const NOBODY: u64 = 0;

impl World {
    /// Somebody cancels the job. One that runs is ended by its runner; one that no runner has begun
    /// ends at once, also when it was leased.
    pub(crate) fn cancel_job(&mut self, id: u64) -> Result<Job, Rejected> {
        let entry = self.entry(id)?;
        match entry.job.status {
            JobStatus::InProgress => entry.cancelled = true,
            JobStatus::Completed => {
                return Err(Rejected::invalid(format!("job {id} has ended already")));
            }
            JobStatus::Queued | JobStatus::Waiting => {
                let leased_to = entry.job.leased_to;
                self.conclude(id, "cancelled");
                self.free_runner(leased_to);
            }
        }
        self.job(id)
    }

    /// A queued job has to wait for an approval after all.
    pub(crate) fn hold_job(&mut self, id: u64) -> Result<Job, Rejected> {
        let job = &mut self.entry(id)?.job;
        if job.status != JobStatus::Queued || job.leased_to.is_some() {
            return Err(Rejected::invalid(format!("job {id} is not queued")));
        }
        job.status = JobStatus::Waiting;
        self.tell(id, "waiting");
        self.job(id)
    }

    /// GitHub loses the assignment of a queued job: it stays queued, and no runner gets it until it
    /// is released. A runner that it was leased to is idle again.
    pub(crate) fn lose_job(&mut self, id: u64) -> Result<Job, Rejected> {
        let job = &mut self.entry(id)?.job;
        if job.status != JobStatus::Queued {
            return Err(Rejected::invalid(format!("job {id} is not queued")));
        }
        let leased_to = job.leased_to.replace(NOBODY);
        self.free_runner(leased_to);
        self.job(id)
    }

    /// GitHub finds a lost job again.
    pub(crate) fn release_job(&mut self, id: u64) -> Result<Job, Rejected> {
        let job = &mut self.entry(id)?.job;
        if job.leased_to != Some(NOBODY) {
            return Err(Rejected::invalid(format!("job {id} is not lost")));
        }
        job.leased_to = None;
        self.job(id)
    }

    /// A runner that a job was leased to waits for another.
    fn free_runner(&mut self, id: Option<u64>) {
        if let Some(runner) = id.and_then(|id| self.runners.get_mut(&id)) {
            runner.job = None;
            runner.held_until = None;
            runner.idle_since = runner.session.is_some().then(Instant::now);
        }
    }

    /// A waiting job is approved.
    pub(crate) fn approve_job(&mut self, id: u64) -> Result<Job, Rejected> {
        let moved = self.settings.approval_moves_created_at.then(|| self.now());
        let job = &mut self.entry(id)?.job;
        if job.status != JobStatus::Waiting {
            return Err(Rejected::invalid(format!("job {id} is not waiting")));
        }
        job.status = JobStatus::Queued;
        job.created_at = moved.unwrap_or(job.created_at);
        self.tell(id, "queued");
        self.job(id)
    }

    /// Whether all jobs of a run have ended.
    pub(crate) fn is_over(&self, scope: &Scope, run: u64) -> bool {
        let mut jobs = self.jobs_of_run(scope, run).into_iter().flatten();
        jobs.all(|job| job.status == JobStatus::Completed)
    }

    /// Jobs of a run are run again in its next attempt.
    pub(crate) fn rerun_jobs(&mut self, ids: &[u64]) {
        let run = ids.first().and_then(|id| self.jobs.get(id));
        let run = run.map(|entry| entry.job.run_id);
        let of_run = self.jobs.values().map(|entry| &entry.job);
        let of_run = of_run.filter(|job| Some(job.run_id) == run);
        let newest = of_run.map(|job| job.run_attempt).max().unwrap_or(1);
        for id in ids {
            let _ = self.rerun_in(*id, newest + 1);
        }
    }

    /// A completed job is run again: a new job of the same run's next attempt.
    pub(crate) fn rerun_job(&mut self, id: u64) -> Result<Job, Rejected> {
        let attempt = self.job(id)?.run_attempt + 1;
        self.rerun_in(id, attempt)
    }

    fn rerun_in(&mut self, id: u64, run_attempt: u64) -> Result<Job, Rejected> {
        let old = self.job(id)?;
        let group = self.entry(id)?.group.clone();
        if old.status != JobStatus::Completed {
            return Err(Rejected::invalid(format!("job {id} has not ended yet")));
        }
        let again = Job {
            id: self.id(),
            run_attempt,
            status: JobStatus::Queued,
            conclusion: None,
            runner_id: None,
            runner: None,
            runner_group_id: None,
            runner_group: None,
            output: String::new(),
            summary: String::new(),
            started: 0,
            created_at: self.now(),
            started_at: None,
            completed_at: None,
            ..old
        };
        Ok(self.add_job(again, (None, group), true))
    }

    /// Somebody deletes the run: its jobs are gone, and nothing tells of it.
    pub(crate) fn delete_run(&mut self, run: u64) -> Result<(), Rejected> {
        let of_run: Vec<u64> = self
            .jobs
            .values()
            .filter(|entry| entry.job.run_id == run)
            .map(|entry| entry.job.id)
            .collect();
        if of_run.is_empty() {
            return Err(Rejected::absent(format!("there is no run {run}")));
        }
        for id in of_run {
            self.jobs.remove(&id);
            let its = self.runners.values().find(|runner| runner.job == Some(id));
            let its = its.map(|runner| runner.id);
            self.free_runner(its);
        }
        Ok(())
    }
}
