//! Plays a schedule: queues and cancels jobs, causes faults, and sweeps, until everything has
//! settled.

mod asks;
mod deeds;
mod finds;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use github_standin::{
    Access, Assignment, DeliveryFault, DeliveryFaultKind, Job, NewJob, OwnerType, Settings,
};
use protocol::ExecutionName;
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;
use tooling::Step;

use crate::account::Facts;
use crate::orders::{Deed, Order, Spell, order};
use crate::schedule::{ChaosFault, LABELS, PlannedJob, REPOSITORIES, Schedule, Webhook};
use crate::site::{Site, WARM_GROUP};

use asks::Done;
pub use asks::Explained;

/// Interval between two looks for due actions.
const TICK: Duration = Duration::from_millis(100);
/// Interval between two looks at the whole state.
const LOOK: Duration = Duration::from_secs(1);
/// Interval of the sweeps; five minutes on AWS.
const ROUND: Duration = Duration::from_secs(8);
/// Factor by which AWS's clock is faster: something idle or left over for half a minute counts as
/// ten minutes.
const SPEED: u32 = 20;
/// How long an action waits for something to act on.
const CHANCE: Duration = Duration::from_secs(20);
/// How long to wait for events in flight after everything seems settled.
const CALM: Duration = Duration::from_secs(6);
/// Nothing will change any more after this time without a change: longer than any wait in a run.
const STANDSTILL: Duration = Duration::from_secs(150);
/// Time limit from the last job until everything has settled, plus the second one for each job.
const LIMIT: Duration = Duration::from_mins(5);
const LIMIT_EACH: Duration = Duration::from_secs(6);
/// Seconds from an interruption until the task is killed; 120 on AWS. As on AWS, the agent's limit for its
/// listener is shorter.
const SPOT_GRACE: u32 = 6;
/// Maximum number of deliveries of a webhook: the first one, and five that `sweep` requests.
const DELIVERIES: usize = 6;
/// Age of a job whose `queued` event is late, as GitHub's webhooks were in August 2026.
const LATE_BY: time::Duration = time::Duration::minutes(30);

/// A finished run.
#[derive(Debug)]
pub struct Played {
    pub facts: Facts,
    /// Number of faults ordered of each kind, and how often they took effect.
    pub faults: BTreeMap<ChaosFault, (u32, u32)>,
    /// Number of `queued` events that were lost, duplicated, late and rejected.
    pub announcements: [usize; 4],
    /// Number of sweeps, and how many of them were incomplete.
    pub rounds: (usize, usize),
    pub took: Duration,
    /// What `why` said of the jobs that ended badly or waited long.
    pub explained: Explained,
}

/// Plays a schedule to its end.
pub async fn play(site: &Site, schedule: &Schedule, step: &Step) -> anyhow::Result<Played> {
    let mut player = Player::new(site, schedule).await?;
    let mut rounds = (0, 0);
    tokio::select! {
        done = async { player.act(step).await?; player.settle(step).await } => done?,
        swept = sweep(site, schedule.seed, &mut rounds) => swept?,
    }
    let took = player.begun.elapsed();
    let (faults, hits) = player.faults().await?;
    step.note("asking why");
    let explained = player.ask(&hits).await?;
    player.close().await?;
    Ok(Played {
        rounds,
        took,
        faults,
        announcements: announcements(schedule),
        explained,
        facts: player.facts().await?,
    })
}

/// Prefix of a seed's repositories, and so of its executions.
fn stem(seed: u64) -> String {
    format!("seed{seed}-")
}

/// Sweeps forever.
async fn sweep(site: &Site, seed: u64, rounds: &mut (usize, usize)) -> anyhow::Result<()> {
    let seconds = ROUND.as_secs() * u64::from(SPEED);
    let stem = stem(seed);
    // What belongs to jobs; the stock with the keeper's notes, and its bells; tasks without a job.
    let aged = [
        json!({ "match": stem, "seconds": seconds }),
        json!({ "match": "stock#", "seconds": seconds }),
        json!({ "match": "bell#", "but": stem, "seconds": seconds }),
        json!({ "match": WARM_GROUP, "but": stem, "seconds": seconds }),
    ];
    let mut interval = tokio::time::interval(ROUND);
    interval.tick().await;
    loop {
        interval.tick().await;
        for order in &aged {
            site.control(Method::POST, "/ages", order).await?;
        }
        rounds.0 += 1;
        rounds.1 += usize::from(!site.sweep().await);
        site.keep().await;
    }
}

