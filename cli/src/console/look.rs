//! Looks at the deployment: a bounded number of calls at a time, all of which only read.

use std::collections::{BTreeMap, BTreeSet};

use decisions::Status;
use futures_util::{StreamExt as _, future, stream};
use pool::Pool;
use protocol::{ExecutionName, JobId, Order};
use runtime::telemetry::Metric;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::timeline::Timeline;
use crate::cloud::Cloud;
use crate::why::{Course, Reader, TaskSeen};
use crate::{Calls, Deployment, Error};

/// Calls at AWS for one look, retries of AWS's SDK aside.
pub const CALLS: u32 = 20;
/// Looks from one look at what changes slowly (stock, cluster, cost, rate limit) to the next.
pub const SLOW: u64 = 5;
/// Running executions that are shown, those that started last.
pub const RUNNING: usize = 200;
/// Executions that have ended and are shown, those that started last.
pub const ENDED: u16 = 100;
/// How far back the cost goes.
pub const SPENT: Duration = Duration::hours(24);

/// Histories that are read at a time: `GetExecutionHistory` has a small bucket for the account.
const IN_FLIGHT: usize = 4;
/// Executions whose histories one look reads.
const HISTORIES: usize = 10;
/// Pages of a log that one look reads.
const LOG_PAGES: usize = 2;
/// The log is searched again so far back: lines arrive late.
const LATE: Duration = Duration::minutes(2);

/// A history that lags behind the list has caught up by then.
const LAG: Duration = Duration::minutes(1);

/// An execution and what is known of it.
#[derive(Clone, Debug)]
pub struct Known {
    pub name: ExecutionName,
    pub status: Status,
    pub started_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
    pub timeline: Option<Timeline>,
    pub course: Course,
    /// Its order, from its first event or its description.
    pub order: Option<Order>,
    pub task: Option<TaskSeen>,
    /// When its history was read.
    pub read_at: Option<OffsetDateTime>,
    /// Whether its history was read after it had ended: it does not change any more.
    pub is_final: bool,
}

/// Warm tasks of a family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    pub ready: usize,
    pub starting: usize,
}

/// What a repository's runners took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    pub seconds: f64,
    pub dollars: f64,
}

/// Lines of `cleanup`'s log that name what a runner took.
#[derive(Clone, Debug, Default)]
struct Bills {
    /// By time and text, which tells the same line read again.
    lines: BTreeMap<(i64, String), (String, Spent)>,
    read_to: Option<OffsetDateTime>,
    /// The next page of a search that is not through yet, and since when it searches.
    next: Option<(String, OffsetDateTime)>,
}

/// A deployment under observation.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    pub executions: BTreeMap<ExecutionName, Known>,
    /// Running executions that are not shown.
    pub left_out: usize,
    /// By family; `None` if the deployment has no pool, or it was not looked at yet.
    pub stock: Option<BTreeMap<String, Stock>>,
    /// Running and pending tasks of the cluster.
    pub tasks: Option<(i32, i32)>,
    /// GitHub calls left in the hour, and when that was.
    pub rate: Option<(f64, OffsetDateTime)>,
    bills: Bills,
    /// Calls that the last look made.
    pub calls: u32,
    looks: u64,
    /// Parts that could not be read in the last look, each with why.
    pub problems: BTreeMap<&'static str, String>,
}

impl Watched {
    /// Looks once. Fails if the executions cannot be listed; what else cannot be read is a problem
    /// that is told beside the rest.
    pub async fn look(
        &mut self,
        cloud: &Cloud,
        pool: &Pool,
        deployment: &Deployment,
        now: OffsetDateTime,
    ) -> Result<(), Error> {
        let cloud = Cloud {
            calls: Calls::at_most(CALLS),
            ..cloud.clone()
        };
        let listed = self.list(&cloud).await;
        if listed.is_ok() {
            // Its few calls come before the histories, which take what is left.
            if self.looks.is_multiple_of(SLOW) {
                self.look_slowly(&cloud, pool, deployment, now).await;
            }
            self.looks += 1;
            self.look_at_tasks(&cloud, deployment).await;
            self.read_histories(&cloud, now).await;
        }
        self.calls = CALLS - cloud.calls.left();
        listed
    }

    /// Executions that have to be read and were not yet.
    pub fn unread(&self) -> usize {
        let unread = self.executions.values();
        unread.filter(|known| known.timeline.is_none()).count()
    }

    /// What each repository's runners took in the last day, and whether all of it was read.
    pub fn spent(&self) -> (BTreeMap<String, Spent>, bool) {
        let mut spent = BTreeMap::<String, Spent>::new();
        for (repository, line) in self.bills.lines.values() {
            let sum = spent.entry(repository.clone()).or_default();
            sum.seconds += line.seconds;
            sum.dollars += line.dollars;
        }
        let read = self.bills.read_to.is_some() && self.bills.next.is_none();
        (spent, read)
    }

