//! Playing a schedule: jobs are queued and cancelled, faults come, `sweep` makes its rounds, until
//! everything has settled.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use github_standin::{
    Assignment, Delivery, DeliveryFault, DeliveryFaultKind, Fault, Hook, Job, JobStatus, NewJob,
    Snapshot,
};
use job::ExecutionName;
use local_stack::runner_of;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use workshop::Step;

use crate::account::{Facts, JobFacts, Stop};
use crate::orders::{Deed, Order, PAUSE, order};
use crate::schedule::{Kind, LABELS, PlannedJob, REPOSITORIES, Schedule, Webhook};
use crate::site::Site;

/// How often it is looked whether something is due.
const TICK: Duration = Duration::from_millis(100);
/// How often it is looked at everything.
const LOOK: Duration = Duration::from_secs(1);
/// `sweep` comes so often; every five minutes on AWS.
const ROUND: Duration = Duration::from_secs(8);
/// For AWS time passes so much faster: what is idle or left for ten minutes is so after half of one.
const SPEED: u32 = 20;
/// Somebody to meet is waited for so long.
const CHANCE: Duration = Duration::from_secs(20);
/// An event that is on its way when all seems settled shows within this.
const CALM: Duration = Duration::from_secs(3);
/// Where nothing changes for so long, nothing will: longer than any wait there is here.
const STANDSTILL: Duration = Duration::from_secs(150);
/// Everything has settled so long after the last job, and this for each job.
const LIMIT: Duration = Duration::from_mins(5);
const LIMIT_EACH: Duration = Duration::from_secs(6);
/// What an interrupted task is given.
const SPOT_GRACE: u32 = 2;
/// How often GitHub is asked to repeat a webhook at most.
const DELIVERIES: usize = 5;
/// ECS describes so many tasks at once.
const TASKS: usize = 100;

/// What was played.
#[derive(Debug)]
pub struct Played {
    /// What was found at the end.
    pub facts: Facts,
    /// How many faults of each kind were ordered, and how often they met something.
    pub faults: BTreeMap<Kind, (u32, u32)>,
    /// Webhooks of announcements that were lost, doubled and late.
    pub announcements: [usize; 3],
    /// Rounds of `sweep`, and how many of them left something undone.
    pub rounds: (usize, usize),
    /// How long it took.
    pub took: Duration,
}

/// Plays a schedule to its end.
pub async fn play(site: &Site, schedule: &Schedule, step: &Step) -> anyhow::Result<Played> {
    let mut player = Player::new(site, schedule).await?;
    let mut rounds = (0, 0);
    tokio::select! {
        done = async { player.act(step).await?; player.settle(step).await } => done?,
        swept = sweep(site, schedule.seed, &mut rounds) => swept?,
    }
    player.close().await?;
    Ok(Played {
        rounds,
        took: player.begun.elapsed(),
        faults: player.faults().await?,
        announcements: announcements(schedule),
        facts: player.facts().await?,
    })
}

/// What the names of a seed's repositories begin with, and so those of its executions.
fn stem(seed: u64) -> String {
    format!("seed{seed}-")
}

/// Sweeps for ever.
async fn sweep(site: &Site, seed: u64, rounds: &mut (usize, usize)) -> anyhow::Result<()> {
    let aged = json!({ "match": stem(seed), "seconds": ROUND.as_secs() * u64::from(SPEED) });
    let mut interval = tokio::time::interval(ROUND);
    interval.tick().await;
    loop {
        interval.tick().await;
        site.control(Method::POST, "/ages", &aged).await?;
        rounds.0 += 1;
        rounds.1 += usize::from(!site.sweep().await);
    }
}

fn announcements(schedule: &Schedule) -> [usize; 3] {
    let mut counts = [0; 3];
    for webhook in schedule.jobs.iter().filter_map(|job| job.webhook) {
        counts[match webhook {
            Webhook::Lost => 0,
            Webhook::Duplicated => 1,
            Webhook::Late(_) => 2,
        }] += 1;
    }
    counts
}

/// A job that was queued.
#[derive(Debug)]
struct Queued {
    id: u64,
    name: String,
    /// When it is to be cancelled.
    cancel_at: Option<Duration>,
    cancelled: bool,
    runs: PathBuf,
}

