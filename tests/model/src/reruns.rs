//! Explores a run whose job is taken away by Spot, fails by itself or is cancelled, while another job of
//! the run goes on, answers are lost and people re-run it or cancel it.
//!
//! The job's own runner may have it, or another job's. Of the latter only GitHub's webhook tells, or the end
//! of the job's own execution, before or after the runner's end. Both sides note what they know in two
//! steps, which may interleave.
//!
//! The moment between GitHub's cancellation and the job's end is left out: a task that is taken away in it
//! looks like any other that is.

use std::time::Duration;

use decisions::{
    Ended, EndedTask, JobStatus, Loss, LostJob, OnLostJobs, Outcome, RunOfLost, TakenJob,
    keeps_off_spot, loss, lost_job, on_lost_jobs,
};
use protocol::JobId;
use stateright::{Model, Property};
use time::OffsetDateTime;

const RUNNER: &str = "fr-hello-1";
/// When a task that was taken away had stopped.
const STOPPED: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
/// When GitHub notices a runner that fell silent.
const NOTICED: Duration = Duration::from_mins(10);
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
    /// Failed, because its runner fell silent.
    Silence,
}

/// What ECS and the agent say of the end of the job's runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// It ran its job.
    Ran,
    /// Taken away in its job.
    InJob,
    /// Taken away, without a word about a job.
    Silent,
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
    pub word: Word,
    /// Whether another job's runner has it.
    pub displaced: bool,
    /// The attempts of which nothing has told yet that another job's runner has the job.
    pub untold: Vec<u32>,
    /// Whether `cleanup` has seen its end.
    pub cleaned: bool,
    /// Whether `cleanup` is between its two calls, and what it has read by then.
    pub cleaning: Option<bool>,
    /// The attempt of which a displaced job is being noted, between two calls.
    pub telling: Option<u32>,
    /// The attempts whose runner's loss is noted, without its job.
    pub losses: Vec<(u32, Loss)>,
    /// The attempts whose job is noted as taken by another job's runner.
    pub taken: Vec<u32>,
    /// Whether the run's other job goes on.
    pub other_runs: bool,
    /// Whether somebody cancelled the run.
    pub cancelled: bool,
    /// The notes of lost jobs in the table; the id of each is its attempt.
    pub notes: Vec<LostJob>,
    /// Re-runs that `sweep` began.
    pub reruns: u32,
    /// Whether one was of a job that was not lost.
    pub wrong: bool,
    /// Whether somebody re-ran it by hand.
    pub by_hand: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Another job's runner takes it.
    Displace,
    Ends(End, Told, Word),
    /// GitHub notices a runner that fell silent.
    Notices,
    OtherEnds,
    CancelsRun,
    /// Also once more for the same end.
    Cleanup,
    CleanupGoesOn,
    /// Something tells that another job's runner had the job of this attempt.
    Tell(u32),
    TellGoesOn,
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
    /// A runner's loss is not noted without its job.
    ForgetsTheLoss,
    /// `cleanup` looks for the job before it notes the loss.
    LooksFirst,
    /// A runner that says nothing of a job counts as one that lost it.
    TrustsSilence,
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
            Told::Failure | Told::Silence => "failure",
            Told::Cancelled => "cancelled",
        };
        let late = self.told == Told::Silence || self.cancelled;
        let completed_at = if late { STOPPED + NOTICED } else { STOPPED };
        JobStatus::Completed {
            conclusion: Some(conclusion.to_owned()),
            runner,
            started_at: None,
            completed_at: Some(completed_at),
        }
    }

    /// How the job's runner ended.
    fn ended(&self) -> Ended {
        let (outcome, code) = match self.word {
            Word::Ran => (Outcome::RanJob, "EssentialContainerExited"),
            Word::InJob => (Outcome::LostInJob, "SpotInterruption"),
            Word::Silent => (Outcome::SpotInterruption, "SpotInterruption"),
        };
        Ended {
            outcome,
            fault: None,
            detail: String::new(),
            task: Some(EndedTask {
                stop_code: Some(code.to_owned()),
                stopped_at: Some("1970-01-01T00:00:00Z".into()),
                ..EndedTask::default()
            }),
            retry_after: None,
        }
    }

    fn note(&mut self, lost: Option<LostJob>) {
        if let Some(lost) = lost
            && !self.notes.contains(&lost)
        {
            self.notes.push(lost);
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
        self.word = Word::Ran;
        self.displaced = false;
        self.cleaned = false;
        self.cleaning = None;
        self.cancelled = false;
    }
}

