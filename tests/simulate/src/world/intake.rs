//! How a job gets its execution: webhook, `verify`, StartExecution, overflow queue.

use std::collections::VecDeque;
use std::time::Duration;

use admission::{About, Policy};
use decisions::{Attempt, Failure, OnQueued, on_queued};
use protocol::{LabelSet, OwnerType, State};
use time::OffsetDateTime;
use tokio::time::Instant;
use verify::throttle::Throttle;

use super::{Ending, Event, Job, JobId, SWEEP, Status, World, index};
use crate::faults::Broken;
use crate::limit::{SECOND, Time};
use crate::machine::Tries;
use crate::quotas::Limit;

/// Readers of the overflow queue, as in `cdk/src/front-door.ts`.
const READERS: u8 = 2;
/// How often they look at an empty queue.
const LOOK: Time = SECOND / 20;
/// How long a call of StartExecution takes.
const CALL: Time = SECOND / 25;

/// The sandboxes of `verify`, and the overflow queue.
#[derive(Debug)]
pub(super) struct Intake {
    /// The clock of the throttles begins here.
    begun: Instant,
    /// What each sandbox for webhooks knows; a webhook goes to the first that is free.
    sandboxes: Vec<Throttle>,
    busy: usize,
    readers: Vec<(Throttle, bool)>,
    queue: VecDeque<JobId>,
    /// A job as its webhook tells it; only its repository matters here.
    told: protocol::Job,
}

/// One owner, whose jobs ask for a self-hosted runner.
pub(super) fn policy() -> anyhow::Result<Policy> {
    Ok(Policy {
        owners: vec!["octo".parse()?],
        required: "self-hosted".parse()?,
        ..Policy::default()
    })
}

impl Intake {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            begun: Instant::now(),
            sandboxes: Vec::new(),
            busy: 0,
            readers: (0..READERS).map(|_| (Throttle::default(), false)).collect(),
            queue: VecDeque::new(),
            told: protocol::Job {
                id: protocol::JobId(1),
                run_id: 1,
                run_attempt: 1,
                name: "build".to_owned(),
                workflow: String::new(),
                repository: "octo/hello".parse()?,
                owner_type: OwnerType::Organization,
                private: true,
                labels: LabelSet::new(["self-hosted", "linux", "x64"]),
                installation_id: Some(1),
                queued_at: OffsetDateTime::UNIX_EPOCH,
                created_at: None,
            },
        })
    }

    fn instant(&self, now: Time) -> Instant {
        self.begun + Duration::from_micros(now)
    }

    fn time(&self, at: Instant) -> Time {
        let since = at.duration_since(self.begun).as_micros();
        Time::try_from(since).unwrap_or(Time::MAX)
    }
}

