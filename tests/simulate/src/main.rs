//! `cargo xtask simulate`: months of jobs, played with this system's own decisions against the quotas that
//! AWS and GitHub document. Writes the generated part of `docs/scale.md` and its plots.

mod faults;
mod figures;
mod limit;
mod load;
mod local;
mod machine;
mod page;
mod plot;
mod quotas;
mod timings;
mod world;

use std::fs;

use anyhow::Context;
use clap::Parser;
use fastrand::Rng;
use tooling::{Checkout, Progress};

use machine::Machine;
use page::{BEGIN, END, Player};
use quotas::{Limit, Quotas};
use world::{Setup, play};

const PAGE: &str = "docs/scale.md";
const PLOTS: &str = "docs/scale";

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask simulate",
    about = "Simulates months of jobs and writes docs/scale.md; with --jobs, prints one month"
)]
struct Options {
    /// The same seed gives the same page
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one month of so many jobs, and write nothing
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    jobs: Option<u32>,
    /// Warm tasks in that month's working hours
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100), requires = "jobs")]
    warm: u8,
    /// Fargate vCPUs of the account in that month; as many as needed if not given
    #[arg(long, requires = "jobs")]
    vcpus: Option<u32>,
    /// Organizations that the jobs are spread over, each with an installation of the App
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=40), requires = "jobs")]
    organizations: u16,
}

fn main() -> std::process::ExitCode {
    tooling::exit(run(&Options::parse()))
}

fn run(options: &Options) -> anyhow::Result<()> {
    let checkout = Checkout::here();
    let machine = Machine::read(&checkout)?;
    if let Some(jobs) = options.jobs {
        return print(&machine, options, jobs);
    }
    let player = Player {
        machine: &machine,
        seed: options.seed,
    };
    let progress = Progress::new();
    let written = player.page(&mut |played| progress.say(&format!("  {played}")))?;
    let path = checkout.path(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("reading {PAGE}"))?;
    let (head, tail) = around(&page)?;
    let page = format!("{head}{BEGIN}\n\n{}\n{END}{tail}", written.text);
    fs::write(&path, page).with_context(|| format!("writing {PAGE}"))?;
    fs::create_dir_all(checkout.path(PLOTS)).with_context(|| format!("making {PLOTS}"))?;
    for (name, svg) in written.plots {
        let path = format!("{PLOTS}/{name}");
        fs::write(checkout.path(&path), svg).with_context(|| format!("writing {path}"))?;
    }
    Ok(())
}

/// What stands before and after the generated part.
fn around(page: &str) -> anyhow::Result<(&str, &str)> {
    let (head, rest) = page
        .split_once(BEGIN)
        .with_context(|| format!("{PAGE} has no line {BEGIN}"))?;
    let (_, tail) = rest
        .split_once(END)
        .with_context(|| format!("{PAGE} has no line {END}"))?;
    Ok((head, tail))
}

/// Prints one month.
fn print(machine: &Machine, options: &Options, jobs: u32) -> anyhow::Result<()> {
    let mut setup = Setup::new(Quotas {
        vcpus: options.vcpus.unwrap_or(u32::MAX),
        installations: options.organizations.into(),
        ..Quotas::new_account()
    });
    setup.warm = options.warm;
    let arrivals = load::month(jobs, &mut Rng::with_seed(options.seed));
    let figures = play(machine, &setup, &arrivals, options.seed)?;
    println!("{figures}");
    for limit in Limit::ALL {
        if figures.refusals(limit) > 0 {
            println!(
                "  {limit}: {} refusals, {:.1} h waited",
                figures.refusals(limit),
                figures.hours_lost(limit)
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine::read(&Checkout::here()).unwrap()
    }

    /// The whole page takes too long for a test; the months up to 30,000 jobs are played again.
    #[test]
    fn the_page_is_what_the_command_writes() {
        let page = fs::read_to_string(Checkout::here().path(PAGE)).unwrap();
        let machine = machine();
        let player = Player {
            machine: &machine,
            seed: 1,
        };
        for jobs in [1_000, 3_000, 10_000, 30_000] {
            let row = player.row(jobs).unwrap();
            assert!(
                page.contains(&row),
                "{PAGE} is out of date: cargo xtask simulate. It lacks {row}"
            );
        }
        assert!(page.contains(&page::limits()));
    }

    #[test]
    fn the_same_seed_gives_the_same_month_and_no_job_is_left() {
        let machine = machine();
        let of = |seed| {
            let arrivals = load::month(3_000, &mut Rng::with_seed(seed));
            let figures = play(&machine, &Setup::new(Quotas::grown()), &arrivals, seed).unwrap();
            assert_eq!(figures.jobs(), arrivals.len());
            assert_eq!(figures.given_up, 0);
            figures
        };
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn a_job_that_goes_well_passes_five_states_and_asks_github_twice() {
        let figures = play(
            &machine(),
            &Setup {
                faults: faults::Faults::default(),
                ..Setup::new(Quotas::grown())
            },
            &load::at_once(1, limit::MINUTE),
            1,
        )
        .unwrap();
        assert_eq!((figures.transitions, figures.github_calls), (5, 2));
        assert_eq!((figures.tasks, figures.start_calls), (1, 1));
    }

    #[test]
    fn a_matrix_waits_for_the_second_minute_of_configurations() {
        let machine = machine();
        let mut setup = Setup::new(Quotas::grown());
        let refusals = |setup: &Setup, jobs| {
            let arrivals = load::storm(jobs, 0, &mut Rng::with_seed(1));
            let figures = play(&machine, setup, &arrivals, 1).unwrap();
            figures.refusals(Limit::GitHubMinute)
        };
        setup.quotas.raise(Limit::ParameterStore).unwrap();
        assert_eq!(refusals(&setup, 180), 0);
        assert!(refusals(&setup, 256) >= 76);
    }

    #[test]
    fn no_more_tasks_run_than_the_account_has_vcpus() {
        let quotas = Quotas::new_account();
        let arrivals = load::at_once(20, limit::MINUTE);
        let figures = play(&machine(), &Setup::new(quotas.clone()), &arrivals, 1).unwrap();
        assert_eq!(figures.most_tasks, quotas.vcpus);
        assert!(figures.refusals(Limit::FargateVcpus) > 0);
        assert_eq!((figures.jobs(), figures.given_up), (20, 0));
    }

    #[test]
    fn the_queue_keeps_what_start_execution_throttles_and_loses_nothing() {
        let mut setup = Setup::new(Quotas::grown());
        setup.quotas.start_execution = (50, 20);
        let arrivals = load::at_once(1_000, limit::MINUTE);
        let figures = play(&machine(), &setup, &arrivals, 1).unwrap();
        assert_eq!(figures.jobs(), 1_000);
        assert!(figures.kept > 900, "{figures}");
        // As `handlers/verify/tests/burst.rs` measures it with the functions themselves.
        assert!(figures.start_calls < 2_500, "{figures}");
    }
}