/// Something to be done to somebody.
#[derive(Clone, Copy, Debug)]
struct Pending {
    kind: Kind,
    deed: Deed,
    whom: usize,
    until: Duration,
}

/// A task that runs.
#[derive(Clone, Debug)]
struct Task {
    id: String,
    runner: String,
}

#[derive(Debug)]
struct Player<'a> {
    site: &'a Site,
    schedule: &'a Schedule,
    begun: Instant,
    queued: Vec<Queued>,
    pending: Vec<Pending>,
    /// Faults ordered from the engine, in order.
    ordered: Vec<Kind>,
    /// Deeds that met somebody.
    done: BTreeMap<Kind, u32>,
    /// Runners whose task the run ended.
    ended: BTreeSet<String>,
    /// Executions that the run closed.
    closed: BTreeSet<String>,
    /// Of these, the ones that nobody is to follow.
    aborted: BTreeSet<String>,
    /// Jobs that an abort left in the queue.
    abandoned: BTreeSet<u64>,
    /// When GitHub assigns jobs again, where it does not now.
    assigning_again: Option<Duration>,
    settled: bool,
}

impl<'a> Player<'a> {
    async fn new(site: &'a Site, schedule: &'a Schedule) -> anyhow::Result<Self> {
        for path in ["/faults", "/calls"] {
            site.control(Method::DELETE, path, &Value::Null).await?;
        }
        let github = site.github();
        github.clear_faults();
        github.clear_requests();
        github.change_settings(|settings| {
            settings.assignment = Assignment::Random {
                seed: schedule.seed,
            };
            settings.assigning = true;
            settings.session_timeout_ms = 5_000;
            settings.lease_grace_ms = 10_000;
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
            closed: BTreeSet::new(),
            aborted: BTreeSet::new(),
            abandoned: BTreeSet::new(),
            assigning_again: None,
            settled: false,
        })
    }

