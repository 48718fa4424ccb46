//! What warm tasks cost: those that wait, and a job that takes one.

use std::fmt::Write as _;

use crate::bill::{Bill, HOURS, INVOKED, Item, job, job_of};
use crate::counts::Counts;
use crate::page::{cents, dollars, table};
use crate::prices::{
    ADDRESS_HOUR, ALARM_MONTH, GB_HOUR_ARM, GB_HOUR_X86, GB_SECOND_ARM, INVOCATION, LOG_GB,
    METRIC_MONTH, READ_UNIT, VCPU_HOUR_ARM, VCPU_HOUR_X86, WRITE_UNIT,
};

/// Read units of a look: eventually consistent, less than 4 KB.
const LOOK: f64 = 0.5;
/// Calls of the keeper in an hour, by its schedule.
const TICKS: f64 = 60.0;
/// Read units of a tick: a consistent query of one family's tickets, less than 4 KB.
const TICK: f64 = 1.0;
/// Metrics that the alarm of each family watches.
const WATCHED: f64 = 2.0;

/// Calls of the keeper for a job: by `token`, and by the events of the task that replaces the taken one
/// and of the taken one's end.
const KEEPER: (&str, f64) = ("stock", 3.0);
/// How long `token` waits until the task has answered: assumed, at two looks a second.
const ANSWER_SECONDS: f64 = 0.5;
/// Write units of a job: what is written, and how many units of 1 KB that is.
const WRITES: [(&str, f64); 11] = [
    ("ticket reserved", 1.0),
    ("task started", 1.0),
    ("task ready", 1.0),
    ("ticket claimed", 1.0),
    ("bell rung", 1.0),
    ("bell answered", 1.0),
    ("wait, with the task token", 2.0),
    ("end of the task noted", 2.0),
    ("end told", 2.0),
    ("wait deleted", 2.0),
    ("end of the job noted", 1.0),
];
/// Read units of a job: two consistent looks of `token` at the bell, a query for each call of the keeper,
/// and `cleanup`'s look at the job's note, which may be old.
const READS: f64 = 2.0 + 3.0 + 0.5;

/// Spot's share of the list price. The price varies but has stayed near this.
const SPOT_SHARE: f64 = 0.3;
/// Ten hours on the five days of a working week, in a month.
const WORKING_HOURS: f64 = HOURS * 50.0 / 168.0;

/// A month of one waiting task, without Fargate and monitoring, in a deployment that has no other one.
pub(crate) fn idle_slot(counts: &Counts) -> Bill {
    let ticks = HOURS * TICKS;
    // Called every minute, it meets hardly any new sandbox.
    let tick = counts.mib("stock") / 1_024.0 * counts.billed("stock").0 / 1_000.0;
    Bill(vec![
        Item::new(
            "looks at the bell: read units",
            HOURS * 3_600.0 * counts.looks * LOOK,
            *READ_UNIT,
        ),
        Item::new("`stock`: Lambda requests", ticks, *INVOCATION),
        Item::new("`stock`: GB-seconds (arm64)", ticks * tick, *GB_SECOND_ARM),
        Item::new(
            "`stock`: GB of logs",
            ticks * counts.log_bytes("stock") / 1e9,
            *LOG_GB,
        ),
        Item::new("`stock`: read units", ticks * TICK, *READ_UNIT),
    ])
}

/// A job that goes well on a warm task, without the task.
pub(crate) fn warm_job(counts: &Counts) -> Bill {
    let invoked: Vec<_> = INVOKED.iter().copied().chain([KEEPER]).collect();
    let Bill(mut items) = job_of(counts, &counts.warm_states, &invoked);
    let waiting = counts.mib("token") / 1_024.0 * ANSWER_SECONDS;
    items.push(Item::new(
        "`token` until the task answers: GB-seconds",
        waiting,
        *GB_SECOND_ARM,
    ));
    let units = WRITES.iter().map(|(_, units)| units).sum();
    items.push(Item::new("DynamoDB write units", units, *WRITE_UNIT));
    items.push(Item::new("DynamoDB read units", READS, *READ_UNIT));
    Bill(items)
}

