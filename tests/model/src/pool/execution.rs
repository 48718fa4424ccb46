//! The state machine, and `cleanup` about its executions and tasks.

use std::time::Duration;

use decisions::{
    Attempt, Budget, Deletion, JobStatus, OnWarmEnd, Situation, Status, Verdict, WaitOver,
    WaitSeen, cleans_after_task, judge, may_stop, on_warm_task_end, stops_adopted,
};
use protocol::State;

use super::Pool;
use super::mutations::Mutation;
use super::world::{AtGitHub, Event, Hand, Runner, RunnerId, Stage, Step, Task, WarmId, World};
use crate::ends::End;
use crate::world::JobId;

/// The deployment's defaults; the model has no time.
const BUDGET: Budget = Budget {
    faults: 5,
    queue: Duration::from_hours(24),
    grace: Duration::from_secs(90),
};

impl Pool {
    /// `Launch`, and `Token` up to its claim: the registration is in SSM.
    pub(crate) fn launch(&self, world: &mut World, job: JobId) {
        world.job_mut(job).runners.push(Runner {
            parameter: true,
            registered: true,
        });
        let claims = self.may_claim(world, job, None);
        let revision = world.revision;
        let execution = world.execution_mut(job);
        execution.revision = revision;
        execution.stage = if claims { Stage::Token } else { Stage::Cold };
        execution.token = claims.then_some(Step::Look);
    }

    /// `WarmRunner` writes its wait. `answered` is false if it is written and the answer lost, and
    /// `retries` is whether the state machine then tries again.
    pub(crate) fn put_wait(&self, world: &mut World, job: JobId, answered: bool, retries: bool) {
        let Stage::Put { task, retry } = world.execution(job).stage else {
            return;
        };
        let warm = world.warm(task);
        let noted = warm.wait.ended && !self.without(Mutation::WaitsForTheEnded);
        let written = !world.down && !noted;
        let late = warm.handled;
        if written {
            world.warm_mut(task).wait.token = Some((job, retry));
        }
        world.wrongs.waits_for_ended |= written && late;
        world.execution_mut(job).stage = match (written && answered, retries) {
            (true, _) => Stage::Waiting { task, retry },
            (false, true) => Stage::Put {
                task,
                retry: retry + 1,
            },
            (false, false) => Stage::CleaningUp {
                end: End::WaitFailed,
                task: Some(task),
            },
        };
    }

    /// `Runner`: a cold task takes the registration, runs the job and ends.
    #[expect(clippy::unused_self, reason = "as its siblings")]
    pub(crate) fn run_cold(&self, world: &mut World, job: JobId) {
        let id = world.runner_of(job);
        let parts = world.runner(id);
        world.wrongs.robbed |= !parts.parameter;
        world.wrongs.needed_taken |= !parts.registered;
        let runner = world.runner_mut(id);
        runner.parameter = false;
        let end = match (parts.parameter, parts.registered) {
            (false, _) => End::NoParameter,
            (true, false) => End::Refused,
            (true, true) => {
                runner.registered = false;
                world.job_mut(job).state = AtGitHub::Over;
                End::RanJob
            }
        };
        world.execution_mut(job).stage = Stage::CleaningUp { end, task: None };
    }

    /// `Cleanup`, called by the state machine.
    pub(crate) fn clean_up(&self, world: &mut World, job: JobId) {
        let Stage::CleaningUp { mut end, task } = world.execution(job).stage else {
            return;
        };
        if let (End::WaitFailed, Some(task)) = (end, task)
            && let Task::Stopped(really) = world.warm(task).task
        {
            // The noted end, or what DescribeTasks says.
            end = really;
        }
        let over = match end {
            End::WaitFailed => Some(WaitOver::Failed),
            End::WaitTimedOut => Some(WaitOver::TimedOut),
            _ => None,
        };
        if let (Some(over), Some(task)) = (over, task) {
            let stops = match over {
                WaitOver::TimedOut if self.without(Mutation::OutlivesATimeOut) => false,
                over => stops_adopted(over),
            };
            if stops {
                world.stop_task(task, true);
            } else if self.without(Mutation::StopsAfterAFailedWait) {
                world.stop_task(task, false);
            }
        }
        let ended = end.ended();
        let runner = world.runner_of(job);
        if ended.leaves_a_registration() {
            world.runner_mut(runner).parameter = false;
        }
        if ended.asks_github() && ended.leaves_a_runner() {
            retire(world, runner, task);
        }
        let status = match world.job(job).state {
            AtGitHub::Queued => JobStatus::Queued,
            AtGitHub::Taken(_) => JobStatus::IN_PROGRESS,
            AtGitHub::Over => JobStatus::COMPLETED,
        };
        let execution = world.execution_mut(job);
        let verdict = judge(
            &Situation {
                ended,
                attempt: &Attempt {
                    number: execution.attempt.into(),
                    faults: execution.faults.into(),
                    ..Attempt::first()
                },
                job: Some(&status),
                queued_for: Duration::ZERO,
                others_picked_up: None,
                successor: false,
                budget: BUDGET,
            },
            0.0,
        );
        execution.stage = match verdict {
            Verdict::End | Verdict::GiveUp { .. } => Stage::Closed,
            Verdict::Relaunch { attempt, .. } => {
                execution.attempt += 1;
                execution.faults = u8::try_from(attempt.faults).unwrap_or(u8::MAX);
                Stage::Launch
            }
        };
    }

