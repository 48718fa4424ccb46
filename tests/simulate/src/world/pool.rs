//! Warm tasks: the keeper's passes, and the claims of `token`.

use std::time::Duration as Seconds;

use ::pool::{Ticket, TicketKey};
use decisions::{
    ClaimSeen, Failures, OnTicket, TaskSeen, TicketState, Wanted, may_claim, pause_after, wanted,
};
use protocol::BellKey;
use serde_json::json;
use stock::plan::Plan;
use stock::{MOST_STARTS, Stock, Stocks};
use time::OffsetDateTime;

use super::{Ending, Event, JobId, TaskId, World, index};
use crate::limit::{MINUTE, SECOND, Time};
use crate::quotas::Limit;

const FAMILY: &str = "fargate-runners-ubuntu-x64";
const REVISION: u64 = 1;
/// A Monday: the month begins with a week.
const MONDAY: OffsetDateTime = time::macros::datetime!(2026-11-02 00:00 UTC);
/// `token` calls the keeper without waiting for it.
const CALLED: Time = SECOND / 2;
/// How long a taken task needs to answer its bell, which it reads twice a second.
const BELL: Time = SECOND / 2;

/// The stock of one family.
#[derive(Debug)]
pub(super) struct Pool {
    stock: Stock,
    tickets: Vec<(Ticket, TaskId)>,
    paused_until: Time,
    failures: Option<u32>,
}

impl Pool {
    /// A stock of so many tasks in working hours, and a tenth at other times; `None` without.
    pub(super) fn new(warm: u8) -> anyhow::Result<Option<Self>> {
        if warm == 0 {
            return Ok(None);
        }
        let stocks: Stocks = json!([{
            "family": FAMILY, "size": warm / 10, "maxAgeSeconds": 21_600, "spot": false,
            "schedule": [{
                "days": ["mon", "tue", "wed", "thu", "fri"],
                "from": "07:00", "to": "19:00", "size": warm,
            }],
        }])
        .to_string()
        .parse()?;
        let stock = stocks.of(FAMILY).cloned();
        Ok(stock.map(|stock| Self {
            stock,
            tickets: Vec::new(),
            paused_until: 0,
            failures: None,
        }))
    }
}

fn clock(now: Time) -> OffsetDateTime {
    MONDAY + Seconds::from_micros(now)
}

