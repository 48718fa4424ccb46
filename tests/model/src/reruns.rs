//! Explores a run whose job is taken away by Spot, fails by itself or is cancelled, while another job of
//! the run goes on, answers are lost and people re-run it or cancel it.
//!
//! The moment between GitHub's cancellation and the job's end is left out: a task that is taken away in it
//! looks like any other that is.

use decisions::{
    Ended, EndedTask, JobStatus, LossSeen, LostJob, OnLostJobs, Outcome, RunOfLost, keeps_off_spot,
    notes_lost_job, on_lost_jobs,
};
use protocol::JobId;
use stateright::{Model, Property};

const RUNNER: &str = "fr-hello-1";
/// More attempts than anything here makes.
const ATTEMPTS: u32 = 6;

/// How the job of an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    Succeeded,
    /// By itself.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Spot took its task away.
    Lost,
}

/// What GitHub says of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    Running,
    Success,
    Failure,
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools)] // Independent facts.
pub struct World {
    /// The run's attempt.
    pub attempt: u32,
    /// How the job ended in it, if it has.
    pub end: Option<End>,
    /// Whether its task is on Spot.
    pub spot: bool,
    pub told: Told,
    /// Whether `cleanup` has seen its end.
    pub cleaned: bool,
    /// Whether the run's other job goes on.
    pub other_runs: bool,
    /// Whether somebody cancelled the run.
    pub cancelled: bool,
    /// The notes in the table, by their attempts.
    pub notes: Vec<u32>,
    /// Re-runs that `sweep` began.
    pub reruns: u32,
    /// Whether one was of a job that was not lost.
    pub wrong: bool,
    /// Whether somebody re-ran it by hand.
    pub by_hand: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Ends(End, Told),
    /// GitHub notices a runner that fell silent.
    Notices,
    OtherEnds,
    CancelsRun,
    /// Also once more for the same end.
    Cleanup,
    Sweep,
    /// GitHub begins the re-run, and its answer is lost.
    SweepWithoutAnswer,
    ByHand,
}

/// A rule that the model omits, so that the check must fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Any end of a task counts as taken away.
    TakesAnyEnd,
    /// The attempt does not bound the re-runs.
    KnowsNoBound,
    /// A note counts for every later attempt of its job.
    ForgetsTheAttempt,
    /// A note goes although its run goes on.
    IsImpatient,
    /// A run that somebody cancelled is re-run.
    IgnoresTheCancelled,
    /// A job that is run again may be on Spot.
    StaysOnSpot,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Reruns {
    /// The rule that the model omits.
    pub mutation: Option<Mutation>,
}

impl World {
    fn status(&self) -> JobStatus {
        let runner = Some(RUNNER.to_owned());
        let conclusion = match self.told {
            Told::Running => {
                return JobStatus::InProgress {
                    runner,
                    started_at: None,
                };
            }
            Told::Success => "success",
            Told::Failure => "failure",
            Told::Cancelled => "cancelled",
        };
        JobStatus::Completed {
            conclusion: Some(conclusion.to_owned()),
            runner,
            started_at: None,
            completed_at: None,
        }
    }

    /// Whether all jobs of the run have ended at GitHub.
    fn is_over(&self) -> bool {
        self.told != Told::Running && !self.other_runs
    }

    fn begin_attempt(&mut self, opted_in: bool) {
        self.attempt += 1;
        self.spot = !keeps_off_spot(opted_in, self.attempt);
        self.end = None;
        self.told = Told::Running;
        self.cleaned = false;
        self.cancelled = false;
    }
}