fn announcements(schedule: &Schedule) -> [usize; 4] {
    let mut counts = [0; 4];
    for webhook in schedule.jobs.iter().filter_map(|job| job.webhook) {
        counts[match webhook {
            Webhook::Lost => 0,
            Webhook::Duplicated => 1,
            Webhook::Late(_) => 2,
            Webhook::Refused(_) => 3,
        }] += 1;
    }
    counts
}

#[derive(Debug)]
struct Queued {
    id: u64,
    name: String,
    /// When to cancel it.
    cancel_at: Option<Duration>,
    cancelled: bool,
    runs: PathBuf,
}

/// An action that waits for something to act on.
#[derive(Clone, Copy, Debug)]
struct Pending {
    kind: ChaosFault,
    deed: Deed,
    whom: usize,
    until: Duration,
}

#[derive(Debug)]
struct Player<'a> {
    site: &'a Site,
    schedule: &'a Schedule,
    begun: Instant,
    queued: Vec<Queued>,
    pending: Vec<Pending>,
    /// Faults ordered from the engine, in order.
    ordered: Vec<ChaosFault>,
    /// Number of actions and conditions that took effect.
    done: BTreeMap<ChaosFault, u32>,
    /// Runners whose task the run stopped.
    ended: BTreeSet<String>,
    /// Tasks of the stock that the run stopped. A runner may have come to them meanwhile.
    ended_waiting: BTreeSet<String>,
    /// Tasks whose processes are stopped, by id, and until when.
    hanging: BTreeMap<String, Duration>,
    /// What the run did to tasks, runners and executions.
    deeds: Vec<Done>,
    /// Executions that the run closed.
    closed: BTreeSet<String>,
    /// Those of them that were aborted, so that none may follow.
    aborted: BTreeSet<String>,
    /// Jobs that an abort left in the queue.
    abandoned: BTreeSet<u64>,
    /// Current conditions, with their ends.
    spells: BTreeMap<Spell, Duration>,
    settled: bool,
}

impl<'a> Player<'a> {
    async fn new(site: &'a Site, schedule: &'a Schedule) -> anyhow::Result<Self> {
        for path in ["/faults", "/calls", "/switches"] {
            site.control(Method::DELETE, path, &Value::Null).await?;
        }
        let github = site.github();
        github.clear_faults();
        github.clear_requests();
        if site.setup.reruns {
            let repository = format!("octo/{}{}", stem(schedule.seed), REPOSITORIES[0]);
            github.add_repository(&repository, OwnerType::Organization, true)?;
            github.set_permission("octo", "actions", Some(Access::Write));
        }
        github.change_settings(|settings| {
            *settings = Settings {
                assignment: Assignment::Random {
                    seed: schedule.seed,
                },
                session_timeout_ms: 5_000,
                lease_grace_ms: 10_000,
                ..Settings::default()
            };
        });
        Ok(Self {
            site,
            schedule,
            begun: Instant::now(),
            queued: Vec::new(),
            pending: Vec::new(),
            ordered: Vec::new(),
            done: BTreeMap::new(),
            ended: BTreeSet::new(),
            ended_waiting: BTreeSet::new(),
            hanging: BTreeMap::new(),
            deeds: Vec::new(),
            closed: BTreeSet::new(),
            aborted: BTreeSet::new(),
            abandoned: BTreeSet::new(),
            spells: BTreeMap::new(),
            settled: false,
        })
    }

