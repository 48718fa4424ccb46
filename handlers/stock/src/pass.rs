//! One look after a family's stock.
//!
//! Every step is safe beside others that look at the same time: a slot is filled, and a ticket deleted,
//! by whoever the table lets do it. A pass that is cut off leaves what the next one repairs.

use std::collections::BTreeMap;

use decisions::{Ended, Failures, OnTicket, OutcomeClass, TaskSeen, TicketState, Wanted};
use pool::{Notes, Ticket, TicketKey};
use protocol::BellKey;
use runtime::telemetry::Metric;
use serde::Serialize;
use time::{Duration, OffsetDateTime};

use crate::ecs::{self, Run};
use crate::event::TaskEvent;
use crate::plan::{Decided, Plan};
use crate::{Deps, Stock};

/// The table drops a ticket that nobody deleted this long after it would have been retired.
const KEPT: Duration = Duration::days(1);

/// What a pass knows besides the table.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// The minute's call: look at everything.
    Tick,
    /// A job took a warm task, or found none.
    Job,
    Task(TaskEvent),
    /// Its pool was removed: retire everything.
    Removed,
}

/// How many tasks an invocation may still start.
#[derive(Debug)]
pub struct Starts(pub usize);

/// What a pass did for a family, and what is there now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub family: String,
    pub wanted: usize,
    pub ready: usize,
    pub starting: usize,
    /// Tasks started by this pass.
    pub started: usize,
    /// Tickets retired by this pass.
    pub retired: usize,
    /// Tickets deleted because their task had ended.
    pub forgotten: usize,
    /// Whether nothing is started for a while.
    pub paused: bool,
    /// Why, in ECS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_for: Option<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

/// A pass that could not go on. The next one begins anew.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Table(#[from] pool::Error),
    #[error(transparent)]
    Ecs(#[from] aws::Error),
    #[error("cannot generate a ticket's id: {0}")]
    Random(#[from] getrandom::Error),
}

/// What is known of a task besides its ticket.
struct Told {
    arn: String,
    seen: TaskSeen,
    /// Why it ended.
    detail: String,
}

struct Pass<'a> {
    deps: &'a Deps,
    stock: &'a Stock,
    now: OffsetDateTime,
    notes: Notes,
    told: BTreeMap<BellKey, Told>,
    report: Report,
}

/// Looks after a family's stock.
pub async fn look_after(
    deps: &Deps,
    stock: &Stock,
    trigger: Trigger,
    starts: &mut Starts,
    now: OffsetDateTime,
) -> Report {
    let mut pass = Pass {
        deps,
        stock,
        now,
        notes: Notes::default(),
        told: BTreeMap::new(),
        report: Report {
            family: stock.family.clone(),
            ..Report::default()
        },
    };
    if let Err(stopped) = pass.run(trigger, starts).await {
        pass.report
            .failed
            .push(format!("{}: {stopped}", stock.family));
    }
    tracing::info!(report = %serde_json::to_string(&pass.report).unwrap_or_default(), "looked after the stock");
    pass.report
}