    /// Does everything at its time.
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
                }
            }
            self.do_pending(now).await?;
            self.assign_again(now);
            step.note(&format!("{} jobs queued", self.queued.len()));
            let waits = self.queued.iter().any(|job| job.cancel_at.is_some());
            let pending = !self.pending.is_empty() || self.assigning_again.is_some();
            if jobs.peek().is_none() && faults.peek().is_none() && !pending && !waits {
                return Ok(());
            }
        }
    }

    fn queue(&mut self, number: usize, planned: &PlannedJob) -> anyhow::Result<()> {
        let kind = planned.webhook.map(|webhook| match webhook {
            Webhook::Lost => DeliveryFaultKind::Fail { status: 502 },
            Webhook::Duplicated => DeliveryFaultKind::Duplicate { copies: 1 },
            Webhook::Late(late) => DeliveryFaultKind::Delay {
                milliseconds: u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
            },
        });
        let github = self.site.github();
        if let Some(kind) = kind {
            // The next announcement is this job's.
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
                // One that has ended can't be cancelled any more.
                job.cancelled = self.site.github().cancel_job(job.id).is_ok();
            }
        }
    }

    async fn do_pending(&mut self, now: Duration) -> anyhow::Result<()> {
        let mut waiting = Vec::new();
        for pending in std::mem::take(&mut self.pending) {
            if self.try_deed(pending).await? {
                *self.done.entry(pending.kind).or_default() += 1;
            } else if now < pending.until {
                waiting.push(pending);
            }
        }
        self.pending = waiting;
        Ok(())
    }

    fn assign_again(&mut self, now: Duration) {
        if self.assigning_again.is_some_and(|at| at <= now) {
            self.assigning_again = None;
            self.site
                .github()
                .change_settings(|settings| settings.assigning = true);
        }
    }

    /// Does something to somebody, if anybody is there; whether it was done.
    async fn try_deed(&mut self, pending: Pending) -> anyhow::Result<bool> {
        let snapshot = self.site.github().snapshot();
        match pending.deed {
            Deed::KillIdle | Deed::KillBusy | Deed::Interrupt => {
                self.end_task(pending, &snapshot).await
            }
            Deed::Abort | Deed::TimeOut => self.close_execution(pending).await,
            Deed::StopAssigning => {
                self.site
                    .github()
                    .change_settings(|settings| settings.assigning = false);
                self.assigning_again = Some(self.begun.elapsed() + PAUSE);
                Ok(true)
            }
            Deed::Ghost => {
                let idle = snapshot
                    .runners
                    .iter()
                    .filter(|runner| runner.online && !runner.busy);
                let idle: Vec<_> = idle.map(|runner| runner.id).collect();
                Ok(chosen(&idle, pending.whom)
                    .is_some_and(|id| self.site.github().ghost_runner(*id).is_ok()))
            }
        }
    }

    async fn end_task(&mut self, pending: Pending, snapshot: &Snapshot) -> anyhow::Result<bool> {
        let busy = |task: &Task| {
            let runner = snapshot
                .runners
                .iter()
                .find(|one| one.name == task.runner)?;
            let job = runner.job.and_then(|job| snapshot.job(job));
            Some(job.is_some_and(|job| job.status == JobStatus::InProgress))
        };
        let suits = |task: &Task| match pending.deed {
            Deed::KillBusy => busy(task) == Some(true),
            Deed::KillIdle => busy(task) == Some(false),
            _ => true,
        };
        let mut tasks = self.tasks().await?;
        tasks.retain(suits);
        let Some(task) = chosen(&tasks, pending.whom) else {
            return Ok(false);
        };
        let (how, body) = match pending.deed {
            Deed::Interrupt => ("spot-interruption", json!({ "grace": SPOT_GRACE })),
            _ => ("kill", json!({})),
        };
        let path = format!("/tasks/{}/{how}", task.id);
        // It may have ended meanwhile.
        let done = self.site.control(Method::POST, &path, &body).await.is_ok();
        if done {
            self.ended.insert(task.runner.clone());
        }
        Ok(done)
    }

    async fn close_execution(&mut self, pending: Pending) -> anyhow::Result<bool> {
        let names = self.running().await?;
        let Some(name) = chosen(&names, pending.whom) else {
            return Ok(false);
        };
        let done = if pending.deed == Deed::Abort {
            let arn = self.site.observer.execution_arn(name);
            let input =
                json!({ "executionArn": arn, "error": "Chaos", "cause": "somebody said so" });
            self.site
                .observer
                .aws
                .states("StopExecution", input)
                .await
                .is_ok()
        } else {
            let path = format!("/executions/{name}/time-out");
            let answer = self.site.control(Method::POST, &path, &json!({})).await?;
            answer["timedOut"] != 0
        };
        if done {
            self.closed.insert(name.clone());
            if pending.deed == Deed::Abort {
                self.aborted.insert(name.clone());
            }
        }
        Ok(done)
    }

    async fn tasks(&self) -> anyhow::Result<Vec<Task>> {
        let arns = self.site.observer.tasks().await?;
        let described = describe(self.site, &arns).await?;
        Ok(described
            .into_iter()
            .filter(|task| task["lastStatus"] == "RUNNING")
            .filter_map(|task| {
                Some(Task {
                    id: task["taskArn"].as_str()?.rsplit('/').next()?.to_owned(),
                    runner: runner_of(&task)?,
                })
            })
            .collect())
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

    /// Waits until nothing more will happen.
    async fn settle(&mut self, step: &Step) -> anyhow::Result<()> {
        let each = LIMIT_EACH * u32::try_from(self.queued.len()).unwrap_or(u32::MAX);
        let deadline = Instant::now() + LIMIT + each;
        let (mut last, mut changed) = (None, Instant::now());
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            let open = self.open().await?;
            if let Some(first) = open.first() {
                step.note(&format!("{} to settle, as: {first}", open.len()));
            }
            if last.as_ref() != Some(&open) {
                changed = Instant::now();
            }
            self.settled = open.is_empty();
            let calm = changed.elapsed();
            if self.settled && calm >= CALM || calm >= STANDSTILL || Instant::now() >= deadline {
                return Ok(());
            }
            last = Some(open);
        }
    }

    /// What is not settled yet. A line for each.
    async fn open(&mut self) -> anyhow::Result<Vec<String>> {
        let observer = &self.site.observer;
        let mut open = observer.leftovers().await?;
        let running = self.running().await?;
        let snapshot = self.site.github().snapshot();
        self.abandoned.clear();
        for queued in &self.queued {
            let job = snapshot.job(queued.id).context("a job is gone")?;
            let of_job = |name: &String| of_job(name, queued.id);
            if job.status == JobStatus::Queued
                && self.aborted.iter().any(of_job)
                && !running.iter().any(of_job)
            {
                self.abandoned.insert(queued.id);
            } else if job.status != JobStatus::Completed {
                open.push(format!("{} is {}", queued.name, job.status.as_str()));
            }
        }
        open.extend(unheard(&snapshot.deliveries));
        if !self.site.github().wait_for_deliveries(Duration::ZERO).await {
            open.push("webhooks are under way".to_owned());
        }
        Ok(open)
    }

    /// Withdraws all faults, and cancels what an abort left in the queue.
    async fn close(&mut self) -> anyhow::Result<()> {
        let github = self.site.github();
        for id in &self.abandoned {
            // It may have been taken in this moment.
            let _ = github.cancel_job(*id);
        }
        if self.settled && !self.abandoned.is_empty() {
            github.wait_for_deliveries(CHANCE).await;
            self.site.observer.settled(CHANCE).await?;
        }
        Ok(())
    }

    /// How many faults of each kind were ordered, and how often they met something. Withdraws them.
    async fn faults(&self) -> anyhow::Result<BTreeMap<Kind, (u32, u32)>> {
        let mut counts: BTreeMap<Kind, (u32, u32)> = BTreeMap::new();
        for fault in &self.schedule.faults {
            let count = counts.entry(fault.kind).or_default();
            count.0 += 1;
            // Those of GitHub's that are left are taken off below.
            count.1 += match order(fault) {
                Order::GitHub(order) => order.times,
                Order::Webhook(order) => order.times,
                Order::Engine(_) | Order::Deed(_) => 0,
            };
        }
        let ordered = self
            .site
            .control(Method::GET, "/faults", &Value::Null)
            .await?;
        let ordered = ordered["faults"].as_array().cloned().unwrap_or_default();
        for (kind, fault) in self.ordered.iter().zip(ordered) {
            let hits = fault["hits"]
                .as_u64()
                .and_then(|hits| u32::try_from(hits).ok());
            counts.entry(*kind).or_default().1 += hits.unwrap_or(0);
        }
        for (kind, done) in &self.done {
            counts.entry(*kind).or_default().1 += done;
        }
        let (left, unsent) = self.site.github().faults();
        // All orders of a kind share what is left.
        for (kind, count) in &mut counts {
            let faults = self.schedule.faults.iter();
            let orders: Vec<_> = faults.filter(|one| one.kind == *kind).map(order).collect();
            let is_ours = |left: &Fault| {
                orders.iter().any(|order| match order {
                    Order::GitHub(order) => {
                        (&order.kind, order.after, &order.method, &order.path)
                            == (&left.kind, left.after, &left.method, &left.path)
                    }
                    _ => false,
                })
            };
            let is_ours_too = |left: &DeliveryFault| {
                orders.iter().any(|order| match order {
                    Order::Webhook(order) => {
                        (&order.kind, &order.action) == (&left.kind, &left.action)
                    }
                    _ => false,
                })
            };
            let calls = left.iter().filter(|left| is_ours(left));
            let webhooks = unsent.iter().filter(|left| is_ours_too(left));
            let left: u32 = calls
                .map(|left| left.times)
                .chain(webhooks.map(|left| left.times))
                .sum();
            count.1 = count.1.saturating_sub(left);
        }
        self.site
            .control(Method::DELETE, "/faults", &Value::Null)
            .await?;
        self.site.github().clear_faults();
        Ok(counts)
    }

    /// What there is at the end.
    async fn facts(self) -> anyhow::Result<Facts> {
        let github = self.site.github();
        let snapshot = github.snapshot();
        let mut jobs = Vec::new();
        for queued in &self.queued {
            let job = snapshot.job(queued.id).context("a job is gone")?.clone();
            jobs.push(JobFacts {
                name: queued.name.clone(),
                execution: self.site.observer.execution_name(&job)?.to_string(),
                runs: runs(&queued.runs),
                cancelled: queued.cancelled,
                abandoned: self.abandoned.contains(&queued.id),
                job,
            });
        }
        let calls = self.site.calls("").await?;
        let of = |operation: &str| {
            let operation = operation.to_owned();
            calls
                .iter()
                .filter(move |call| call["operation"] == *operation)
        };
        let started = of("RunTask").filter(|call| call["status"] == 200).count();
        let stops: Vec<_> = of("StopTask")
            .filter(|call| call["caller"]["kind"] == "function" && call["status"] == 200)
            .collect();
        let arns: BTreeSet<_> = stops
            .iter()
            .filter_map(|call| call["resource"].as_str())
            .collect();
        let arns: Vec<_> = arns.into_iter().map(str::to_owned).collect();
        let runners: BTreeMap<String, String> = describe(self.site, &arns)
            .await?
            .iter()
            .filter_map(|task| Some((task["taskArn"].as_str()?.to_owned(), runner_of(task)?)))
            .collect();
        Ok(Facts {
            jobs,
            ended_runners: self.ended,
            closed_executions: self.closed,
            left: self.site.observer.leftovers().await?,
            deleted: github
                .requests()
                .iter()
                .filter(|call| call.method == "DELETE" && call.status == 204)
                .filter_map(|call| call.path.rsplit_once("/actions/runners/")?.1.parse().ok())
                .collect(),
            stops: stops
                .iter()
                .filter_map(|call| {
                    Some(Stop {
                        runner: runners.get(call["resource"].as_str()?)?.clone(),
                        at: call["at"].as_str()?.to_owned(),
                    })
                })
                .collect(),
            denied: calls.iter().filter_map(denied).collect(),
            started,
            settled: self.settled,
        })
    }
}

