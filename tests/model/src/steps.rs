//! The effect of each action on the world.

use crate::Runners;
use crate::actions::{Action, Fault, step_end};
use crate::ends::End;
use crate::handlers::{close, mark};
use crate::mutations::Mutation;
use crate::world::{
    AtGitHub, Close, Event, ExecutionId, JobId, Registered, Runner, RunnerId, Stage, Task, World,
};

use std::time::Duration;

use decisions::{GiveUp, JobStatus, OnAbsent};

impl Runners {
    /// Takes one step.
    pub(crate) fn step(&self, world: &mut World, action: Action) {
        match action {
            Action::Appears(job) => queue(world, job, false),
            Action::Assigns(job, runner) => {
                assign(world, job, runner);
                if self.without(Mutation::NotesTheStart) {
                    world.note(job, runner);
                }
            }
            Action::Finishes(runner) => self.finish(world, runner),
            Action::NoticesLoss(runner) => {
                self.job_over(world, runner);
                if let Some(runner) = world.runner_mut(runner) {
                    runner.registered = Registered::Offline;
                }
            }
            Action::Arrives(event) => {
                world.take(event);
                self.receive(world, event);
            }
            Action::ShowsAgain(job) => world.job_mut(job).outage = None,
            Action::Launches(execution) => self.launch(world, execution),
            Action::Judges(id) => {
                if let Some(Stage::CleaningUp(end)) = world.execution(id).map(|e| e.stage) {
                    self.judge(world, id, end, false);
                }
            }
            Action::JudgesByNote(id, _) => {
                if let Some(Stage::CleaningUp(end)) = world.execution(id).map(|e| e.stage) {
                    self.judge(world, id, end, true);
                }
            }
            Action::Closes(id) => {
                if let Some(Stage::Closing(how)) = world.execution(id).map(|e| e.stage) {
                    close(world, id, how);
                }
            }
            Action::StopsAsking(id) => close(
                world,
                id,
                Close::Failed(GiveUp::Fault(protocol::Fault::GitHubUnavailable)),
            ),
            Action::Wakes(id) => set_stage(world, id, Stage::Starting),
            Action::Boots(runner) => self.boot(world, runner),
            Action::IdlesOut(runner) => self.end_task(world, runner, End::Idle),
            Action::Lands(runner) => {
                if let Some(runner) = world.runner_mut(runner) {
                    runner.landing = false;
                    runner.parameter = true;
                    runner.registered = Registered::Offline;
                }
            }
            Action::Redelivers(event) => {
                world.lost.retain(|lost| *lost != event);
                world.send(match event {
                    Event::Queued { job, .. } => Event::Queued { job, old: true },
                    event => event,
                });
            }
            Action::FindsIdle(runner) => mark(world, runner, Duration::from_hours(1), false),
            Action::Retires(runner) => self.delete(world, runner),
            Action::DeletesParameter(runner) => {
                if let Some(runner) = world.runner_mut(runner) {
                    runner.parameter = false;
                }
            }
            Action::EndsAbsent(runner) => self.stop(world, runner),
            Action::Finds(job) => Self::begin(world, job),
            Action::ChecksOn(execution) | Action::BeginsAgain(execution) => {
                world.follow(execution, Stage::Starting);
            }
            Action::EndsWait(execution) => close(world, execution, Close::Ended),
            Action::Cancels(job) => {
                world.left.cancels -= 1;
                world.job_mut(job).state = AtGitHub::Over { thief: None };
                world.send(Event::Cancelled { job });
            }
            Action::HoldsBack(job) => {
                world.left.holds -= 1;
                world.job_mut(job).state = AtGitHub::HeldBack;
            }
            Action::Approves(job) => queue(world, job, true),
            Action::DayPasses(id) => {
                world.left.days -= 1;
                world.job_mut(id).day_over = true;
                for execution in &mut world.executions {
                    execution.day_over |= execution.id.job == id;
                }
            }
            Action::Fails(fault) => {
                world.left.faults -= 1;
                self.fail(world, fault);
            }
        }
        world.forget();
    }