impl Reruns {
    fn without(self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// The job to be run again, by what is known.
    fn lost(
        self,
        known: Option<Loss>,
        attempt: Option<u32>,
        status: Option<&JobStatus>,
    ) -> Option<LostJob> {
        let taken = attempt.map(|attempt| TakenJob {
            id: JobId(attempt.into()),
            run_attempt: if self.without(Mutation::KnowsNoBound) {
                1
            } else {
                attempt
            },
            status,
            runner: RUNNER,
        });
        lost_job(known, taken).map(|lost| LostJob {
            run_attempt: attempt.unwrap_or_default(),
            ..lost
        })
    }

    fn loss(self, world: &World) -> Option<Loss> {
        if self.without(Mutation::TakesAnyEnd) {
            return Some(Loss::InJob);
        }
        let found = loss(&world.ended());
        found.map(|found| {
            if self.without(Mutation::TrustsSilence) {
                Loss::InJob
            } else {
                found
            }
        })
    }

    /// `cleanup` knows at once of the runner's own job.
    fn cleanup(self, world: &mut World) {
        if world.displaced {
            let found = world.taken.contains(&world.attempt);
            world.cleaning = Some(found);
            if !self.without(Mutation::LooksFirst) {
                self.note_loss(world);
            }
        } else {
            let lost = self.lost(self.loss(world), Some(world.attempt), Some(&world.status()));
            world.note(lost);
            world.cleaned = true;
        }
    }

    fn note_loss(self, world: &mut World) {
        let found = self.loss(world).map(|loss| (world.attempt, loss));
        if let Some(found) = found.filter(|_| !self.without(Mutation::ForgetsTheLoss))
            && !world.losses.contains(&found)
        {
            world.losses.push(found);
        }
    }

    fn cleanup_goes_on(self, world: &mut World, looked: bool) {
        let looked_first = self.without(Mutation::LooksFirst);
        if looked_first {
            self.note_loss(world);
        }
        let attempt = world.attempt;
        let found = if looked_first {
            looked
        } else {
            world.taken.contains(&attempt)
        };
        let lost = self.lost(self.loss(world), found.then_some(attempt), None);
        world.note(lost);
        world.cleaning = None;
        world.cleaned = true;
    }

    fn tell_goes_on(self, world: &mut World, attempt: u32) {
        let mut losses = world.losses.iter();
        let known = losses.find_map(|(of, loss)| (*of == attempt).then_some(*loss));
        let lost = self.lost(known, Some(attempt), None);
        world.note(lost);
        world.telling = None;
        world.untold.retain(|of| *of != attempt);
    }

    fn sweep(self, world: &mut World, answered: bool) {
        let forgetful = self.without(Mutation::ForgetsTheAttempt);
        let unbound = self.without(Mutation::KnowsNoBound);
        let newest = world.notes.iter().map(|note| note.run_attempt).max();
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
            .map(|note| LostJob {
                id: id(note.run_attempt),
                run_attempt: seen(note.run_attempt),
                ..note.clone()
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
            word: Word::Ran,
            displaced: false,
            untold: Vec::new(),
            cleaned: false,
            cleaning: None,
            telling: None,
            losses: Vec::new(),
            taken: Vec::new(),
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
            // The agent may not get to say that the job had ended before its task was taken away.
            for word in [Word::Ran, Word::Silent] {
                actions.extend([
                    Action::Ends(End::Succeeded, Told::Success, word),
                    Action::Ends(End::Failed, Told::Failure, word),
                    Action::Ends(End::Cancelled, Told::Cancelled, word),
                ]);
            }
            actions.extend([
                Action::Ends(End::Lost, Told::Running, Word::InJob),
                Action::Ends(End::Lost, Told::Failure, Word::InJob),
                Action::Ends(End::Lost, Told::Cancelled, Word::InJob),
                Action::Ends(End::Lost, Told::Running, Word::Silent),
            ]);
            if !world.displaced {
                actions.push(Action::Displace);
            }
        } else if world.told == Told::Running {
            actions.push(Action::Notices);
        }
        if world.other_runs {
            actions.push(Action::OtherEnds);
            // GitHub calls the run cancelled whatever its jobs are called.
            let unnoticed = world.told == Told::Running && world.word == Word::Silent;
            let failed = matches!(world.told, Told::Failure | Told::Silence);
            if world.end == Some(End::Lost) && (failed || unnoticed) {
                actions.push(Action::CancelsRun);
            }
        }
        if world.end.is_some() {
            actions.push(Action::Cleanup);
        }
        if world.cleaning.is_some() {
            actions.push(Action::CleanupGoesOn);
        }
        if world.telling.is_some() {
            actions.push(Action::TellGoesOn);
        } else {
            actions.extend(world.untold.iter().map(|attempt| Action::Tell(*attempt)));
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
            Action::Displace => {
                next.displaced = true;
                next.untold.push(next.attempt);
            }
            Action::Ends(end, told, says) => {
                next.end = Some(end);
                next.told = told;
                next.word = says;
            }
            Action::Notices => next.told = Told::Silence,
            Action::OtherEnds => next.other_runs = false,
            Action::CancelsRun => {
                next.cancelled = true;
                next.other_runs = false;
                if next.told == Told::Running {
                    next.told = Told::Cancelled;
                }
            }
            Action::Cleanup => self.cleanup(&mut next),
            Action::CleanupGoesOn => {
                let looked = next.cleaning?;
                self.cleanup_goes_on(&mut next, looked);
            }
            Action::Tell(attempt) => {
                next.telling = Some(attempt);
                if !next.taken.contains(&attempt) {
                    next.taken.push(attempt);
                }
            }
            Action::TellGoesOn => {
                let attempt = next.telling?;
                self.tell_goes_on(&mut next, attempt);
            }
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
                    let lost = world.end == Some(End::Lost) && !world.cancelled;
                    let known = world.cleaned && !world.untold.contains(&world.attempt);
                    let of_it = |note: &LostJob| note.run_attempt == world.attempt;
                    !(lost && known) || world.attempt > 2 || world.notes.iter().any(of_it)
                },
            ),
            Property::always("what is run again is not on Spot", |_, world: &World| {
                world.attempt == 1 || !world.spot
            }),
            Property::sometimes("a job is re-run twice", |_, world: &World| {
                world.reruns == 2
            }),
            Property::sometimes(
                "another job's runner lost it, and it is re-run",
                |_, world: &World| world.reruns > 0 && world.taken.contains(&1),
            ),
        ]
    }
}