impl World<'_> {
    /// GitHub queues the next job and sends its webhook.
    pub(super) fn queued(&mut self) {
        let next = self.jobs.len();
        let Some(arrival) = self.arrivals.get(next).copied() else {
            return;
        };
        if arrival.at > self.now {
            return self.at(arrival.at, Event::Queued);
        }
        self.jobs.push(Job {
            queued: self.now,
            work: arrival.work,
            repository: arrival.repository,
            status: Status::Queued,
            state: State::Match,
            tries: Tries::default(),
            attempt: Attempt::first(),
            doubted: false,
            ending: Ending::RanJob,
            pause: 0,
            writes: 0,
            failure: Failure::Unknown,
            failures: 0,
            task: None,
            refused: None,
            noted: None,
        });
        let job = JobId::try_from(next).unwrap_or(JobId::MAX);
        self.figures.open += 1;
        let mut delay = self.setup.timings.webhook.draw(&mut self.rng);
        let lost = self.setup.faults.is_broken(Broken::Webhooks, self.now);
        if lost {
            delay = self.next_sweep();
        }
        self.after(delay, Event::Webhook { job, again: lost });
        self.offer(job);
        if let Some(next) = self.arrivals.get(next + 1) {
            self.at(next.at.max(self.now), Event::Queued);
        }
    }

    /// How long it takes until `sweep` has a lost or refused webhook delivered again.
    fn next_sweep(&self) -> Time {
        let outages = &self.setup.faults.outages;
        let over = outages
            .iter()
            .filter(|(broken, when)| *broken == Broken::Webhooks && when.contains(&self.now));
        let from = over.map(|(_, when)| when.end).max().unwrap_or(self.now);
        (from / SWEEP + 1) * SWEEP - self.now
    }

    /// `verify` gets a webhook.
    pub(super) fn webhook(&mut self, job: JobId, again: bool) {
        if self.functions >= self.setup.quotas.lambda {
            // Lambda answers 429 itself.
            self.refused(Limit::LambdaConcurrency);
            let delay = self.next_sweep();
            return self.after(delay, Event::Webhook { job, again: true });
        }
        if self
            .policy
            .admit(&self.intake.told, &About::default())
            .is_err()
        {
            return;
        }
        let OnQueued::Start { recheck } = on_queued(None, 1, again) else {
            return;
        };
        self.job(job).doubted = recheck;
        let now = self.intake.instant(self.now);
        let sandbox = self.intake.busy;
        if sandbox == self.intake.sandboxes.len() {
            self.intake.sandboxes.push(Throttle::default());
        }
        self.functions += 1;
        self.intake.busy += 1;
        let shared = self.setup.timings.machine;
        let processed = shared.map_or(0, |machine| self.processed(machine.function));
        let ended = (self.now + CALL).max(processed);
        self.at(ended, Event::Answered);
        if self.intake.sandboxes[sandbox].holds(now) {
            return self.keep_job(job);
        }
        if self.starts_execution() {
            return self.at(ended, Event::Enter(job));
        }
        let jitter = self.rng.f64();
        self.intake.sandboxes[sandbox].refused(now, jitter);
        self.keep_job(job);
    }

    pub(super) fn answered(&mut self) {
        self.functions = self.functions.saturating_sub(1);
        self.intake.busy = self.intake.busy.saturating_sub(1);
    }

    /// Calls StartExecution.
    fn starts_execution(&mut self) -> bool {
        self.figures.start_calls += 1;
        if self
            .setup
            .faults
            .is_broken(Broken::StartExecution, self.now)
        {
            return false;
        }
        let granted = self.buckets.start_execution.take(self.now, 1);
        if !granted {
            self.refused(Limit::StartExecution);
        }
        granted
    }

    /// Puts a job into the overflow queue, and wakes its readers.
    fn keep_job(&mut self, job: JobId) {
        self.figures.kept += 1;
        let kept = &mut self.jobs[index(job)];
        kept.doubted = true;
        kept.refused = Some(Limit::StartExecution);
        self.intake.queue.push_back(job);
        for reader in 0..READERS {
            let (_, at_work) = &mut self.intake.readers[usize::from(reader)];
            if !*at_work {
                *at_work = true;
                self.after(LOOK, Event::Drain(reader));
            }
        }
    }

    /// A reader starts the queue's next job, if it is time for that.
    pub(super) fn drain(&mut self, reader: u8) {
        let Some(job) = self.intake.queue.front().copied() else {
            self.intake.readers[usize::from(reader)].1 = false;
            return;
        };
        let now = self.intake.instant(self.now);
        let next = self.intake.readers[usize::from(reader)].0.next(now);
        if next > now {
            let next = self.intake.time(next).max(self.now + 1);
            return self.at(next, Event::Drain(reader));
        }
        self.intake.readers[usize::from(reader)].0.calls(now);
        self.intake.queue.pop_front();
        let granted = self.starts_execution();
        let jitter = self.rng.f64();
        let ended = self.intake.instant(self.now + CALL);
        let throttle = &mut self.intake.readers[usize::from(reader)].0;
        if granted {
            throttle.granted_message();
            let (limit, waited) = (Limit::StartExecution, self.now - self.job(job).queued);
            self.figures.lost(limit, waited);
            self.after(CALL, Event::Enter(job));
        } else {
            throttle.refused_message(now, ended, jitter);
            self.intake.queue.push_front(job);
        }
        self.after(CALL, Event::Drain(reader));
    }
}
