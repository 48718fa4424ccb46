//! docs/cost.md.

use std::fmt::Write as _;

use crate::alternatives;
use crate::bill::{Bill, INVOKED, idle_month, job};
use crate::counts::{COLD, Counts};
use crate::prices::{ALL, AS_OF, GB_HOUR_ARM, GB_HOUR_X86, VCPU_HOUR_ARM, VCPU_HOUR_X86};
use crate::quotas;

/// The whole page.
pub(crate) fn page(counts: &Counts) -> String {
    let mut page = String::new();
    for part in [
        head(counts),
        bills(counts),
        fargate(counts),
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
        "# What it costs\n\n\
         Written by `cargo xtask cost` from the state machine, CDK's sizes and resources, the figures in \
         [bench.json](bench.json) and the list prices below (us-east-1, {AS_OF}, no free tier); a test holds the page \
         against them. Change those, not this page.\n\n\
         **A job costs {} for everything but its own time on Fargate**, an idle month {}. A job of five minutes on one \
         vCPU and 2 GB costs {} on Fargate: {:.0} times as much.\n",
        dollars(ours.total()),
        cents(idle_month(counts).total()),
        dollars(task(5.0)),
        task(5.0) / ours.total()
    )
}

fn bills(counts: &Counts) -> String {
    let mut text = String::from("## The control plane\n\n### A job that goes well\n\n");
    let _ = writeln!(
        text,
        "States: {}. GitHub sends three webhooks per job (queued, in progress, completed), each an invocation of \
         `verify`; EventBridge tells `cleanup` of the task's end, beside the state machine's own call. One invocation in \
         {:.0} meets a new sandbox, whose start is billed.\n",
        counts.states.join(", "),
        1.0 / COLD
    );
    text.push_str(&table(&job(counts), true));
    text.push_str("\n| function | per job | MiB | billed, ms | in a new sandbox |\n|---|---:|---:|---:|---:|\n");
    for (name, times) in INVOKED {
        let (warm, cold) = counts.billed(name);
        let mib = counts.mib(name);
        let _ = writeln!(text, "| `{name}` | {times} | {mib} | {warm} | {cold} |");
    }
    text.push_str(
        "\nMeasured with a function's share of a processor, against an AWS that answers in 15 ms and a GitHub that answers \
         in 120 ms ([performance.md](performance.md)).\n",
    );
    text.push_str("\n### A month without a job\n\n");
    text.push_str(&table(&idle_month(counts), false));
    text.push_str(
        "\nThe alarms, and the queue that is watched, are what it costs to be told; without them the month is the sweeps'. \
         Metrics come with jobs: the eight that an ordinary job sends are $0.30 each and month, billed by the hours in \
         which they have values, two of them for each repository.\n",
    );
    text.push_str("\n### Beside the alternatives\n\nThe same prices, the same arithmetic.\n\n");
    text.push_str("| | per job | idle month | what is counted |\n|---|---:|---:|---|\n");
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
    text.push_str(
        "\nA state machine is most of our price and of CloudSnorkel's, and it is what answers \"what became of my job\". \
         Without one, terraform-aws-github-runner is cheaper per job; the difference is a tenth of a second of Fargate.\n",
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
        "## The runner's own time\n\n\
         Fargate bills from the start of the image's download to the task's end, a minute at least.\n\n\
         | job | x86_64 | arm64 | control plane's share (x86_64) |\n|---|---:|---:|---:|\n",
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
        "\nSo what saves money is a faster start (a smaller image), the right size, arm64 and Fargate Spot (about 70 % \
         off), in this order of ease; nothing in the control plane does.\n",
    );
    text
}

fn volumes(counts: &Counts) -> String {
    let mut text = String::from(
        "## A month's bill\n\nJobs of five minutes, one vCPU and 2 GB, x86_64.\n\n\
         | jobs a month | control plane | Fargate |\n|---:|---:|---:|\n",
    );
    for jobs in quotas::VOLUMES {
        let control = idle_month(counts).total() + f64::from(jobs) * job(counts).total();
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            thousands(jobs),
            cents(control),
            cents(f64::from(jobs) * task(5.0))
        );
    }
    text
}

fn prices() -> String {
    let mut text = format!(
        "## List prices\n\nus-east-1, looked up {AS_OF}.\n\n| what | listed | source |\n|---|---|---|\n"
    );
    for price in ALL {
        let _ = writeln!(
            text,
            "| {} | {} | <{}> |",
            price.what, price.listed, price.source
        );
    }
    text
}

/// A bill, in dollars for a single job or in cents for a month.
fn table(bill: &Bill, single: bool) -> String {
    let shown = |amount: f64| {
        if single {
            dollars(amount)
        } else {
            cents(amount)
        }
    };
    let mut text = String::from("| what | how many | price |\n|---|---:|---:|\n");
    for item in &bill.0 {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            item.what,
            quantity(item.quantity),
            shown(item.price())
        );
    }
    let _ = writeln!(text, "| **together** | | **{}** |", shown(bill.total()));
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

fn cents(amount: f64) -> String {
    format!("${amount:.2}")
}

pub(crate) fn thousands(number: u32) -> String {
    match number {
        1_000_000.. => format!("{},000,000", number / 1_000_000),
        1_000.. => format!("{},000", number / 1_000),
        _ => number.to_string(),
    }
}
