//! The handlers' effects. The decisions are those of the `decisions` crate, called as the handlers
//! call them; calls to AWS and GitHub are changes of the [`World`].

use std::time::Duration;

use decisions::{
    AbsentRunner, Attend, Budget, Deletion, Failure, GiveUp, JobStatus, Look, NoteSeen, OnAbsent,
    OnCancel, OnNotFound, OnNote, OnQueued, OnQueuedAgain, OnUnannounced, Restart, Retire,
    RunnerSeen, Situation, Status, Verdict, attend, checks_displaced, cleans_after_task,
    counts_as_failure, judge, may_stop, on_absent, on_cancel, on_not_found, on_note, on_queued,
    on_queued_again, on_unannounced, restart, retire,
};
use protocol::State;

use crate::Runners;
use crate::ends::End;
use crate::mutations::Mutation;
use crate::world::{
    AtGitHub, Close, Event, Excuse, Execution, ExecutionId, JobId, Registered, Runner, RunnerId,
    Stage, Task, World,
};

/// The deployment's defaults. The only modelled time is the end of a job's day in the queue.
const BUDGET: Budget = Budget {
    faults: 5,
    queue: Duration::from_hours(24),
    grace: Duration::from_secs(90),
};
/// `sweep`'s idle limit.
const IDLE: Duration = Duration::from_mins(10);
/// Longer than any limit.
const LONG: Duration = Duration::from_hours(1);

impl Runners {
    /// Passes an event to its handler.
    pub(crate) fn receive(&self, world: &mut World, event: Event) {
        match event {
            Event::Queued { job, old } => self.queued(world, job, old),
            Event::TakenBy { runner, .. } => self.displaced(world, runner.execution),
            Event::Cancelled { job } => cancelled(world, job),
            Event::QueuedAgain { job } => self.queued_again(world, job),
            Event::TaskStopped(runner) => self.task_stopped(world, runner),
            Event::ExecutionClosed(execution) => self.execution_closed(world, execution),
        }
    }

    /// `verify`: a job is queued.
    fn queued(&self, world: &mut World, job: JobId, old: bool) {
        let latest = world.executions_of(job).next_back();
        let status = latest.map(Execution::status);
        let id = latest.map(|execution| execution.id);
        match (on_queued(status, count(world, job), old), id) {
            (OnQueued::Start { recheck }, _) => {
                world.start(ExecutionId::first(job), Stage::Starting, recheck);
            }
            (OnQueued::Follow, Some(latest)) if !self.without(Mutation::ClosedStaysClosed) => {
                world.start(latest.next(), Stage::Starting, true);
            }
            (OnQueued::Watch, _) if !self.without(Mutation::TrustsWhatRuns) => {
                world.send(Event::QueuedAgain { job });
            }
            _ => {}
        }
    }

    /// `cleanup`: another job took the runner of this execution's job.
    fn displaced(&self, world: &mut World, left: ExecutionId) {
        let Some(execution) = world.execution(left) else {
            return;
        };
        let defies = execution.stage == Stage::Closed(Close::Aborted);
        let status = match execution.status() {
            Status::Aborted if self.without(Mutation::ChecksTheAborted) => Status::Failed,
            status => status,
        };
        let job = self.ask(world, left.job);
        if checks_displaced(status, job.as_ref()) && !self.without(Mutation::NoDisplacedCheck) {
            let starts = world.execution(left.next()).is_none();
            world.wrongs.abort_defied |= starts && defies;
            world.follow(left, Stage::Waiting);
        }
    }