    /// Which executions there are: those that run, and those that started last.
    async fn list(&mut self, cloud: &Cloud) -> Result<(), Error> {
        cloud.calls.take();
        cloud.calls.take();
        let (running, newest) = future::try_join(
            cloud.executions.list(Status::Running, 1_000),
            cloud.executions.newest(ENDED),
        )
        .await?;
        self.left_out = running.len().saturating_sub(RUNNING);
        let running = running.into_iter().take(RUNNING);
        let running = running.map(|listed| (listed, Status::Running));
        let mut shown = BTreeSet::new();
        // The newest come second: an execution that ended between the calls has ended.
        for (listed, status) in running.chain(newest) {
            shown.insert(listed.name.clone());
            let known = self
                .executions
                .entry(listed.name.clone())
                .or_insert_with(|| Known {
                    name: listed.name.clone(),
                    status,
                    started_at: listed.started_at,
                    ended_at: listed.ended_at,
                    timeline: None,
                    course: Course::default(),
                    order: None,
                    task: None,
                    read_at: None,
                    is_final: false,
                });
            known.status = status;
            known.ended_at = listed.ended_at.or(known.ended_at);
        }
        // One that ran and is in neither list has ended, and many have started since. Its history tells
        // how; then it goes.
        self.executions.retain(|name, known| {
            let stays = shown.contains(name) || !known.is_final;
            if !shown.contains(name) && known.status == Status::Running {
                known.status = Status::Succeeded;
            }
            stays
        });
        let ended = self.executions.values();
        let ended = ended.filter(|known| known.status != Status::Running);
        let mut ended: Vec<_> = ended
            .map(|known| (known.started_at, known.name.clone()))
            .collect();
        ended.sort_by(|a, b| b.cmp(a));
        for (_, name) in ended.into_iter().skip(ENDED.into()) {
            self.executions.remove(&name);
        }
        Ok(())
    }

    /// Reads the histories that matter most: of what has just ended, then of what runs (the one that
    /// was read longest ago first), with a share for what had ended before.
    async fn read_histories(&mut self, cloud: &Cloud, now: OffsetDateTime) {
        let (mut wanted, mut running, mut older) = (Vec::new(), Vec::new(), Vec::new());
        for known in self.executions.values().filter(|known| !known.is_final) {
            let runs = known.status == Status::Running;
            let newest_first = -known.started_at.unix_timestamp();
            let read = (known.read_at, newest_first, known.name.clone(), runs);
            match (runs, known.read_at) {
                (true, _) => running.push(read),
                (false, Some(_)) => wanted.push(read),
                (false, None) => older.push(read),
            }
        }
        for reads in [&mut wanted, &mut running, &mut older] {
            reads.sort();
        }
        let share = older.len().min(HISTORIES / 3);
        running.truncate(HISTORIES - share);
        wanted.truncate(HISTORIES - share);
        wanted.extend(older.drain(..share));
        wanted.extend(running);
        wanted.extend(older);
        let reads = wanted.into_iter().take(HISTORIES);
        let reads = reads.map(|(.., name, runs)| async move {
            let history = history(cloud, &name).await;
            (name, runs, history)
        });
        let read: Vec<_> = stream::iter(reads).buffered(IN_FLIGHT).collect().await;
        self.problems.remove("histories");
        for (name, runs, history) in read {
            let Some(known) = self.executions.get_mut(&name) else {
                continue;
            };
            match history {
                Some(Ok((timeline, course))) => {
                    known.order = timeline.order.clone().or(known.order.take());
                    // A history can lag behind the list.
                    let settled = known.ended_at.is_some_and(|at| now - at > LAG);
                    known.is_final = !runs && (timeline.ended.is_some() || settled);
                    known.read_at = Some(now);
                    known.timeline = Some(timeline);
                    known.course = course;
                }
                Some(Err(error)) => {
                    known.is_final = error.kind() == aws::ErrorKind::NotFound;
                    self.problems.insert("histories", error.to_string());
                }
                None => {}
            }
        }
        // The order of an execution whose first event was not read.
        let unknown = self.executions.values().find(|known| {
            known.order.is_none() && known.timeline.as_ref().is_some_and(|it| it.is_cut)
        });
        if let Some(name) = unknown.map(|known| known.name.clone())
            && cloud.calls.take()
            && let Ok(Some(described)) = cloud.executions.describe(&name).await
            && let Some(known) = self.executions.get_mut(&name)
        {
            known.order = serde_json::from_str(&described.input).ok();
        }
    }

    /// The cluster, and the tasks of the executions that run.
    async fn look_at_tasks(&mut self, cloud: &Cloud, deployment: &Deployment) {
        let running = self.executions.values();
        let running = running.filter(|known| known.status == Status::Running);
        let is_idle = running.clone().next().is_none();
        // One call describes a hundred.
        let arns: Vec<_> = running
            .filter_map(|known| known.course.task.clone())
            .take(100)
            .collect();
        // Nothing changes while no execution runs, or slowly.
        if (!is_idle || self.looks % SLOW == 1) && cloud.calls.take() {
            self.problems.remove("cluster");
            match cloud.cluster_tasks(&deployment.cluster).await {
                Ok(tasks) => self.tasks = tasks,
                Err(error) => {
                    self.problems.insert("cluster", error.to_string());
                }
            }
        }
        if arns.is_empty() || !cloud.calls.take() {
            return;
        }
        self.problems.remove("tasks");
        match cloud.tasks(&deployment.cluster, &arns).await {
            Ok(tasks) => {
                for known in self.executions.values_mut() {
                    let task = tasks
                        .iter()
                        .find(|task| Some(&task.arn) == known.course.task.as_ref());
                    known.task = task.cloned().or(known.task.take());
                }
            }
            Err(error) => {
                self.problems.insert("tasks", error.to_string());
            }
        }
    }