    fn fail(&self, world: &mut World, fault: Fault) {
        match fault {
            Fault::Loses(event) => {
                world.take(event);
                world.lost.push(event);
            }
            Fault::LosesForGood(event) => {
                world.take(event);
            }
            Fault::Doubles(event) => self.receive(world, event),
            Fault::Delays(runner) => {
                if let Some(runner) = world.runner_mut(runner) {
                    runner.late = true;
                }
            }
            Fault::Kills(id) => {
                let end = match world.runner(id).and_then(|runner| runner.busy) {
                    Some(_) => End::LostInJob,
                    None => End::Interrupted,
                };
                self.end_task(world, id, end);
            }
            Fault::Breaks(id) => {
                if let Some(runner) = world.runner_mut(id) {
                    runner.parameter = false;
                }
                self.end_task(world, id, End::Broke);
            }
            Fault::Drops(id) => {
                if let Some(runner) = world.runner_mut(id) {
                    runner.registered = Registered::No;
                }
                self.end_task(world, id, End::LetGo);
            }
            Fault::Deafens(id) => {
                if let Some(runner) = world.runner_mut(id) {
                    runner.registered = Registered::No;
                }
            }
            Fault::Freezes(id) => {
                if let Some(runner) = world.runner_mut(id) {
                    runner.registered = Registered::No;
                    runner.hangs = true;
                }
            }
            Fault::HangsAfterJob(id) => {
                self.job_over(world, id);
                if let Some(runner) = world.runner_mut(id) {
                    runner.registered = Registered::No;
                    runner.hangs = true;
                }
            }
            Fault::Disconnects(id) => {
                if let Some(runner) = world.runner_mut(id) {
                    runner.parameter = false;
                }
                self.end_task(world, id, End::NoConnection);
            }
            Fault::TakesBack(id) => {
                let runner = world.runner_mut(id);
                if let Some(job) = runner.and_then(|runner| runner.busy.take()) {
                    world.job_mut(job).state = AtGitHub::Queued;
                }
                if let Some(runner) = world.runner_mut(id) {
                    runner.registered = Registered::No;
                }
                self.end_task(world, id, End::RanJob);
            }
            Fault::QueuesEnded(job) => queue(world, job, true),
            Fault::Hides(job, outage) => world.job_mut(job).outage = Some(outage),
            Fault::SkippedInList(id) => {
                // `sweep` looks this runner up by name, twice, before it stops a task without a
                // deletion.
                let trusts = [Mutation::TrustsTheListing, Mutation::TrustsOneAnswer];
                let unknown = 1 + u32::from(trusts.iter().any(|rule| self.without(*rule)));
                if let Some(runner) = world.runner(id).copied()
                    && self.on_absent(world, &runner, unknown) != OnAbsent::Leave
                {
                    self.stop(world, id);
                }
            }
            Fault::NoCapacity(id)
            | Fault::TokenFails(id)
            | Fault::RateLimits(id)
            | Fault::Throttles(id) => {
                if let Some((_, end)) = step_end(fault) {
                    if end != End::RateLimited {
                        register(world, id, Task::None);
                    }
                    set_stage(world, id, Stage::CleaningUp(end));
                }
            }
            Fault::Outage(id) => close(
                world,
                id,
                Close::Failed(GiveUp::Fault(protocol::Fault::AwsUnavailable)),
            ),
            Fault::TimesOut(id) => self.cut_short(world, id, Close::TimedOut),
            Fault::Aborts(id) => self.cut_short(world, id, Close::Aborted),
            Fault::AbortsInFlight(id) => {
                let starting = world
                    .execution(id)
                    .is_some_and(|execution| execution.stage == Stage::Starting);
                if starting {
                    let runner = register(world, id, Task::None);
                    if let Some(runner) = world.runner_mut(runner) {
                        runner.landing = true;
                        runner.parameter = false;
                        runner.registered = Registered::No;
                    }
                }
                close(world, id, Close::Aborted);
            }
        }
    }

    /// Ends an execution from outside: Step Functions stops its task, busy or not.
    fn cut_short(&self, world: &mut World, id: ExecutionId, how: Close) {
        let Some(execution) = world.execution(id) else {
            return;
        };
        let (runner, has_task) = (execution.runner(), execution.stage == Stage::Running);
        close(world, id, how);
        if has_task {
            self.end_task(world, runner, End::Stopped);
        }
    }