    /// An operator aborts the execution. The call of its present state goes on.
    #[expect(clippy::unused_self, reason = "as its siblings")]
    pub(crate) fn abort(&self, world: &mut World, job: JobId) {
        let execution = world.execution_mut(job);
        if let Stage::Put { task, .. } | Stage::Waiting { task, .. } = execution.stage {
            execution.takes_along = Some(task);
        }
        execution.stage = Stage::Closed;
        execution.aborted = true;
        world.send(Event::Aborted(job));
    }

    /// An event reaches `cleanup`.
    pub(crate) fn receive(&self, world: &mut World, event: Event) {
        match event {
            Event::Stopped(id) => self.stopped(world, id),
            Event::Aborted(job) => self.aborted(world, job),
        }
    }

    /// `cleanup`: an execution was aborted.
    fn aborted(&self, world: &mut World, job: JobId) {
        let task = world.execution_mut(job).takes_along.take();
        let over = WaitOver::Closed {
            status: Status::Aborted,
            state: Some(if task.is_some() {
                State::WarmRunner
            } else {
                State::Token
            }),
        };
        let left = self.without(Mutation::OutlivesAnAbort);
        if let Some(task) = task {
            if stops_adopted(over) && !left {
                world.stop_task(task, true);
            } else {
                world.execution_mut(job).takes_along = Some(task);
            }
        }
        if !world.job(job).runners.is_empty() && !left {
            remove(world, world.runner_of(job));
        }
    }

    /// Whether the end of a warm task removes what its runner left.
    fn cleans_after(&self, world: &World, job: JobId) -> bool {
        let closed = world.execution(job).stage == Stage::Closed;
        let status = if closed {
            Status::Succeeded
        } else {
            Status::Running
        };
        cleans_after_task(status) || self.without(Mutation::CleansByTag)
    }

    /// `cleanup`: a warm task stopped. `sweep` does the same about a wait whose event was lost.
    pub(crate) fn stopped(&self, world: &mut World, id: WarmId) {
        let warm = world.warm_mut(id);
        warm.handled = true;
        let token = warm.wait.token;
        let seen = match token {
            Some(_) => WaitSeen::Waiting,
            None if warm.wait.ended => WaitSeen::Ended,
            None => WaitSeen::None,
        };
        warm.wait.ended |= token.is_some() || !self.without(Mutation::NoTombstone);
        let tag = warm.tag;
        if let (OnWarmEnd::Tell, Some(token)) = (on_warm_task_end(seen), token) {
            world.hold(Hand::Tell(id, token));
        }
        if let Some(runner) = tag
            && self.cleans_after(world, runner.job)
        {
            remove(world, runner);
        }
    }
}

/// `sweep` stops an execution that nobody can tell that its task ended. If the job is queued, a later
/// one serves it; its attempts are counted on, so that it claims no task in the model.
pub(crate) fn hand_over(world: &mut World, job: JobId) {
    remove(world, world.runner_of(job));
    let queued = world.job(job).state == AtGitHub::Queued;
    let execution = world.execution_mut(job);
    execution.wait_lost = false;
    execution.stage = if queued {
        execution.attempt += 1;
        Stage::Launch
    } else {
        Stage::Closed
    };
}

/// Removes what a closed execution's runner left.
fn remove(world: &mut World, runner: RunnerId) {
    world.runner_mut(runner).parameter = false;
    let tagged: Vec<_> = world
        .warm_ids()
        .filter(|id| world.warm(*id).tag == Some(runner))
        .collect();
    let granted = delete(world, runner);
    for id in tagged.into_iter().filter(|_| may_stop(granted)) {
        world.stop_task(id, false);
    }
}

/// Deletes the runner at GitHub, and stops the adopted task only if GitHub deleted it.
fn retire(world: &mut World, runner: RunnerId, task: Option<WarmId>) {
    let answer = delete(world, runner);
    if let Some(task) = task
        && may_stop(answer)
    {
        world.stop_task(task, false);
    }
}

fn delete(world: &mut World, runner: RunnerId) -> Deletion {
    if world.is_busy(runner) {
        return Deletion::Refused;
    }
    let parts = world.runner_mut(runner);
    if std::mem::take(&mut parts.registered) {
        Deletion::Granted
    } else {
        Deletion::Absent
    }
}
