//! The words of a summary.

use std::fmt::Write as _;
use std::time::SystemTime;

use decisions::cost::{Size, estimate};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::facts::{Facts, seconds};
use super::metadata::{Limits, Task};
use super::size::smaller;
use super::usage::Usage;

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// A table with what is known, in Markdown; nothing if nothing is.
pub(super) fn summary(
    facts: &Facts,
    task: Option<&Task>,
    usage: Option<&Usage>,
    now: SystemTime,
) -> Option<String> {
    let now = seconds(now);
    let job = facts.job?;
    let mut rows = Vec::new();
    if let Some(queued) = facts.queued {
        rows.push(("Waited in the queue", length(job - queued)));
    }
    // Fargate bills from the start of the image's download.
    let pulled = task.and_then(|task| epoch(task.pull_started_at.as_deref()?));
    let start = if facts.warm {
        facts.began
    } else {
        pulled.unwrap_or(facts.began).min(facts.began)
    };
    let kind = if facts.warm {
        "a warm task"
    } else {
        "a new task"
    };
    rows.push((
        "Runner started in",
        format!("{}, {kind}", length(job - start)),
    ));
    rows.push(("Ran for", length(now - job)));
    let size = task
        .filter(|task| task.launch_type == "FARGATE")
        .and_then(|task| Some(size_of(task.limits?, facts)));
    if let Some(size) = size {
        rows.push((
            "Size",
            format!(
                "{}{}",
                shape(size.cpu, size.memory),
                if size.spot { ", Spot" } else { "" }
            ),
        ));
        // Without the provider it is not known whether the task is on Spot.
        if facts.capacity.is_some() {
            rows.push(("Cost", cost(size, facts, pulled, start, now)));
        }
    }
    if let Some(usage) = usage {
        #[allow(clippy::cast_precision_loss)] // Far below 2^52 bytes.
        let memory = usage.memory as f64 / MEBIBYTE;
        rows.push((
            "Peak",
            format!("{:.1} vCPU, {}", usage.cpu, gibibytes(memory)),
        ));
        if let Some((units, mebibytes)) =
            size.and_then(|size| smaller(size, usage.cpu, memory, usage.samples))
        {
            let fits = shape(units.into(), mebibytes.into());
            rows.push((
                "A smaller size had room",
                format!("{fits} (`cpu: {units}, memoryMiB: {mebibytes}`)"),
            ));
        }
    }
    let mut text = String::from("### Runner\n\n| | |\n|---|---|\n");
    for (name, value) in rows {
        writeln!(text, "| {name} | {value} |").ok()?;
    }
    Some(text)
}

/// What the task costs until now. The waiting of a warm task is told apart: it was ready for any job.
fn cost(size: Size, facts: &Facts, pulled: Option<f64>, start: f64, now: f64) -> String {
    let waited = pulled.filter(|_| facts.warm).map(|pulled| start - pulled);
    let Some(waited) = waited.filter(|waited| *waited > 0.0) else {
        let dollars = estimate(size, now - start);
        return format!("{} USD, at list price of us-east-1", money(dollars));
    };
    let whole = estimate(size, now - start + waited);
    let of_job = estimate(size, 3_600.0) * (now - start) / 3_600.0;
    format!(
        "{} USD, at list price of us-east-1; its task had waited for {} ({} USD)",
        money(of_job),
        length(waited),
        money(whole - of_job)
    )
}

fn size_of(limits: Limits, facts: &Facts) -> Size {
    Size {
        cpu: limits.cpu * 1_024.0,
        memory: limits.memory,
        arm: cfg!(target_arch = "aarch64"),
        spot: facts.capacity.as_deref() == Some("FARGATE_SPOT"),
    }
}

fn shape(units: f64, mebibytes: f64) -> String {
    format!("{} vCPU, {}", units / 1_024.0, gibibytes(mebibytes))
}

fn gibibytes(mebibytes: f64) -> String {
    let text = format!("{:.1}", mebibytes / 1_024.0);
    format!("{} GiB", text.strip_suffix(".0").unwrap_or(&text))
}

/// To a thousandth of a cent. What is less than a tenth of a cent, as a minute of the smallest size, has two
/// digits more, so that it is told to a percent.
fn money(dollars: f64) -> String {
    if dollars < 0.001 {
        format!("{dollars:.7}")
    } else {
        format!("{dollars:.5}")
    }
}

/// `12 s`, `3 min 5 s`, `2 h 7 min`.
fn length(seconds: f64) -> String {
    // Clocks of GitHub and ECS may differ by a little.
    let seconds = seconds.max(0.0).round();
    let (minutes, hours) = ((seconds / 60.0).floor(), (seconds / 3_600.0).floor());
    if hours > 0.0 {
        format!("{hours} h {} min", minutes % 60.0)
    } else if minutes > 0.0 {
        format!("{minutes} min {} s", seconds % 60.0)
    } else {
        format!("{seconds} s")
    }
}

