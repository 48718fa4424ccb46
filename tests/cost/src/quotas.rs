//! Which limit is met first.

use std::fmt::Write as _;

use tooling::thousands;

use crate::counts::Counts;

/// Jobs of a month.
pub(crate) const VOLUMES: [u32; 3] = [1_000, 100_000, 1_000_000];

/// Seconds of a month in which people work: 22 days of ten hours.
const WORK: f64 = 22.0 * 10.0 * 3_600.0;
/// The busiest minutes over the average: assumed.
const PEAK: f64 = 5.0;
/// What is running of a job, for its five minutes.
const JOB_SECONDS: f64 = 300.0;

/// A limit by default, and how much of it one job a second takes.
struct Quota {
    what: &'static str,
    limit: f64,
    unit: &'static str,
    per_job: f64,
    raise: &'static str,
    source: &'static str,
}

fn quotas(counts: &Counts) -> Vec<Quota> {
    // Far below 2^52.
    #[allow(clippy::cast_precision_loss)]
    let states = counts.states.len() as f64;
    let seconds = |name: &str| counts.billed(name).0 / 1_000.0;
    let lambda = 3.0 * seconds("verify")
        + seconds("match")
        + seconds("launch")
        + seconds("token")
        + 2.0 * seconds("cleanup");
    let quota = |what, limit, unit, per_job, raise, source| Quota {
        what,
        limit,
        unit,
        per_job,
        raise,
        source,
    };
    vec![
        quota(
            "Fargate On-Demand vCPUs",
            6.0,
            "vCPU in a new account",
            JOB_SECONDS,
            "Service Quotas, *Fargate On-Demand vCPU resource count*: concurrent jobs × vCPUs; AWS also raises it with use",
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html",
        ),
        quota(
            "GitHub calls per installation",
            5_000.0 / 3_600.0,
            "a second (5,000 an hour)",
            2.0,
            "with warm tasks a job takes one call instead of two; grows to 12,500 an hour with repositories and users, 15,000 on Enterprise Cloud; beyond that, one App per organization",
            "https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api",
        ),
        quota(
            "GitHub just-in-time configurations",
            3.0,
            "a second (180 a minute)",
            1.0,
            "fixed per installation; a burst waits in the state machine. Each organization's installation has its own",
            "https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api",
        ),
        quota(
            "Fargate task launches",
            20.0,
            "a second, 100 at once",
            1.0,
            "Service Quotas: Fargate's launch rate and ECS RunTask together",
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html",
        ),
        quota(
            "Parameter Store, PutParameter and GetParameter",
            40.0,
            "a second",
            2.0,
            "the account setting *higher throughput* ($0.05 per 10,000 calls)",
            "https://docs.aws.amazon.com/general/latest/gr/ssm.html",
        ),
        quota(
            "Lambda concurrent executions",
            1_000.0,
            "(10 in a new account)",
            lambda,
            "Service Quotas, *Concurrent executions*",
            "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html",
        ),
        quota(
            "StartExecution",
            150.0,
            "a second, 800 at once (300 and 1,300 in the largest regions)",
            1.0,
            "Service Quotas; beyond it jobs wait in the overflow queue",
            "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html",
        ),
        quota(
            "state transitions",
            800.0,
            "a second (5,000 in the largest regions)",
            states,
            "Service Quotas; beyond it executions are slower",
            "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html",
        ),
    ]
}

pub(crate) fn section(counts: &Counts) -> String {
    let quotas = quotas(counts);
    let rates = VOLUMES.map(|jobs| PEAK * f64::from(jobs) / WORK);
    let mut text = String::from("## What stops growth\n\n");
    let _ = writeln!(
        text,
        "Assumes jobs of five minutes on one vCPU, on 22 days of ten hours, with {PEAK} times the average load in the busiest \
         minutes: {}. The columns show the used share of each default limit at the peak. Over 100 %, jobs wait; none is \
         lost ([reliability.md](reliability.md#bursts)).\n",
        VOLUMES
            .iter()
            .zip(rates)
            .map(|(jobs, rate)| format!(
                "{rate:.2} jobs a second at {} jobs a month",
                thousands((*jobs).into())
            ))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let heads = VOLUMES
        .map(|jobs| format!("{} |", thousands(jobs.into())))
        .join(" ");
    let _ = writeln!(
        text,
        "| quota | default | {heads} how to raise it |\n|---|---|---:|---:|---:|---|"
    );
    for quota in &quotas {
        let shares = rates
            .map(|rate| percent(rate * quota.per_job / quota.limit))
            .join(" | ");
        let _ = writeln!(
            text,
            "| [{}]({}) | {} {} | {shares} | {} |",
            quota.what,
            quota.source,
            number(quota.limit),
            quota.unit,
            quota.raise
        );
    }
    text.push('\n');
    for (jobs, rate) in VOLUMES.iter().zip(rates) {
        let mut met: Vec<_> = quotas
            .iter()
            .map(|quota| (rate * quota.per_job / quota.limit, quota.what))
            .filter(|(share, _)| *share > 1.0)
            .collect();
        met.sort_by(|a, b| b.0.total_cmp(&a.0));
        let names: Vec<_> = met.iter().map(|(_, what)| *what).collect();
        let verdict = if names.is_empty() {
            "no quota needs raising".to_owned()
        } else {
            format!("raise {}", names.join(", then "))
        };
        let _ = writeln!(
            text,
            "- {} jobs a month: {verdict}.",
            thousands((*jobs).into())
        );
    }
    text
}

fn percent(share: f64) -> String {
    if share < 0.01 {
        "under 1 %".to_owned()
    } else {
        format!("{:.0} %", 100.0 * share)
    }
}

fn number(limit: f64) -> String {
    if limit.fract() == 0.0 {
        format!("{limit}")
    } else {
        format!("{limit:.2}")
    }
}