    /// The runners of notes that spare `cleanup` the question to GitHub about an attempt's job.
    pub(crate) fn believed(
        &self,
        world: &World,
        execution: &Execution,
        end: End,
    ) -> impl Iterator<Item = RunnerId> {
        let (job, own) = (execution.id.job, execution.runner());
        let ended = if self.without(Mutation::BelievesTheNoteAlone) {
            End::RanJob.ended()
        } else {
            end.ended()
        };
        let anothers = self.without(Mutation::BelievesAnothersNote);
        let notes = world.notes.iter().filter(move |(noted, _)| *noted == job);
        notes
            .map(|(_, runner)| *runner)
            .filter(move |runner| {
                let own_runner = anothers || *runner == own;
                end.ended().asks_github()
                    && on_note(ended, Some(NoteSeen { own_runner })) == OnNote::Over
            })
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// `cleanup`, called by the state machine: an attempt ended. A note may spare the question to GitHub.
    pub(crate) fn judge(&self, world: &mut World, id: ExecutionId, end: End, noted: bool) {
        let Some(execution) = world.execution(id) else {
            return;
        };
        let (attempt, runner) = (execution.attempt.clone(), execution.runner());
        let day_over = execution.day_over && !self.without(Mutation::OutlivesTheDay);
        let ended = end.ended();
        if ended.leaves_a_registration()
            && let Some(runner) = world.runner_mut(runner)
        {
            runner.parameter = false;
        }
        let asks = ended.asks_github() && !noted;
        if asks && ended.leaves_a_runner() {
            self.delete(world, runner);
        }
        let mut job = asks.then(|| self.ask(world, id.job)).flatten();
        if noted || self.without(Mutation::EndsWithoutAsking) {
            job = Some(JobStatus::COMPLETED);
        } else if self.without(Mutation::LaunchesWithoutANote) {
            job = Some(JobStatus::Queued);
        }
        let situation = Situation {
            ended,
            attempt: &attempt,
            job: job.as_ref(),
            queued_for: if day_over {
                BUDGET.queue
            } else {
                Duration::ZERO
            },
            others_picked_up: None,
            successor: false,
            budget: BUDGET,
        };
        let mut verdict = judge(&situation, 0.0);
        if verdict != Verdict::End {
            let mut later = world.executions_of(id.job).filter(|later| later.id > id);
            let successor = later.any(Execution::runs);
            verdict = judge(
                &Situation {
                    successor,
                    ..situation
                },
                0.0,
            );
        }
        if let Verdict::Relaunch { attempt, .. } = &verdict
            && self.without(Mutation::CountsWhatPasses)
            && attempt.number > 3
        {
            verdict = Verdict::GiveUp {
                reason: GiveUp::NeverPickedUp,
                cause: String::new(),
            };
        }
        let over = world
            .execution(id)
            .is_some_and(|execution| execution.day_over);
        let again = matches!(verdict, Verdict::Relaunch { .. });
        world.wrongs.day_outlived |= over && again;
        world.wrongs.launched_unasked |=
            again && ended.asks_github() && world.status(id.job) != JobStatus::Queued;
        let stage = match &verdict {
            Verdict::End => {
                if ended.outcome.had_job() {
                    picked_up(world);
                }
                if asks
                    && !self.without(Mutation::EndsWithoutAsking)
                    && let Some(thief) = thief(world, id.job)
                {
                    self.displaced(world, thief);
                }
                Stage::Closing(Close::Well)
            }
            Verdict::Relaunch { .. } => Stage::Waiting,
            Verdict::GiveUp { reason, .. } => Stage::Closing(Close::Failed(*reason)),
        };
        if let Some(execution) = world.execution_mut(id) {
            execution.stage = stage;
            if let Verdict::Relaunch { attempt, .. } = verdict {
                execution.attempt = attempt;
                // The capacity provider does not matter to the model.
                execution.attempt.capacity_step = 0;
                execution.attempt.subnet_step = 0;
                execution.attempt.refusals = 0;
                // Nor does the length of the pause, and from three on nothing else depends on this
                // counter.
                execution.attempt.unpicked = execution.attempt.unpicked.min(3);
            }
        }
    }

    /// `cleanup`: a task stopped.
    fn task_stopped(&self, world: &mut World, runner: RunnerId) {
        let execution = world.execution(runner.execution);
        let status = execution.map(Execution::status);
        if self.without(Mutation::CleansByExecution) {
            if let Some(present) = execution.map(Execution::runner) {
                self.remove(world, present);
            }
        } else if status.is_some_and(cleans_after_task) {
            self.remove(world, runner);
        }
    }

    /// `cleanup`: an execution was aborted, failed or timed out.
    fn execution_closed(&self, world: &mut World, id: ExecutionId) {
        let Some(execution) = world.execution(id) else {
            return;
        };
        if execution.runs() {
            return;
        }
        let (runner, again) = (execution.runner(), self.begins_again(world, execution));
        self.remove(world, runner);
        if again {
            world.follow(id, Stage::Starting);
        }
    }

    /// GitHub's answer about a job; `None` if it is unusable.
    pub(crate) fn ask(&self, world: &World, id: JobId) -> Option<JobStatus> {
        let Some(outage) = world.job(id).outage else {
            return Some(world.status(id));
        };
        let mut seen = outage.seen();
        if self.without(Mutation::TrustsARepeated404) {
            seen.run = Look::Hidden;
        }
        let absent = self.without(Mutation::Trusts404) || on_not_found(seen) == OnNotFound::Absent;
        absent.then_some(JobStatus::Absent)
    }

    /// Whether a closed execution is restarted, by the event of its end or by `sweep`.
    pub(crate) fn begins_again(&self, world: &World, execution: &Execution) -> bool {
        self.ask(world, execution.id.job) == Some(JobStatus::Queued)
            && self.would_begin_again(world, execution)
    }

    /// The same, provided that GitHub shows the job.
    pub(crate) fn would_begin_again(&self, world: &World, execution: &Execution) -> bool {
        let failure = execution.failure();
        let failures = if self.without(Mutation::CountsEveryExecution) {
            u32::from(execution.id.restart)
        } else {
            self.failures(world, execution.id.job)
        };
        let due = match restart(execution.status(), failure, failures) {
            Restart::Leave => false,
            Restart::IfQueued => true,
            Restart::IfPickedUp => {
                execution.picked_up_since && !self.without(Mutation::NeverPickedUpForGood)
            }
        };
        due && world.status(execution.id.job) == JobStatus::Queued
            && world.execution(execution.id.next()).is_none()
            && !self.without(Mutation::NoRestart)
    }

    /// Deletes a runner's registration in SSM and the runner at GitHub.
    fn remove(&self, world: &mut World, id: RunnerId) {
        let needed = world
            .execution(id.execution)
            .is_some_and(|execution| execution.runs() && execution.runner() == id);
        if let Some(runner) = world.runner_mut(id) {
            let taken = runner.parameter || runner.registered != Registered::No;
            runner.parameter = false;
            self.delete(world, id);
            world.wrongs.needed_taken |= taken && needed;
        }
    }

    /// Delete before stop: deletes a runner at GitHub, and stops its task only if that allows it.
    pub(crate) fn delete(&self, world: &mut World, id: RunnerId) {
        let Some(runner) = world.runner_mut(id) else {
            return;
        };
        runner.marked = false;
        let answer = match (runner.registered, runner.busy) {
            (Registered::No, _) => Deletion::Absent,
            (_, Some(_)) => Deletion::Refused,
            (_, None) => {
                runner.registered = Registered::No;
                Deletion::Granted
            }
        };
        if may_stop(answer) || self.without(Mutation::StopsWhateverTheAnswer) {
            self.stop(world, id);
        }
    }

    pub(crate) fn stop(&self, world: &mut World, id: RunnerId) {
        let Some(runner) = world.runner(id).copied() else {
            return;
        };
        if runner.task == Task::None {
            return;
        }
        world.wrongs.busy_stopped |= runner.busy.is_some();
        world.wrongs.stopped_first |= runner.registered != Registered::No;
        let end = match runner.busy {
            Some(_) => End::LostInJob,
            None => End::Stopped,
        };
        self.end_task(world, id, end);
    }

    /// Number of a job's executions that failed or timed out.
    fn failures(&self, world: &World, job: JobId) -> u32 {
        let failed = |execution: &&Execution| {
            counts_as_failure(execution.status(), execution.failure())
                || (self.without(Mutation::CountsOutages) && execution.status().has_failed())
        };
        let count = world.executions_of(job).filter(failed).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// What `sweep` does about a task whose runner GitHub did not find by its name `unknown` times.
    pub(crate) fn on_absent(&self, world: &World, runner: &Runner, unknown: u32) -> OnAbsent {
        let id = runner.id.execution;
        if runner.task != Task::Up {
            return OnAbsent::Leave;
        }
        let runs = !world.is_orphan(runner.id);
        let job = runs.then(|| self.ask(world, id.job)).flatten();
        let over = matches!(job, Some(JobStatus::Completed { .. }));
        let ran_it = matches!(world.job(id.job).state, AtGitHub::Over { thief: None });
        match on_absent(AbsentRunner {
            unknown,
            up_for: LONG,
            execution_runs: runs,
            job: job.as_ref(),
            over_for: over.then_some(LONG),
            ran_it,
        }) {
            OnAbsent::StopGhost if self.without(Mutation::LeavesGhosts) => OnAbsent::Leave,
            OnAbsent::StopHung if self.without(Mutation::LeavesTheHung) => OnAbsent::Leave,
            decision => decision,
        }
    }

    /// Whether `sweep` finds that a job without a webhook has waited for long.
    pub(crate) fn finds(&self, world: &World, id: JobId) -> bool {
        let told = world.events.iter().chain(&world.lost).any(|event| {
            matches!(event, Event::Queued { job, .. } | Event::QueuedAgain { job } if *job == id)
        });
        self.scope.reconciles
            && !told
            && !self.without(Mutation::NoReconciling)
            && self.ask(world, id) == Some(JobStatus::Queued)
            && on_unannounced(self.latest(world, id)) == OnUnannounced::Begin
    }

    fn latest(&self, world: &World, id: JobId) -> Option<Status> {
        match world.executions_of(id).next_back()?.status() {
            Status::Aborted if self.without(Mutation::ReconcilesTheAborted) => {
                Some(Status::Succeeded)
            }
            status => Some(status),
        }
    }

    /// `sweep`: starts an execution for a job without a webhook.
    pub(crate) fn begin(world: &mut World, id: JobId) {
        let latest = world.executions_of(id).next_back();
        let latest = latest.map(|latest| (latest.id, latest.stage));
        if let Some((latest, stage)) = latest {
            world.wrongs.abort_defied |= stage == Stage::Closed(Close::Aborted);
            world.start(latest.next(), Stage::Starting, true);
        } else {
            world.start(ExecutionId::first(id), Stage::Starting, true);
        }
    }

    /// Whether `sweep` asks GitHub about this execution's job, and what it then does.
    pub(crate) fn attends(&self, world: &World, execution: &Execution) -> Attend {
        match self.ask(world, execution.id.job) {
            Some(job) => self.would_attend(world, execution, &job),
            None => Attend::Leave,
        }
    }

    /// The same, provided that GitHub returned the job's status.
    pub(crate) fn would_attend(
        &self,
        world: &World,
        execution: &Execution,
        job: &JobStatus,
    ) -> Attend {
        if !execution.runs() || self.without(Mutation::NoSweepOfWaiting) {
            return Attend::Leave;
        }
        let mut own = world
            .runners
            .iter()
            .filter(|r| r.id.execution == execution.id);
        let busy = own.clone().any(|runner| runner.busy.is_some());
        let has_task = own.any(|runner| runner.task != Task::None);
        let decision = attend(job, busy, has_task);
        let changes = match decision {
            // Warm tasks are in the other model.
            Attend::Leave | Attend::HandOver => false,
            Attend::Check => {
                world.execution(execution.id.next()).is_none()
                    && !self.without(Mutation::NoDisplacedCheck)
            }
            Attend::EndWait => on_cancel(Some(state(execution.stage))) == OnCancel::Stop,
        };
        if changes { decision } else { Attend::Leave }
    }
}

impl Runners {
    /// What `cleanup` does about a job that was queued again.
    pub(crate) fn on_again(&self, world: &World, job: JobId) -> OnQueuedAgain {
        let Some(latest) = world.executions_of(job).next_back() else {
            return OnQueuedAgain::Leave;
        };
        let new_stay =
            latest.day_over && !world.job(job).day_over && !self.without(Mutation::IgnoresANewStay);
        let executions = count(world, job);
        on_queued_again(
            latest.status(),
            executions,
            Some(state(latest.stage)),
            new_stay,
        )
    }

    /// `cleanup`: a job was queued again while an execution of it ran. The handler looks again
    /// until that execution is certain to ask GitHub again or is closed; the model has no action
    /// that only looks again.
    fn queued_again(&self, world: &mut World, job: JobId) {
        let latest = world.executions_of(job).next_back().map(|latest| latest.id);
        if let (OnQueuedAgain::Follow, Some(latest)) = (self.on_again(world, job), latest) {
            world.start(latest.next(), Stage::Starting, true);
        }
    }
}

/// How many executions a job has had.
fn count(world: &World, job: JobId) -> u32 {
    u32::try_from(world.executions_of(job).count()).unwrap_or(u32::MAX)
}

/// A runner has had a job, and a closed execution records it.
fn picked_up(world: &mut World) {
    for execution in &mut world.executions {
        execution.picked_up_since |=
            execution.failure() == Some(Failure::Named(GiveUp::NeverPickedUp));
    }
    for job in &mut world.jobs {
        if job.excuse == Some(Excuse::NeverPickedUp) {
            job.excuse = None;
        }
    }
}

/// Whether `sweep` retires the runner once it has been in this state for long enough.
pub(crate) fn may_retire(world: &World, runner: &Runner) -> bool {
    let runs = world
        .execution(runner.id.execution)
        .is_some_and(Execution::runs);
    // The age that `sweep` assumes: the registration's if no agent took it. Without one, the
    // execution may be between two steps.
    let age = match (runner.task, runner.parameter) {
        (Task::None, false) if runs => Duration::ZERO,
        _ => LONG,
    };
    retire(seen(runner, age, false), IDLE) == Retire::Delete
}

fn seen(runner: &Runner, age: Duration, cancelled: bool) -> RunnerSeen {
    RunnerSeen {
        busy: runner.busy.is_some(),
        online: runner.registered == Registered::Online,
        has_task: runner.task != Task::None,
        age,
        cancelled,
    }
}

/// Decides to delete a runner. GitHub may assign it a job before the deletion.
pub(crate) fn mark(world: &mut World, id: RunnerId, age: Duration, cancelled: bool) {
    if let Some(runner) = world.runner_mut(id)
        && runner.registered != Registered::No
        && retire(seen(runner, age, cancelled), IDLE) == Retire::Delete
    {
        runner.marked = true;
    }
}

/// Closes an execution and sends the event of its end.
pub(crate) fn close(world: &mut World, id: ExecutionId, how: Close) {
    if let Some(execution) = world.execution_mut(id) {
        execution.stage = Stage::Closed(how);
    }
    if how != Close::Well {
        world.send(Event::ExecutionClosed(id));
    }
    let job = world.job_mut(id.job);
    match how {
        Close::Aborted => job.excuse = Some(Excuse::Aborted),
        Close::Failed(reason) => {
            // An execution must not give up because of time before its time is over.
            let for_time = matches!(reason, GiveUp::QueueLimit | GiveUp::NeverPickedUp);
            let early = for_time && !job.day_over;
            match restart(Status::Failed, Some(Failure::Named(reason)), 1) {
                Restart::Leave if !early => job.excuse = Some(Excuse::GaveUp),
                Restart::IfPickedUp if !early => job.excuse = Some(Excuse::NeverPickedUp),
                _ => {}
            }
        }
        _ => {}
    }
}

/// The execution whose runner has or had the job, if it is another job's.
fn thief(world: &World, job: JobId) -> Option<ExecutionId> {
    match world.job(job).state {
        AtGitHub::Taken(runner) if runner.execution.job != job => Some(runner.execution),
        AtGitHub::Over { thief } => thief,
        _ => None,
    }
}

fn state(stage: Stage) -> State {
    match stage {
        Stage::Starting => State::Token,
        Stage::Running => State::Runner,
        Stage::Waiting => State::Wait,
        Stage::CleaningUp(_) | Stage::Closing(_) | Stage::Closed(_) => State::Cleanup,
    }
}

/// `cleanup`: a job was cancelled before a runner took it.
fn cancelled(world: &mut World, job: JobId) {
    let running: Vec<_> = world
        .executions_of(job)
        .filter(|execution| execution.runs())
        .map(|execution| (execution.id, execution.runner(), state(execution.stage)))
        .collect();
    for (id, runner, state) in running {
        match on_cancel(Some(state)) {
            OnCancel::Stop => close(world, id, Close::Ended),
            OnCancel::RetireRunner => mark(world, runner, Duration::ZERO, true),
            // The handler looks again for some seconds and then leaves it to `sweep`; the model
            // does so at once.
            OnCancel::LookAgain | OnCancel::Leave => {}
        }
    }
}
