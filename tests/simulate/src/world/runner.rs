//! Tasks: their start, their runner, their end.

use protocol::State;

use super::{Ending, Event, JobId, READ_LIMIT, Status, TASK_HOUR, Task, TaskId, World};
use crate::faults::Broken;
use crate::load::{exponential, part_of};
use crate::quotas::Limit;
use crate::timings::read_pause;

/// Why ECS started no task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTask {
    Throttled,
    NoCapacity,
}

impl World<'_> {
    /// Starts a task for an execution's runner.
    pub(super) fn run_task(&mut self, job: JobId) {
        // As `Placement::provider`: each attempt without capacity moves to the next provider.
        let it = self.job(job);
        let (repository, preferred) = (it.repository, it.attempt.capacity_step == 0);
        let spot = self.setup.faults.spot && preferred;
        match self.start(repository, spot) {
            Ok(task) => {
                self.job(job).task = Some(task);
                self.task(task).owner = Some(job);
                let runs = self.started(task);
                self.at(runs, Event::Read(task));
            }
            Err(NoTask::Throttled) => {
                self.job(job).refused = Some(Limit::RunTask);
                self.throw(job, "ECS.AmazonECSException", Ending::RunTaskThrottled);
            }
            Err(NoTask::NoCapacity) => {
                let full = self.vcpus >= self.setup.quotas.vcpus;
                self.job(job).refused = full.then_some(Limit::FargateVcpus);
                self.throw(job, "AmazonECS.Unknown", Ending::NoCapacity);
            }
        }
    }

    /// Calls RunTask.
    pub(super) fn start(&mut self, repository: u16, spot: bool) -> Result<TaskId, NoTask> {
        if !self.buckets.run_task.take(self.now, 1) {
            self.refused(Limit::RunTask);
            return Err(NoTask::Throttled);
        }
        let missing = spot && self.rng.f64() < self.setup.faults.spot_misses;
        if missing || self.setup.faults.is_broken(Broken::Capacity, self.now) {
            return Err(NoTask::NoCapacity);
        }
        // Spot has a quota of its own; it is not the smaller one.
        if self.vcpus >= self.setup.quotas.vcpus {
            self.refused(Limit::FargateVcpus);
            return Err(NoTask::NoCapacity);
        }
        self.vcpus += 1;
        self.figures.tasks += 1;
        self.figures.most_tasks = self.figures.most_tasks.max(self.vcpus);
        let task = TaskId::try_from(self.tasks.len()).unwrap_or(TaskId::MAX);
        self.tasks.push(Task {
            owner: None,
            job: None,
            repository,
            ended: false,
            ending: Ending::RanJob,
            reading: None,
        });
        if spot && self.setup.faults.interruptions > 0.0 {
            let hours = exponential(&mut self.rng) / self.setup.faults.interruptions;
            self.after(part_of(TASK_HOUR, hours.min(1e6)), Event::Interrupted(task));
        }
        Ok(task)
    }

    /// When an accepted task's container runs. Beyond the launch rate it waits in PROVISIONING.
    pub(super) fn started(&mut self, task: TaskId) -> crate::limit::Time {
        let mut at = self.now;
        if !self.buckets.launches.take(self.now, 1) {
            self.refused(Limit::FargateLaunches);
            let wait = self.buckets.launches.wait(self.now);
            at += wait;
            self.figures.lost(Limit::FargateLaunches, wait);
            self.buckets.launches.owe(1);
        }
        if self.rng.f64() < self.setup.faults.failed_starts {
            self.task(task).ending = Ending::NotStarted;
        }
        let shared = self.setup.timings.machine;
        let processed = shared.map_or(0, |machine| self.processed(machine.task));
        (at + self.setup.timings.start.draw(&mut self.rng)).max(processed)
    }

    /// The agent reads its registration.
    pub(super) fn read(&mut self, task: TaskId) {
        if self.task(task).ended {
            return;
        }
        if self.task(task).ending == Ending::NotStarted {
            return self.end(task, Ending::NotStarted);
        }
        let now = self.now;
        if !self.buckets.parameter_store.take(now, 1) {
            self.refused(Limit::ParameterStore);
            let began = *self.task(task).reading.get_or_insert(now);
            if now - began > READ_LIMIT {
                return self.end(task, Ending::RegistrationUnavailable);
            }
            let pause = read_pause(&mut self.rng);
            self.figures.lost(Limit::ParameterStore, pause);
            return self.after(pause, Event::Read(task));
        }
        let listens = self.setup.timings.listen.draw(&mut self.rng);
        self.after(listens, Event::Listening(task));
    }

    /// The agent's idle limit is over.
    pub(super) fn idle(&mut self, task: TaskId) {
        let it = self.task(task);
        if !it.ended && it.job.is_none() {
            self.end(task, Ending::Idle);
        }
    }

    /// A job is done.
    pub(super) fn worked(&mut self, task: TaskId) {
        let it = self.task(task);
        let Some(job) = it.job.filter(|_| !it.ended) else {
            return;
        };
        let own = it.owner == Some(job);
        self.job(job).status = Status::Completed;
        if own {
            self.note_completed(job);
        }
        self.end(task, Ending::RanJob);
    }

    /// `verify` notes in the table that a job has ended, when GitHub's webhook arrives. Without a
    /// pool there is no table, and a webhook that is lost leaves no note.
    fn note_completed(&mut self, job: JobId) {
        let lost = self.setup.faults.is_broken(Broken::Webhooks, self.now);
        if self.pool.is_none() || lost || !self.buckets.table.take(self.now, 1) {
            return;
        }
        let delay = self.setup.timings.webhook.draw(&mut self.rng);
        self.job(job).noted = Some(self.now + delay);
    }

    /// Spot takes a task back.
    pub(super) fn interrupted(&mut self, task: TaskId) {
        let it = self.task(task);
        if it.ended {
            return;
        }
        let Some(job) = it.job else {
            return self.end(task, Ending::Interrupted);
        };
        // GitHub fails a job whose runner is lost.
        self.job(job).status = Status::Completed;
        self.figures.interrupted += 1;
        self.end(task, Ending::InterruptedInJob);
    }

    /// A task's runner ends; the task stops a little later.
    pub(super) fn end(&mut self, task: TaskId, ending: Ending) {
        let it = self.task(task);
        it.ended = true;
        it.ending = ending;
        let stops = self.setup.timings.stop.draw(&mut self.rng);
        self.after(stops, Event::Stopped(task));
    }

    /// A task has stopped: its execution goes on.
    pub(super) fn stopped(&mut self, task: TaskId) {
        self.vcpus -= 1;
        let it = self.task(task);
        let ending = it.ending;
        let Some(job) = it.owner else {
            return self.forget(task);
        };
        let it = self.job(job);
        it.ending = ending;
        let waits = matches!(it.state, State::Runner | State::WarmRunner);
        if waits && it.task == Some(task) {
            it.task = None;
            self.go_on(job, State::Cleanup, 0);
        }
    }
}
