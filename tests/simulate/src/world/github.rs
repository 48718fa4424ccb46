//! GitHub: its limits, and which runner gets which job.

use super::{Event, IDLE_LIMIT, JobId, Status, TaskId, World, index};
use crate::faults::Broken;
use crate::limit::{HOUR, MINUTE, SECOND, Time, Window};
use crate::quotas::{Limit, Quotas};

/// What GitHub counts of an installation.
#[derive(Debug)]
pub(super) struct Installation {
    hour: Window,
    minute: Window,
    registrations: Window,
    content: Option<(Window, Window)>,
}

impl Installation {
    pub(super) fn new(quotas: &Quotas) -> Self {
        Self {
            hour: Window::new(quotas.github_hour, HOUR),
            minute: Window::new(quotas.github_minute, MINUTE),
            registrations: Window::new(quotas.github_registrations, 5 * MINUTE),
            content: quotas
                .github_content
                .map(|(minute, hour)| (Window::new(minute, MINUTE), Window::new(hour, HOUR))),
        }
    }
}

/// Why GitHub did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// For so many seconds.
    RateLimited(u32),
    Unavailable,
}

/// What GitHub is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Job,
    DeleteRunner,
    Register,
}

impl World<'_> {
    /// Asks GitHub for something about a job.
    pub(super) fn ask(&mut self, job: JobId, call: Call) -> Result<(), Refusal> {
        self.figures.github_calls += 1;
        if self.setup.faults.is_broken(Broken::GitHub, self.now) {
            return Err(Refusal::Unavailable);
        }
        let now = self.now;
        let repository = usize::from(self.job(job).repository);
        let count = self.installations.len();
        let installation = &mut self.installations[repository % count];
        let mut counted = vec![(Limit::GitHubHour, installation.hour.take(now))];
        if call == Call::Register {
            counted.push((Limit::GitHubMinute, installation.minute.take(now)));
            let registrations = installation.registrations.take(now);
            counted.push((Limit::GitHubRegistrations, registrations));
            if let Some((minute, hour)) = &mut installation.content {
                counted.push((Limit::GitHubContent, minute.take(now)));
                counted.push((Limit::GitHubContent, hour.take(now)));
            }
        }
        let refused = counted
            .into_iter()
            .filter_map(|(limit, taken)| Some((limit, taken.err()?)))
            .max_by_key(|(_, wait)| *wait);
        let Some((limit, wait)) = refused else {
            return Ok(());
        };
        self.refused(limit);
        self.job(job).refused = Some(limit);
        let seconds = wait.div_ceil(SECOND) + 1;
        Err(Refusal::RateLimited(
            u32::try_from(seconds).unwrap_or(u32::MAX),
        ))
    }

    /// A job is queued: an idle runner of its repository takes it.
    pub(super) fn offer(&mut self, job: JobId) {
        let repository = usize::from(self.job(job).repository);
        if !self.setup.faults.is_broken(Broken::Assignments, self.now) {
            while let Some(task) = self.repositories[repository].idle.pop_front() {
                if self.listens(task) {
                    return self.assign(task, job);
                }
            }
        }
        self.repositories[repository].queued.push_back(job);
    }

    /// A runner listens: it takes the repository's oldest job.
    pub(super) fn listening(&mut self, task: TaskId) {
        if self.tasks[index(task)].ended {
            return;
        }
        let repository = usize::from(self.tasks[index(task)].repository);
        if !self.setup.faults.is_broken(Broken::Assignments, self.now)
            && let Some(job) = self.oldest(repository)
        {
            return self.assign(task, job);
        }
        self.repositories[repository].idle.push_back(task);
        self.after(IDLE_LIMIT, Event::Idle(task));
    }

    /// GitHub assigns jobs again after an outage.
    pub(super) fn assign_all(&mut self) {
        for repository in 0..self.repositories.len() {
            while let Some(task) = self.repositories[repository].idle.pop_front() {
                if !self.listens(task) {
                    continue;
                }
                let Some(job) = self.oldest(repository) else {
                    self.repositories[repository].idle.push_front(task);
                    break;
                };
                self.assign(task, job);
            }
        }
    }

    /// Takes the repository's oldest queued job. GitHub has cancelled some of them.
    fn oldest(&mut self, repository: usize) -> Option<JobId> {
        loop {
            let job = self.repositories[repository].queued.pop_front()?;
            if self.job_is_queued(job) {
                return Some(job);
            }
        }
    }

    fn listens(&self, task: TaskId) -> bool {
        let task = &self.tasks[index(task)];
        !task.ended && task.job.is_none()
    }

    fn assign(&mut self, task: TaskId, job: JobId) {
        let now = self.now;
        let taken = self.job(job);
        taken.status = Status::Running;
        let (queued, work) = (taken.queued, taken.work);
        self.figures.waited(now - queued);
        self.task(task).job = Some(job);
        self.after(work, Event::Worked(task));
    }

    pub(super) fn job_is_queued(&self, job: JobId) -> bool {
        self.jobs[index(job)].status == Status::Queued
    }

    /// How long a job has been in GitHub's queue.
    pub(super) fn queued_for(&self, job: JobId) -> Time {
        self.now - self.jobs[index(job)].queued
    }
}
