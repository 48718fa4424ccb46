//! The program behind `cargo xtask chaos`.

use std::ops::RangeInclusive;
use std::process::ExitCode;

use anyhow::Context;
use chaos::play::Explained;
use chaos::schedule::Schedule;
use chaos::site::{Setup, Site};
use chaos::{account, play, report};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tooling::{Checkout, Progress};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask chaos",
    about = "Plays a seeded schedule of jobs and faults on the local stack"
)]
struct Options {
    /// Number of jobs for each seed
    #[arg(long, default_value_t = 100)]
    jobs: usize,
    /// The seed, or the first and last of several: `7`, `1..10`
    #[arg(long, default_value = "1", value_parser = seeds)]
    seed: RangeInclusive<u64>,
    /// Number of seeds, starting from the first one
    #[arg(long)]
    seeds: Option<u64>,
    #[command(flatten)]
    setup: Setup,
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no seed"));
    match text.split_once("..") {
        Some((first, last)) => Ok(number(first)?..=number(last.trim_start_matches('='))?),
        None => number(text).map(|seed| seed..=seed),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let result = tokio::runtime::Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let result = runtime.block_on(run(&options));
            // Preparations that are running when a signal arrives are not awaited.
            runtime.shutdown_background();
            result
        });
    tooling::exit(result.map(|well| ExitCode::from(u8::from(!well))))
}

/// Plays all seeds. Returns whether all were without problems.
async fn run(options: &Options) -> anyhow::Result<bool> {
    let first = *options.seed.start();
    let last = options.seeds.map_or(*options.seed.end(), |count| {
        first.saturating_add(count.saturating_sub(1))
    });
    let (progress, checkout) = (Progress::new(), Checkout::here());
    let mut site = None;
    let (mut verdicts, mut explained) = (Vec::new(), Vec::new());
    let mut interrupted = std::pin::pin!(interrupted());
    let mut result = Ok(());
    for seed in first..=last {
        let played = tokio::select! {
            played = one(&progress, &checkout, &mut site, Schedule::new(seed, options.jobs, &options.setup.further()), options.setup) => played,
            signal = &mut interrupted => Err(signal.err().unwrap_or_else(|| anyhow::anyhow!("interrupted"))),
        };
        match played {
            Ok((verdict, well, asked)) => {
                explained.push(asked);
                // The leftovers of one seed must not count against the next.
                if !well && let Some(used) = site.take() {
                    stop(&progress, used).await?;
                }
                verdicts.push((verdict, well));
            }
            Err(error) => {
                result = Err(error.context(format!("seed {seed}")));
                break;
            }
        }
    }
    if let Some(used) = site {
        stop(&progress, used).await?;
    }
    result?;
    println!();
    for (verdict, _) in &verdicts {
        println!("{verdict}");
    }
    let (line, enough) = report::named(&explained);
    println!("{line}{}", if enough { "" } else { ": too few" });
    Ok(enough && verdicts.iter().all(|(_, well)| *well))
}

/// Plays one seed and reports it. Returns its verdict, whether it is good, and what `why` said.
async fn one(
    progress: &Progress,
    checkout: &Checkout,
    site: &mut Option<Site>,
    schedule: Schedule,
    setup: Setup,
) -> anyhow::Result<(String, bool, Explained)> {
    let site = match site {
        Some(site) => site,
        None => site.insert(Site::start(progress, checkout, setup).await?),
    };
    let step = progress.step(format!("Seed {}", schedule.seed));
    let played = play::play(site, &schedule, &step).await?;
    let account = account::Account::of(&played.facts);
    let verdict = report::verdict(schedule.seed, &account);
    if account.is_well() {
        step.done("");
    } else {
        step.failed("");
    }
    report::show(site, &schedule, &played, &account).await?;
    println!("{verdict}");
    Ok((verdict, account.is_well(), played.explained))
}

async fn stop(progress: &Progress, site: Site) -> anyhow::Result<()> {
    let step = progress.step("Stop everything");
    site.stop().await?;
    step.done("");
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.context("listening for Ctrl-C"),
        _ = terminated.recv() => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_number_or_two_with_dots_between() {
        assert_eq!(seeds("7"), Ok(7..=7));
        assert_eq!(seeds("1..10"), Ok(1..=10));
        assert_eq!(seeds("1..=10"), Ok(1..=10));
        assert!(seeds("x").is_err());
    }
}