    async fn look_slowly(
        &mut self,
        cloud: &Cloud,
        pool: &Pool,
        deployment: &Deployment,
        now: OffsetDateTime,
    ) {
        for part in ["stock", "cost", "rate limit"] {
            self.problems.remove(part);
        }
        if cloud.calls.take() {
            match pool.tickets().await {
                Ok(tickets) => {
                    let mut stock = BTreeMap::<String, Stock>::new();
                    for ticket in tickets {
                        let family = stock.entry(ticket.key.family).or_default();
                        match ticket.state {
                            decisions::TicketState::Ready => family.ready += 1,
                            _ => family.starting += 1,
                        }
                    }
                    self.stock = Some(stock);
                }
                // A deployment without warm tasks has no table.
                Err(error) if error.aws().kind() == aws::ErrorKind::NotFound => self.stock = None,
                Err(error) => {
                    self.problems.insert("stock", error.to_string());
                }
            }
        }
        let function = |name: &str| {
            let stem = deployment.verify.strip_suffix("verify");
            format!("{}{name}", stem.unwrap_or(&deployment.verify))
        };
        if let Err(error) = self.read_bills(cloud, &function("cleanup"), now).await {
            self.problems.insert("cost", error);
        }
        if let Err(error) = self.read_rate(cloud, &function("token"), now).await {
            self.problems.insert("rate limit", error);
        }
    }

    async fn read_bills(
        &mut self,
        cloud: &Cloud,
        function: &str,
        now: OffsetDateTime,
    ) -> Result<(), String> {
        let oldest = now - SPENT;
        let bills = &mut self.bills;
        for _ in 0..LOG_PAGES {
            if !cloud.calls.take() {
                break;
            }
            let (token, since) = match bills.next.take() {
                Some((token, since)) => (Some(token), since),
                None => (
                    None,
                    bills.read_to.map_or(oldest, |to| (to - LATE).max(oldest)),
                ),
            };
            let cost = Metric::EstimatedCost.name();
            let seconds = Metric::RunnerSeconds.name();
            let pattern = format!("{{ ($.{cost} >= 0) || ($.{seconds} >= 0) }}");
            let (lines, next) = cloud
                .metric_lines(function, &pattern, since, token)
                .await
                .map_err(|error| error.to_string())?;
            for (at, text) in lines {
                let Ok(line) = serde_json::from_str::<Value>(&text) else {
                    continue;
                };
                let spent = Spent {
                    seconds: line[seconds].as_f64().unwrap_or_default(),
                    dollars: line[cost].as_f64().unwrap_or_default(),
                };
                if let Some(repository) = line["Repository"].as_str()
                    && spent != Spent::default()
                {
                    let repository = repository.to_owned();
                    bills.lines.insert((at, text), (repository, spent));
                }
            }
            if let Some(token) = next {
                bills.next = Some((token, since));
            } else {
                bills.read_to = Some(now);
                break;
            }
        }
        let first = (oldest.unix_timestamp() * 1_000, String::new());
        bills.lines = bills.lines.split_off(&first);
        Ok(())
    }

    async fn read_rate(
        &mut self,
        cloud: &Cloud,
        function: &str,
        now: OffsetDateTime,
    ) -> Result<(), String> {
        if !cloud.calls.take() {
            return Ok(());
        }
        // GitHub counts by the hour.
        let hour = now - Duration::hours(1);
        let since = self.rate.map_or(hour, |(_, at)| at.max(hour));
        let left = Metric::GitHubRateLimitRemaining.name();
        let pattern = format!("{{ $.{left} >= 0 }}");
        let (lines, _) = cloud
            .metric_lines(function, &pattern, since, None)
            .await
            .map_err(|error| error.to_string())?;
        let told = lines.into_iter().rev().find_map(|(at, text)| {
            let line: Value = serde_json::from_str(&text).ok()?;
            let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000);
            Some((line[left].as_f64()?, at.ok()?))
        });
        self.rate = told.or(self.rate.filter(|(_, at)| *at >= hour));
        Ok(())
    }
}

/// A history as a timeline and as where it is; `None` if no call is left.
async fn history(
    cloud: &Cloud,
    name: &ExecutionName,
) -> Option<Result<(Timeline, Course), aws::Error>> {
    let (events, older) = match cloud.events(name).await {
        Ok(found) => found,
        Err(error) => return Some(Err(error)),
    };
    if events.is_empty() {
        return None;
    }
    let mut reader = Reader::default();
    reader.take(&events);
    Some(Ok((Timeline::read(&events, older), reader.course())))
}

impl Known {
    /// The job's id.
    pub fn job(&self) -> JobId {
        self.name.job()
    }
}