impl Pass<'_> {
    async fn run(&mut self, trigger: Trigger, starts: &mut Starts) -> Result<(), Stopped> {
        let family = &self.stock.family;
        if matches!(trigger, Trigger::Job) && self.stock.lingers() {
            self.deps.pool.note_job(family, self.now).await?;
        }
        let stocked = self.deps.pool.stock(family).await?;
        self.notes = stocked.notes;
        let tick = matches!(trigger, Trigger::Tick);
        let removed = matches!(trigger, Trigger::Removed);
        let revision = if removed {
            None
        } else {
            self.revision(tick).await?
        };
        if let Trigger::Task(event) = trigger {
            let told = Told {
                arn: event.arn,
                seen: event.seen,
                detail: event.detail,
            };
            self.told.insert(event.id, told);
        }
        if tick || removed {
            self.describe(&stocked.tickets).await?;
        }
        let wanted = Wanted {
            tasks: decisions::wanted(self.stock.demand(self.now, self.notes.last_job)),
            revision,
            spot: self.stock.spot,
            max_age: self.stock.max_age,
        };
        let seen = |ticket: &Ticket| {
            let told = self.told.get(&ticket.id);
            told.map_or(TaskSeen::Unknown, |told| told.seen)
        };
        let slots = self.stock.slots();
        let plan = Plan::of(stocked.tickets, seen, &wanted, slots, self.now);
        self.report.wanted = wanted.tasks;
        self.report.ready = plan.ready();
        self.report.starting = plan.starting();
        self.report.paused = self
            .notes
            .paused_until
            .is_some_and(|until| until > self.now);
        if self.report.paused {
            self.report.paused_for.clone_from(&self.notes.paused_for);
        }
        for decided in &plan.tickets {
            self.carry_out(decided, starts).await?;
        }
        for slot in &plan.fill {
            if self.report.paused || starts.0 == 0 {
                break;
            }
            let Some(revision) = revision else { break };
            let ticket = Ticket {
                key: TicketKey {
                    family: family.clone(),
                    slot: *slot,
                },
                id: BellKey::mint()?,
                state: TicketState::Reserved,
                task_arn: None,
                revision,
                spot: self.stock.spot,
                born: self.now,
            };
            // Another pass that fills this slot starts its task.
            let expires = self.now + self.stock.max_age + KEPT;
            if self.deps.pool.reserve(&ticket, expires).await?.is_done() {
                self.report.starting += 1;
                self.start(&ticket, starts).await?;
            }
        }
        if tick {
            self.emit(&plan);
        }
        Ok(())
    }

    /// The newest active revision. Only the minute's pass asks ECS, which throttles that call for the
    /// whole account; the others read what it noted.
    async fn revision(&self, tick: bool) -> Result<Option<u64>, Stopped> {
        let noted = self.notes.revision;
        if !tick && noted.is_some() {
            return Ok(noted);
        }
        let family = &self.stock.family;
        let newest = ecs::newest_revision(self.deps, family).await?;
        match newest {
            Some(revision) if noted != newest => {
                if noted.is_none() {
                    // Before its first ticket, so that what is left of it is found later.
                    self.deps.pool.note_family(family).await?;
                }
                self.deps.pool.note_revision(family, revision).await?;
            }
            Some(_) => {}
            None => tracing::warn!(family, "no active revision, so no warm tasks"),
        }
        Ok(newest)
    }

    /// Asks ECS about the tasks of all tickets: the events of some may be lost.
    async fn describe(&mut self, tickets: &[Ticket]) -> Result<(), Stopped> {
        let arns: Vec<_> = tickets
            .iter()
            .filter_map(|ticket| ticket.task_arn.clone())
            .collect();
        if arns.is_empty() {
            return Ok(());
        }
        let mut described = ecs::describe(self.deps, &arns).await?;
        for ticket in tickets {
            let arn = ticket.task_arn.clone().unwrap_or_default();
            if let Some((seen, detail)) = described.remove(&arn) {
                let told = Told { arn, seen, detail };
                self.told.insert(ticket.id.clone(), told);
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, decided: &Decided, starts: &mut Starts) -> Result<(), Stopped> {
        let ticket = &decided.ticket;
        match decided.action {
            OnTicket::Keep => {}
            OnTicket::StartAgain => {
                if !self.report.paused && starts.0 > 0 {
                    self.start(ticket, starts).await?;
                }
            }
            OnTicket::MarkReady => {
                let told = self.told.get(&ticket.id);
                if let Some(arn) = told.map(|told| &told.arn) {
                    let pool = &self.deps.pool;
                    let ready = pool.ready(&ticket.key, &ticket.id, arn).await?;
                    tracing::info!(ticket = %ticket.key, task = arn, done = ready.is_done(), "a warm task is ready");
                }
            }
            OnTicket::Retire => {
                if self.give_up(ticket).await? {
                    self.report.retired += 1;
                    tracing::info!(ticket = %ticket.key, revision = ticket.revision, "retired a warm task");
                }
            }
            OnTicket::Forget => self.forget(decided).await?,
        }
        Ok(())
    }

    /// Starts a ticket's task.
    async fn start(&mut self, ticket: &Ticket, starts: &mut Starts) -> Result<(), Stopped> {
        starts.0 = starts.0.saturating_sub(1);
        match ecs::run(self.deps, self.stock, ticket).await {
            Run::Started(arn) => {
                self.report.started += 1;
                tracing::info!(ticket = %ticket.key, task = arn, "started a warm task");
                let pool = &self.deps.pool;
                // Its event may have come first and made it ready.
                let _ = pool.started(&ticket.key, &ticket.id, &arn).await?;
                Ok(())
            }
            Run::Refused(refused) => {
                // An earlier call with this client token may have started one.
                self.give_up(ticket).await?;
                self.report.starting = self.report.starting.saturating_sub(1);
                self.pause(&refused).await
            }
            // It stays reserved, and is started again when it is a minute old.
            Run::Unknown(error) => {
                starts.0 = 0;
                Err(error.into())
            }
        }
    }

    /// Deletes a ticket and tells its task to leave. False if somebody else deleted it.
    async fn give_up(&self, ticket: &Ticket) -> Result<bool, Stopped> {
        let pool = &self.deps.pool;
        let deleted = pool.retire(&ticket.key, &ticket.id).await?.is_done();
        if deleted {
            // `sweep` tells a task that this does not reach.
            let _ = pool.tell_to_leave(&ticket.id, self.now).await?;
        }
        Ok(deleted)
    }

    /// Deletes a ticket whose task has ended.
    async fn forget(&mut self, decided: &Decided) -> Result<(), Stopped> {
        let ticket = &decided.ticket;
        let pool = &self.deps.pool;
        if !pool.retire(&ticket.key, &ticket.id).await?.is_done() {
            return Ok(());
        }
        self.report.forgotten += 1;
        let told = self.told.get(&ticket.id);
        let detail = told.map_or_else(String::new, |told| told.detail.clone());
        let age = decided.seen.age.as_secs();
        tracing::warn!(ticket = %ticket.key, age, detail, "a warm task ended without a job");
        if decided.seen.is_failed_start() {
            self.pause_for(&detail).await?;
        }
        Ok(())
    }

    /// Pauses after a refusal of RunTask.
    async fn pause(&mut self, refused: &Ended) -> Result<(), Stopped> {
        let lasting = !matches!(
            refused.class(),
            OutcomeClass::Capacity | OutcomeClass::External
        );
        if lasting {
            self.report.failed.push(format!(
                "{}: RunTask refused a warm task: {}",
                self.stock.family, refused.detail
            ));
        }
        self.pause_for(&refused.detail).await
    }

    /// Starts nothing for a while, longer after each failure.
    async fn pause_for(&mut self, reason: &str) -> Result<(), Stopped> {
        // What fails during a pause was started before it.
        if self.report.paused {
            return Ok(());
        }
        self.report.paused = true;
        self.report.paused_for = Some(reason.to_owned());
        let over = self.notes.paused_until.map(|until| self.now - until);
        let over = over.map(|over| over.try_into().unwrap_or_default());
        let failures = Failures {
            in_a_row: self.notes.pauses,
            over,
        };
        let failures = failures.with_this_one();
        let pause = decisions::pause_after(failures);
        tracing::warn!(
            family = self.stock.family,
            failures,
            seconds = pause.as_secs(),
            reason,
            "pausing, because warm tasks do not start"
        );
        let until = self.now + pause;
        let pool = &self.deps.pool;
        pool.pause(&self.stock.family, until, failures, reason)
            .await?;
        Ok(())
    }

    /// What is there after the pass, once a minute.
    fn emit(&self, plan: &Plan) {
        let metrics = self.deps.metrics();
        let report = &self.report;
        let oldest = plan.oldest().as_secs_f64();
        // Far below 2^52, where a float would begin to round.
        #[allow(clippy::cast_precision_loss)]
        let count = |number: usize| number as f64;
        for (metric, value) in [
            (Metric::StockWanted, count(report.wanted)),
            (Metric::StockReady, count(report.ready)),
            (Metric::StockStarting, count(report.starting)),
            (Metric::StockOldestSeconds, oldest),
            (Metric::StockPaused, count(usize::from(report.paused))),
        ] {
            metrics.split(metric, value, &report.family);
        }
    }
}