impl World<'_> {
    /// The keeper's minute.
    pub(super) fn tick(&mut self) {
        self.keep(None);
        if self.has_work() {
            self.after(MINUTE, Event::Tick);
        }
    }

    /// A pass of the keeper. `seen` is what an event tells of a ticket's task.
    pub(super) fn keep(&mut self, seen: Option<(TaskId, TaskSeen)>) {
        let now = clock(self.now);
        let Some(pool) = &mut self.pool else { return };
        let stock = pool.stock.clone();
        let wanted = Wanted {
            tasks: wanted(stock.demand(now, None)),
            revision: Some(REVISION),
            spot: stock.spot,
            max_age: stock.max_age,
        };
        let (tickets, tasks): (Vec<_>, Vec<_>) =
            std::mem::take(&mut pool.tickets).into_iter().unzip();
        let known: Vec<_> = tickets
            .iter()
            .map(|ticket| ticket.key.slot)
            .zip(tasks)
            .collect();
        let task_of = |ticket: &Ticket| {
            let slot = known.iter().find(|(slot, _)| *slot == ticket.key.slot);
            slot.map(|(_, task)| *task)
        };
        let told = |ticket: &Ticket| match seen {
            Some((task, seen)) if task_of(ticket) == Some(task) => seen,
            _ => TaskSeen::Unknown,
        };
        let plan = Plan::of(tickets, told, &wanted, stock.slots(), now);
        let mut retired = Vec::new();
        for decided in plan.tickets {
            let Some(task) = task_of(&decided.ticket) else {
                continue;
            };
            let mut ticket = decided.ticket;
            match decided.action {
                OnTicket::Keep | OnTicket::StartAgain => {}
                OnTicket::MarkReady => {
                    ticket.state = TicketState::Ready;
                    pool.failures = None;
                }
                OnTicket::Retire => {
                    retired.push(task);
                    continue;
                }
                OnTicket::Forget => continue,
            }
            pool.tickets.push((ticket, task));
        }
        let paused = pool.paused_until > self.now;
        for task in retired {
            if !self.task(task).ended {
                self.end(task, Ending::Released);
            }
        }
        if paused {
            return;
        }
        for slot in plan.fill.into_iter().take(MOST_STARTS) {
            if self.start_warm(slot, now).is_none() {
                return;
            }
        }
    }

    /// Starts a task for a slot; `None` if ECS refuses.
    fn start_warm(&mut self, slot: ::pool::Slot, now: OffsetDateTime) -> Option<()> {
        // Its repository is the one of the job that takes it.
        let Ok(task) = self.start(0, false) else {
            self.pause();
            return None;
        };
        let ticket = Ticket {
            key: TicketKey {
                family: FAMILY.to_owned(),
                slot,
            },
            id: BellKey::mint().ok()?,
            state: TicketState::Started,
            task_arn: None,
            revision: REVISION,
            spot: false,
            born: now,
        };
        self.pool.as_mut()?.tickets.push((ticket, task));
        let runs = self.started(task);
        self.at(runs, Event::WarmRuns(task));
        Some(())
    }

    /// A warm task did not start: the keeper starts nothing for a while.
    fn pause(&mut self) {
        let now = self.now;
        let Some(pool) = &mut self.pool else { return };
        let failures = Failures {
            in_a_row: pool.failures.unwrap_or(0),
            over: pool
                .failures
                .map(|_| Seconds::from_micros(now.saturating_sub(pool.paused_until))),
        }
        .with_this_one();
        pool.failures = Some(failures);
        let pause = pause_after(failures).as_micros();
        pool.paused_until = now + Time::try_from(pause).unwrap_or(Time::MAX);
    }

    /// A warm task's container runs.
    pub(super) fn warm_runs(&mut self, task: TaskId) {
        if self.task(task).ended {
            return;
        }
        if self.task(task).ending == Ending::NotStarted {
            self.end(task, Ending::NotStarted);
            return;
        }
        self.keep(Some((task, TaskSeen::Running)));
    }

    /// A warm task that nobody had claimed has stopped.
    pub(super) fn forget(&mut self, task: TaskId) {
        if self.tasks[index(task)].ending == Ending::NotStarted {
            self.pause();
        }
        self.keep(Some((task, TaskSeen::Ended)));
    }

    /// Takes a warm task for a job, if one is ready.
    pub(super) fn claim(&mut self, job: JobId) -> Option<TaskId> {
        self.after(CALLED, Event::Keeper);
        let attempt = self.job(job).attempt.number;
        let repository = self.job(job).repository;
        let suits = |(ticket, _): &(Ticket, TaskId)| {
            let state = decisions::Ticket {
                state: ticket.state,
                revision: ticket.revision,
                spot: ticket.spot,
            };
            may_claim(&ClaimSeen {
                attempt,
                revision: REVISION,
                spot: false,
                differs: false,
                ticket: Some(state),
            })
        };
        let pool = self.pool.as_mut()?;
        let ready: Vec<usize> = (0..pool.tickets.len())
            .filter(|at| suits(&pool.tickets[*at]))
            .collect();
        if ready.is_empty() {
            return None;
        }
        // Deleting the ticket, ringing the bell, and its answer.
        if !self.buckets.table.take(self.now, 3) {
            self.refused(Limit::TableWrites);
            return None;
        }
        let at = ready[self.rng.usize(0..ready.len())];
        let (_, task) = pool.tickets.remove(at);
        let it = &mut self.tasks[index(task)];
        it.owner = Some(job);
        it.repository = repository;
        self.figures.warm += 1;
        Some(task)
    }

    /// The execution waits for the warm task, which has its registration.
    pub(super) fn wait_for_warm(&mut self, job: JobId) {
        if !self.buckets.table.take(self.now, 2) {
            self.refused(Limit::TableWrites);
        }
        if let Some(task) = self.job(job).task {
            self.after(BELL, Event::Read(task));
        }
    }
}

/// Warm tasks for so many jobs a month: twice those that the busiest hour's jobs take while the next ones
/// start.
pub(crate) fn size(jobs: u32) -> u8 {
    /// A working day has so many of its busiest hour's jobs, and a month so many working days.
    const BUSIEST_HOURS: f64 = 10.9 * 22.8;
    /// A start takes so long.
    const START: f64 = 35.0;
    let a_second = f64::from(jobs) / BUSIEST_HOURS / 3_600.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let size = (2.0 * a_second * START).ceil().clamp(1.0, 100.0) as u8;
    size
}