impl Reruns {
    fn without(self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn cleanup(self, world: &mut World) {
        world.cleaned = true;
        let lost = world.end == Some(End::Lost);
        let taken = lost || self.without(Mutation::TakesAnyEnd);
        let ended = Ended {
            outcome: if taken {
                Outcome::LostInJob
            } else {
                Outcome::RanJob
            },
            fault: None,
            detail: String::new(),
            task: Some(EndedTask {
                stop_code: Some(
                    if taken {
                        "SpotInterruption"
                    } else {
                        "EssentialContainerExited"
                    }
                    .to_owned(),
                ),
                ..EndedTask::default()
            }),
            retry_after: None,
        };
        let noted = notes_lost_job(LossSeen {
            ended: &ended,
            job: Some(&world.status()),
            runner: RUNNER,
            run_attempt: if self.without(Mutation::KnowsNoBound) {
                1
            } else {
                world.attempt
            },
        });
        if noted && !world.notes.contains(&world.attempt) {
            world.notes.push(world.attempt);
        }
    }

    fn sweep(self, world: &mut World, answered: bool) {
        let forgetful = self.without(Mutation::ForgetsTheAttempt);
        let unbound = self.without(Mutation::KnowsNoBound);
        let newest = world.notes.iter().max().copied();
        // Without bounds every attempt looks like the first, and without attempts like the note's.
        let seen = |attempt: u32| match (unbound, forgetful) {
            (true, _) => u32::from(attempt == world.attempt),
            (_, true) => newest.unwrap_or(attempt),
            _ => attempt,
        };
        let id = |attempt: u32| JobId(u64::from(if forgetful { 1 } else { attempt }));
        let notes: Vec<LostJob> = world
            .notes
            .iter()
            .map(|attempt| LostJob {
                id: id(*attempt),
                runner: RUNNER.to_owned(),
                run_attempt: seen(*attempt),
            })
            .collect();
        let jobs = [(id(world.attempt), world.status())];
        let decided = on_lost_jobs(
            &notes,
            RunOfLost {
                attempt: seen(world.attempt),
                over: world.is_over(),
                cancelled: world.cancelled && !self.without(Mutation::IgnoresTheCancelled),
                jobs: if world.is_over() { &jobs } else { &[] },
            },
        );
        match decided {
            OnLostJobs::Wait if !self.without(Mutation::IsImpatient) => {}
            OnLostJobs::Wait | OnLostJobs::Forget => world.notes.clear(),
            OnLostJobs::Rerun(_) | OnLostJobs::RerunFailed => {
                world.wrong |= world.end != Some(End::Lost) || world.cancelled;
                world.reruns += 1;
                world.begin_attempt(!self.without(Mutation::StaysOnSpot));
                if answered {
                    world.notes.clear();
                }
            }
        }
    }
}

impl Model for Reruns {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            attempt: 1,
            end: None,
            spot: true,
            told: Told::Running,
            cleaned: false,
            other_runs: true,
            cancelled: false,
            notes: Vec::new(),
            reruns: 0,
            wrong: false,
            by_hand: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.attempt >= ATTEMPTS {
            return;
        }
        if world.end.is_none() {
            actions.extend([
                Action::Ends(End::Succeeded, Told::Success),
                Action::Ends(End::Failed, Told::Failure),
                Action::Ends(End::Cancelled, Told::Cancelled),
                Action::Ends(End::Lost, Told::Running),
                Action::Ends(End::Lost, Told::Failure),
                Action::Ends(End::Lost, Told::Cancelled),
            ]);
        } else if world.told == Told::Running {
            actions.push(Action::Notices);
        }
        if world.other_runs {
            actions.push(Action::OtherEnds);
            // GitHub calls the run cancelled whatever its jobs are called.
            if world.end == Some(End::Lost) && world.told == Told::Failure {
                actions.push(Action::CancelsRun);
            }
        }
        if world.end.is_some() {
            actions.push(Action::Cleanup);
        }
        if !world.notes.is_empty() {
            actions.extend([Action::Sweep, Action::SweepWithoutAnswer]);
        }
        if world.is_over() && !world.by_hand {
            actions.push(Action::ByHand);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Ends(end, told) => {
                next.end = Some(end);
                next.told = told;
            }
            Action::Notices => next.told = Told::Failure,
            Action::OtherEnds => next.other_runs = false,
            Action::CancelsRun => {
                next.cancelled = true;
                next.other_runs = false;
            }
            Action::Cleanup => self.cleanup(&mut next),
            Action::Sweep => self.sweep(&mut next, true),
            Action::SweepWithoutAnswer => self.sweep(&mut next, false),
            Action::ByHand => {
                next.by_hand = true;
                next.begin_attempt(!self.without(Mutation::StaysOnSpot));
            }
        }
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("there are two re-runs at most", |_, world: &World| {
                world.reruns <= 2
            }),
            Property::always(
                "nothing is re-run that failed by itself or was cancelled",
                |_, world: &World| !world.wrong,
            ),
            Property::always(
                "a lost job that is not re-run has a note",
                |_, world: &World| {
                    let owed = world.end == Some(End::Lost) && world.cleaned && !world.cancelled;
                    !owed || world.attempt > 2 || world.notes.contains(&world.attempt)
                },
            ),
            Property::always("what is run again is not on Spot", |_, world: &World| {
                world.attempt == 1 || !world.spot
            }),
            Property::sometimes("a job is re-run twice", |_, world: &World| {
                world.reruns == 2
            }),
        ]
    }
}