/// Monitoring of a family for a month.
fn monitoring(counts: &Counts) -> Bill {
    Bill(vec![
        Item::new("metrics of the stock", counts.stock_metrics, *METRIC_MONTH),
        Item::new("alarm, by metrics watched", WATCHED, *ALARM_MONTH),
    ])
}

/// Fargate's price of an hour of one task.
fn hour(vcpu: f64, gb: f64, arm: bool) -> f64 {
    if arm {
        vcpu * VCPU_HOUR_ARM.dollars + gb * GB_HOUR_ARM.dollars
    } else {
        vcpu * VCPU_HOUR_X86.dollars + gb * GB_HOUR_X86.dollars
    }
}

pub(crate) fn section(counts: &Counts) -> String {
    let mut text = String::from(
        "## Warm tasks\n\n\
         A warm task is billed while it waits: an always ready one costs as much as a job that never ends. CDK prints the \
         price of what is configured, from the same list.\n\n\
         | one task | x86_64, always | arm64, always | arm64, 50 hours a week | arm64, Spot, always |\n\
         |---|---:|---:|---:|---:|\n",
    );
    for (vcpu, gb) in [(1.0, 2.0), (2.0, 4.0), (4.0, 8.0)] {
        let arm = hour(vcpu, gb, true);
        let _ = writeln!(
            text,
            "| {vcpu} vCPU, {gb} GB | {} | {} | {} | {} |",
            cents(HOURS * hour(vcpu, gb, false)),
            cents(HOURS * arm),
            cents(WORKING_HOURS * arm),
            cents(HOURS * SPOT_SHARE * arm),
        );
    }
    let _ = writeln!(
        text,
        "\nIn public subnets add {} a month for the address of an always ready task. `linger` costs nothing while nobody \
         builds.\n\n### An idle slot's control plane\n\n\
         A month of one task that waits. The keeper's part is paid once, however many tasks wait: a call each \
         minute, with the time and the log that were measured.\n",
        cents(HOURS * ADDRESS_HOUR.dollars)
    );
    text.push_str(&table(&idle_slot(counts), false));
    let _ = writeln!(
        text,
        "\nMonitoring costs {} a month besides for each runner with warm tasks: {} metrics every minute, and an \
         alarm on two of them.\n\n### A job on a warm task\n\nStates: {}.\n",
        cents(monitoring(counts).total()),
        counts.stock_metrics,
        counts.warm_states.join(", ")
    );
    text.push_str(&table(&warm_job(counts), true));
    let writes: Vec<_> = WRITES
        .iter()
        .map(|(what, units)| format!("{what} {units}"))
        .collect();
    let _ = writeln!(
        text,
        "\nWrite units: {}. That is {} more than a cold job. The task that replaces the taken one is counted; what it costs \
         until the next job takes it is above.",
        writes.join(", "),
        dollars(warm_job(counts).total() - job(counts).total())
    );
    text
}

#[cfg(test)]
mod tests {
    use tooling::Checkout;

    use super::*;

    #[test]
    fn a_task_that_waits_costs_at_most_forty_cents_a_month_besides_fargate() {
        let counts = Counts::read(&Checkout::here()).unwrap();
        let total = idle_slot(&counts).total();
        assert!(total <= 0.40, "{total}");
        // Most of it is looking at the bell: 5.3 million times.
        let looks = &idle_slot(&counts).0[0];
        assert!((looks.price() - 0.3285).abs() < 1e-9, "{}", looks.price());
    }

    #[test]
    fn a_job_on_a_warm_task_costs_at_most_18_thousandths_of_a_cent() {
        let counts = Counts::read(&Checkout::here()).unwrap();
        let total = warm_job(&counts).total();
        assert!(total <= 0.000_18, "{total}");
        assert!(total > job(&counts).total());
    }

    #[test]
    fn what_waits_by_business_hours_costs_less_than_a_third() {
        const { assert!(WORKING_HOURS / HOURS < 1.0 / 3.0) };
        assert!((WORKING_HOURS * hour(1.0, 2.0, true) - 8.58).abs() < 0.01);
    }
}