/// A time of the metadata, in seconds since 1970.
fn epoch(text: &str) -> Option<f64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(seconds(time.into()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const JOB: f64 = 1_700_000_100.0;

    fn facts() -> Facts {
        Facts {
            queued: Some(JOB - 41.0),
            began: JOB - 6.0,
            job: Some(JOB),
            warm: false,
            capacity: Some("FARGATE".to_owned()),
        }
    }

    fn task() -> Task {
        serde_json::from_str(
            r#"{ "Limits": { "CPU": 2, "Memory": 4096 }, "LaunchType": "FARGATE",
                 "PullStartedAt": "2023-11-14T22:14:34.5Z" }"#,
        )
        .unwrap()
    }

    fn at(seconds: f64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(seconds)
    }

    fn cell<'a>(text: &'a str, name: &str) -> &'a str {
        let start = format!("| {name} | ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .trim_end_matches(" |")
    }

    #[test]
    fn the_page_says_how_long_how_dear_and_how_large() {
        let usage = Usage {
            cpu: 0.44,
            memory: 700 << 20,
            samples: 60,
        };
        let text = summary(&facts(), Some(&task()), Some(&usage), at(JOB + 600.0)).unwrap();
        assert_eq!(cell(&text, "Waited in the queue"), "41 s");
        assert_eq!(cell(&text, "Runner started in"), "26 s, a new task");
        assert_eq!(cell(&text, "Ran for"), "10 min 0 s");
        assert_eq!(cell(&text, "Size"), "2 vCPU, 4 GiB");
        assert_eq!(cell(&text, "Peak"), "0.4 vCPU, 0.7 GiB");
        let smaller = cell(&text, "A smaller size had room");
        assert_eq!(smaller, "1 vCPU, 2 GiB (`cpu: 1024, memoryMiB: 2048`)");
    }

    /// The same list prices as in `docs/cost.md`, computed here from the list itself.
    #[test]
    fn the_cost_is_within_one_percent_of_the_list_s_arithmetic() {
        let list = include_str!("../../../../../cdk/src/prices.json");
        let list: serde_json::Value = serde_json::from_str(list).unwrap();
        let arm = cfg!(target_arch = "aarch64");
        let price = |name: &str| {
            let name = format!("{name}_{}", if arm { "ARM" } else { "X86" });
            list["prices"][name]["dollars"].as_f64().unwrap()
        };
        for (cpu, memory) in [
            (0.25, 512.0),
            (0.5, 1_024.0),
            (2.0, 4_096.0),
            (32.0, 65_536.0),
        ] {
            let mut task = task();
            task.limits = Some(Limits { cpu, memory });
            for seconds in [30.0, 60.0, 83.0, 626.0, 7_200.0] {
                let text = summary(&facts(), Some(&task), None, at(JOB - 25.5 + seconds)).unwrap();
                let cost = cell(&text, "Cost").split(' ').next().unwrap();
                let cost: f64 = cost.parse().unwrap();
                let hours = f64::max(seconds, 60.0) / 3_600.0;
                let hourly = cpu * price("VCPU_HOUR") + memory / 1_024.0 * price("GB_HOUR");
                let expected = hours * hourly;
                assert!(
                    (cost / expected - 1.0).abs() < 0.01,
                    "{cost} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn a_warm_task_s_waiting_is_told_apart_and_together_they_are_the_list_s_arithmetic() {
        let mut facts = facts();
        (facts.warm, facts.queued) = (true, Some(JOB - 8.0));
        let hourly = estimate(size_of(task().limits.unwrap(), &facts), 3_600.0);
        // The image was pulled 25.5 s before the job, and the task rung 6 s before it.
        for (seconds, waiting) in [(600.0, "20 s"), (5.0, "20 s")] {
            let text = summary(&facts, Some(&task()), None, at(JOB + seconds)).unwrap();
            assert_eq!(cell(&text, "Waited in the queue"), "8 s");
            assert_eq!(cell(&text, "Runner started in"), "6 s, a warm task");
            let cost = cell(&text, "Cost");
            assert!(cost.contains(&format!("waited for {waiting} (")), "{cost}");
            let (of_job, rest) = cost.split_once(" USD").unwrap();
            let (_, waited) = rest.split_once('(').unwrap();
            let waited = waited.split(' ').next().unwrap();
            let (of_job, waited) = (of_job.parse().unwrap(), waited.parse().unwrap());
            assert_parts(of_job, waited, hourly, seconds);
        }
    }

    /// Of the hourly price: the job's part, and with the waiting at least a minute.
    #[track_caller]
    fn assert_parts(of_job: f64, waited: f64, hourly: f64, seconds: f64) {
        let near = |told: f64, expected: f64| {
            let difference = (told - expected).abs();
            assert!(
                difference <= f64::max(expected * 0.01, 0.000_01),
                "{told} is not {expected}"
            );
        };
        near(of_job, hourly * (seconds + 6.0) / 3_600.0);
        let whole = f64::max(seconds + 25.5, 60.0);
        near(of_job + waited, hourly * whole / 3_600.0);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut facts = facts();
        (facts.queued, facts.warm) = (None, true);
        let text = summary(&facts, None, None, at(JOB + 4_000.0)).unwrap();
        assert_eq!(cell(&text, "Runner started in"), "6 s, a warm task");
        assert_eq!(cell(&text, "Ran for"), "1 h 6 min");
        for missing in ["Waited", "Cost", "Size", "Peak"] {
            assert!(!text.contains(missing), "{text}");
        }
        facts.job = None;
        assert_eq!(summary(&facts, None, None, at(JOB)), None);
    }

    #[test]
    fn on_ec2_the_task_has_no_price_of_its_own() {
        let task: Task = serde_json::from_str(r#"{ "LaunchType": "EC2" }"#).unwrap();
        let text = summary(&facts(), Some(&task), None, at(JOB + 5.0)).unwrap();
        assert!(!text.contains("USD"), "{text}");
    }
}
