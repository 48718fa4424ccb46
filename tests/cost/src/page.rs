//! docs/cost.md.

use std::fmt::Write as _;

use tooling::thousands;

use crate::alternatives;
use crate::bill::{Bill, INVOKED, idle_month, job};
use crate::counts::{COLD, Counts};
use crate::prices::{GB_HOUR_ARM, GB_HOUR_X86, VCPU_HOUR_ARM, VCPU_HOUR_X86, all, as_of};
use crate::{pool, quotas};

/// The whole page.
pub(crate) fn page(counts: &Counts) -> String {
    let mut page = String::new();
    for part in [
        head(counts),
        bills(counts),
        fargate(counts),
        pool::section(counts),
        volumes(counts),
        quotas::section(counts),
        prices(),
    ] {
        if !page.is_empty() {
            page.push('\n');
        }
        page.push_str(&part);
    }
    page
}

fn head(counts: &Counts) -> String {
    let ours = job(counts);
    format!(
        "# Cost\n\n\
         `cargo xtask cost` generates this page from the state machine, CDK's sizes and resources, the figures in \
         [bench.json](bench.json) and the list prices below (us-east-1, {}, no free tier). A test compares it. \
         Change its sources, not this page.\n\n\
         **The control plane costs {} per job** and {} per idle month. Fargate costs {} for a job of five minutes on \
         one vCPU and 2 GB: {:.0} times as much.\n",
        as_of(),
        dollars(ours.total()),
        cents(idle_month(counts).total()),
        dollars(task(5.0)),
        task(5.0) / ours.total()
    )
}

fn bills(counts: &Counts) -> String {
    let mut text = String::from("## Control plane\n\n### A successful job\n\n");
    let _ = writeln!(
        text,
        "States: {}. GitHub sends three webhooks per job (queued, in progress, completed), and each invokes `verify`. \
         `cleanup` runs twice: for the state machine, and for the EventBridge event of the stopped task. One \
         invocation in {:.0} is assumed to be a cold start, which is billed.\n",
        counts.states.join(", "),
        1.0 / COLD
    );
    text.push_str(&table(&job(counts), true));
    text.push_str(
        "\n| function | per job | MiB | billed, ms | cold start, ms |\n|---|---:|---:|---:|---:|\n",
    );
    for (name, times) in INVOKED {
        let (warm, cold) = counts.billed(name);
        let mib = counts.mib(name);
        let _ = writeln!(text, "| `{name}` | {times} | {mib} | {warm} | {cold} |");
    }
    text.push_str(
        "\nMeasured at the function's CPU share, with AWS answering in 15 ms and GitHub in 120 ms \
         ([performance.md](performance.md)).\n",
    );
    text.push_str("\n### An idle month\n\n");
    text.push_str(&table(&idle_month(counts), false));
    text.push_str(
        "\nMost of it is monitoring; `-c dashboard=false -c alarms=false` removes the dashboard and the alarms. Metrics cost \
         extra once there are jobs: an ordinary job sends eight, at $0.30 per month each, billed for the hours with \
         values. Two of them exist per repository.\n",
    );
    text.push_str("\n### Alternatives\n\nComputed with the same prices; logs and alarms of the others are not counted.\n\n");
    text.push_str("| system | per job | idle month | counted |\n|---|---:|---:|---|\n");
    let mut row = |name: &str, per_job: f64, idle: f64, what: &str| {
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {what} |",
            dollars(per_job),
            cents(idle)
        );
    };
    let states = counts.states.len();
    row(
        "Fargate Runners",
        job(counts).total(),
        idle_month(counts).total(),
        &format!(
            "measured: {states} transitions, {} invocations",
            job(counts).invocations()
        ),
    );
    for other in alternatives::all() {
        row(
            other.name,
            other.job.total(),
            other.idle.total(),
            other.assumed,
        );
    }
    let cheapest = alternatives::all()
        .iter()
        .map(|other| other.job.total())
        .fold(f64::INFINITY, f64::min);
    let _ = writeln!(
        text,
        "\nMost of the price per job is the state machine, here and in CloudSnorkel's system; it shows what happened to \
         each job. terraform-aws-github-runner has none and is cheaper per job, by the price of {:.0} seconds of Fargate.",
        (job(counts).total() - cheapest) / task(1.0 / 60.0)
    );
    text
}