fn chosen<T>(from: &[T], whom: usize) -> Option<&T> {
    from.get(whom.checked_rem(from.len())?)
}

/// Whether an execution is one of a job's.
fn of_job(execution: &str, job: u64) -> bool {
    let name: Result<ExecutionName, _> = execution.parse();
    name.is_ok_and(|name| name.job().0 == job)
}

/// How often a job has run.
fn runs(path: &PathBuf) -> usize {
    // One that never ran has written nothing.
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

async fn describe(site: &Site, arns: &[String]) -> anyhow::Result<Vec<Value>> {
    let mut found = Vec::new();
    for some in arns.chunks(TASKS) {
        let input = json!({ "cluster": site.observer.cluster, "tasks": some });
        let answer = site.observer.aws.ecs("DescribeTasks", input).await?;
        found.extend(answer["tasks"].as_array().cloned().unwrap_or_default());
    }
    Ok(found)
}

/// Webhooks that were never taken and will be repeated.
fn unheard(deliveries: &[Delivery]) -> Vec<String> {
    let mut tries: BTreeMap<&str, (bool, usize)> = BTreeMap::new();
    for delivery in deliveries.iter().filter(|one| one.hook == Hook::App) {
        let (settled, count) = tries.entry(&delivery.guid).or_default();
        // What was refused (4xx) was refused on purpose.
        *settled |= delivery.status_code < 500;
        *count += 1;
    }
    tries
        .into_iter()
        .filter(|(_, (settled, count))| !settled && *count < DELIVERIES)
        .map(|(guid, _)| format!("webhook {guid} was not taken yet"))
        .collect()
}

/// A call that one of ours made without being allowed to.
fn denied(call: &Value) -> Option<String> {
    let lacks = call["denied"].as_str().filter(|lacks| !lacks.is_empty())?;
    let caller = call["caller"]["name"].as_str()?;
    Some(format!("{caller} lacks {lacks}"))
}

/// The executions of a job, oldest first.
pub fn executions_of(first: &str) -> impl Iterator<Item = String> {
    let first: Option<ExecutionName> = first.parse().ok();
    std::iter::successors(first, |name| name.next().ok()).map(|name| name.to_string())
}

/// A job's state at GitHub, in a few words.
pub fn described(job: &Job) -> String {
    let conclusion = job.conclusion.as_deref().unwrap_or("no conclusion");
    let runner = job.runner.as_deref().unwrap_or("no runner");
    format!("{} ({conclusion}), {runner}", job.status.as_str())
}