    /// Ends a runner's task, which its execution and `cleanup` observe.
    pub(crate) fn end_task(&self, world: &mut World, id: RunnerId, end: End) {
        let Some(runner) = world.runner_mut(id) else {
            return;
        };
        if runner.task == Task::None {
            return;
        }
        runner.task = Task::None;
        if runner.registered == Registered::Online {
            runner.registered = Registered::Offline;
        }
        let late = runner.late;
        if let Some(execution) = world.execution_mut(id.execution)
            && execution.stage == Stage::Running
            && execution.runner() == id
        {
            execution.stage = Stage::CleaningUp(end);
        }
        if late {
            world.send(Event::TaskStopped(id));
        } else {
            self.receive(world, Event::TaskStopped(id));
        }
    }

    fn boot(&self, world: &mut World, id: RunnerId) {
        let Some(runner) = world.runner_mut(id) else {
            return;
        };
        if !runner.parameter {
            return self.end_task(world, id, End::NoParameter);
        }
        runner.parameter = false;
        if runner.registered == Registered::No {
            return self.end_task(world, id, End::Refused);
        }
        runner.registered = Registered::Online;
        runner.task = Task::Up;
    }

    fn finish(&self, world: &mut World, id: RunnerId) {
        self.job_over(world, id);
        if let Some(runner) = world.runner_mut(id) {
            // A just-in-time runner runs one job, and GitHub then deletes it.
            runner.registered = Registered::No;
        }
        self.end_task(world, id, End::RanJob);
    }
}

fn queue(world: &mut World, job: JobId, old: bool) {
    let at_github = world.job_mut(job);
    at_github.state = AtGitHub::Queued;
    // A new stay in the queue: earlier executions gave up in the last one.
    at_github.day_over = false;
    if at_github.excuse != Some(crate::world::Excuse::Aborted) {
        at_github.excuse = None;
    }
    world.send(Event::Queued { job, old });
}

fn assign(world: &mut World, job: JobId, id: RunnerId) {
    world.job_mut(job).state = AtGitHub::Taken(id);
    if let Some(runner) = world.runner_mut(id) {
        runner.busy = Some(job);
    }
    // If its own runner has it, no handler has anything to do.
    if id.execution.job != job {
        world.send(Event::TakenBy { job, runner: id });
    }
}

impl Runners {
    /// A runner's job ends, and `verify` may note it.
    fn job_over(&self, world: &mut World, id: RunnerId) {
        let Some(runner) = world.runner_mut(id) else {
            return;
        };
        if let Some(job) = runner.busy.take() {
            let execution = id.execution;
            let thief = (execution.job != job).then_some(execution);
            world.job_mut(job).state = AtGitHub::Over { thief };
            if self.scope.notes {
                world.note(job, id);
            }
        }
    }

    fn launch(&self, world: &mut World, id: ExecutionId) {
        let asks = world
            .execution(id)
            .is_some_and(|execution| execution.recheck || execution.attempt.rechecks());
        let job = asks.then(|| self.ask(world, id.job));
        let stage = match job {
            Some(None) => Stage::CleaningUp(End::TokenFailed),
            Some(Some(job)) if job != JobStatus::Queued => Stage::CleaningUp(End::NotNeeded),
            _ => {
                register(world, id, Task::Booting);
                Stage::Running
            }
        };
        set_stage(world, id, stage);
    }
}

/// `token` registers the runner of the current attempt.
fn register(world: &mut World, id: ExecutionId, task: Task) -> RunnerId {
    let runner = world.execution(id).map(crate::world::Execution::runner);
    let runner = runner.unwrap_or(RunnerId {
        execution: id,
        attempt: 1,
    });
    world.add_runner(Runner {
        id: runner,
        landing: false,
        parameter: true,
        registered: Registered::Offline,
        busy: None,
        task,
        marked: false,
        late: false,
        hangs: false,
    });
    runner
}

fn set_stage(world: &mut World, id: ExecutionId, stage: Stage) {
    if let Some(execution) = world.execution_mut(id) {
        execution.stage = stage;
    }
}