    /// Carries out the schedule.
    async fn act(&mut self, step: &Step) -> anyhow::Result<()> {
        let (mut jobs, mut faults) = (
            self.schedule.jobs.iter().enumerate().peekable(),
            self.schedule.faults.iter().peekable(),
        );
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            let now = self.begun.elapsed();
            while let Some((number, planned)) = jobs.next_if(|(_, job)| job.at <= now) {
                self.queue(number, planned)?;
            }
            self.cancel(now);
            while let Some(fault) = faults.next_if(|fault| fault.at <= now) {
                match order(fault) {
                    Order::Engine(fault_of_engine) => {
                        let path = "/faults";
                        self.site
                            .control(Method::POST, path, &fault_of_engine)
                            .await?;
                        self.ordered.push(fault.kind);
                    }
                    Order::GitHub(fault) => self.site.github().fault(fault),
                    Order::Webhook(fault) => self.site.github().delivery_fault(fault),
                    Order::Deed(deed) => self.pending.push(Pending {
                        kind: fault.kind,
                        deed,
                        whom: fault.whom,
                        until: now + CHANCE,
                    }),
                    Order::Spell(spell, length) => {
                        self.begin_spell(spell, now + length).await?;
                        *self.done.entry(fault.kind).or_default() += 1;
                    }
                }
            }
            self.do_pending(now).await?;
            self.end_spells(now).await?;
            self.let_go_on(now).await;
            step.note(&format!("{} jobs queued", self.queued.len()));
            let waits = self.queued.iter().any(|job| job.cancel_at.is_some());
            let pending =
                !self.pending.is_empty() || !self.spells.is_empty() || !self.hanging.is_empty();
            if jobs.peek().is_none() && faults.peek().is_none() && !pending && !waits {
                return Ok(());
            }
        }
    }

    fn queue(&mut self, number: usize, planned: &PlannedJob) -> anyhow::Result<()> {
        let kind = planned.webhook.map(|webhook| match webhook {
            Webhook::Lost => DeliveryFaultKind::Fail { status: 502 },
            Webhook::Refused(status) => DeliveryFaultKind::Fail { status },
            Webhook::Duplicated => DeliveryFaultKind::Duplicate { copies: 1 },
            Webhook::Late(late) => DeliveryFaultKind::Delay {
                milliseconds: u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
            },
        });
        let github = self.site.github();
        if let Some(kind) = kind {
            // The next `queued` event is this job's.
            github.delivery_fault(DeliveryFault::new(kind).on("queued"));
        }
        let seed = self.schedule.seed;
        let name = format!("job-{number:03}");
        let runs = self.site.runs.join(format!("{seed}-{name}"));
        let job = github.create_job(NewJob {
            repository: format!("octo/{}{}", stem(seed), REPOSITORIES[planned.repository]),
            labels: LABELS[planned.labels]
                .iter()
                .map(ToString::to_string)
                .collect(),
            run: format!(
                "echo run >> '{}'; sleep {:.3}",
                runs.display(),
                planned.takes.as_secs_f64()
            ),
            name: name.clone(),
            created_at: matches!(planned.webhook, Some(Webhook::Late(_)))
                .then(|| OffsetDateTime::now_utc() - LATE_BY),
            ..NewJob::default()
        })?;
        self.queued.push(Queued {
            id: job.id,
            name,
            cancel_at: planned.cancelled_after.map(|after| planned.at + after),
            cancelled: false,
            runs,
        });
        Ok(())
    }

    fn cancel(&mut self, now: Duration) {
        for job in &mut self.queued {
            if job.cancel_at.is_some_and(|at| at <= now) {
                job.cancel_at = None;
                // GitHub refuses to cancel a job that has ended.
                job.cancelled = self.site.github().cancel_job(job.id).is_ok();
            }
        }
    }

    async fn running(&self) -> anyhow::Result<Vec<String>> {
        let observer = &self.site.observer;
        let input = json!({ "stateMachineArn": observer.machine, "statusFilter": "RUNNING" });
        let found = observer.aws.states("ListExecutions", input).await?;
        let executions = found["executions"].as_array().into_iter().flatten();
        Ok(executions
            .filter_map(|execution| execution["name"].as_str().map(str::to_owned))
            .collect())
    }
}

/// Names of a job's executions, oldest first.
pub fn executions_of(first: &str) -> impl Iterator<Item = String> {
    let first: Option<ExecutionName> = first.parse().ok();
    std::iter::successors(first, |name| name.next().ok()).map(|name| name.to_string())
}

/// A short description of a job's status at GitHub.
pub fn described(job: &Job) -> String {
    let conclusion = job.conclusion.as_deref().unwrap_or("no conclusion");
    let runner = job.runner.as_deref().unwrap_or("no runner");
    format!("{} ({conclusion}), {runner}", job.status.as_str())
}