/// Fargate's price of a task with one vCPU and 2 GB on `x86_64`.
fn task(minutes: f64) -> f64 {
    minutes / 60.0 * (VCPU_HOUR_X86.dollars + 2.0 * GB_HOUR_X86.dollars)
}

fn fargate(counts: &Counts) -> String {
    let control = job(counts).total();
    let mut text = String::from(
        "## Runners\n\n\
         Fargate bills from the start of the image pull to the end of the task, at least one minute.\n\n\
         | job | x86_64 | arm64 | share of the control plane (x86_64) |\n|---|---:|---:|---:|\n",
    );
    for (vcpu, gb) in [(1.0, 2.0), (2.0, 4.0), (4.0, 8.0)] {
        for minutes in [1.0, 5.0, 30.0] {
            let price = |cpu: f64, memory: f64| minutes / 60.0 * (vcpu * cpu + gb * memory);
            let x86 = price(VCPU_HOUR_X86.dollars, GB_HOUR_X86.dollars);
            let _ = writeln!(
                text,
                "| {minutes} min, {vcpu} vCPU, {gb} GB | {} | {} | {:.1} % |",
                dollars(x86),
                dollars(price(VCPU_HOUR_ARM.dollars, GB_HOUR_ARM.dollars)),
                100.0 * control / (control + x86)
            );
        }
    }
    text.push_str(
        "\nTo save money, use a smaller image (a faster start), the right task size, arm64, and Fargate Spot (about 70 % \
         off). Savings in the control plane do not matter.\n",
    );
    text
}

fn volumes(counts: &Counts) -> String {
    let mut text = String::from(
        "## Monthly bill\n\nJobs of five minutes on one vCPU and 2 GB, x86_64.\n\n\
         | jobs a month | control plane | Fargate |\n|---:|---:|---:|\n",
    );
    for jobs in quotas::VOLUMES {
        let control = idle_month(counts).total() + f64::from(jobs) * job(counts).total();
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            thousands(jobs.into()),
            cents(control),
            cents(f64::from(jobs) * task(5.0))
        );
    }
    text
}

fn prices() -> String {
    let mut text = format!(
        "## List prices\n\nus-east-1, as of {}.\n\n| item | price | source |\n|---|---|---|\n",
        as_of()
    );
    for price in all() {
        let _ = writeln!(
            text,
            "| {} | {} | <{}> |",
            price.what, price.listed, price.source
        );
    }
    text
}

/// A bill, in dollars for a single job or in cents for a month.
pub(crate) fn table(bill: &Bill, single: bool) -> String {
    let shown = |amount: f64| {
        if single {
            dollars(amount)
        } else {
            cents(amount)
        }
    };
    let mut text = String::from("| item | quantity | price |\n|---|---:|---:|\n");
    for item in &bill.0 {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            item.what,
            quantity(item.quantity),
            shown(item.price())
        );
    }
    let _ = writeln!(text, "| **total** | | **{}** |", shown(bill.total()));
    text
}

fn quantity(quantity: f64) -> String {
    if quantity >= 100.0 {
        format!("{quantity:.0}")
    } else if quantity.fract() == 0.0 {
        format!("{quantity}")
    } else if quantity < 0.001 {
        format!("{quantity:.7}")
    } else {
        format!("{quantity:.4}")
    }
}

/// A small amount.
pub(crate) fn dollars(amount: f64) -> String {
    if amount >= 0.01 {
        format!("${amount:.4}")
    } else {
        format!("${amount:.6}")
    }
}

pub(crate) fn cents(amount: f64) -> String {
    format!("${amount:.2}")
}
