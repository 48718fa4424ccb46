//! What the simulation says about the local stack, beside what the local stack did.
//!
//! There everything shares one machine's processors, and nothing has a quota: the simulation gets the
//! steps' times of one job, and what an invocation and a task take of a processor. Those two numbers are
//! fitted to the run of 20 jobs; the run of 200 is a prediction.

use std::fmt::Write as _;

use crate::faults::Faults;
use crate::limit::SECOND;
use crate::load;
use crate::page::Player;
use crate::quotas::Quotas;
use crate::timings::Timings;
use crate::world::Setup;

/// A run of `cargo xtask local --once --jobs N`, on two processors that other programs used as well.
struct Measured {
    jobs: u32,
    /// Jobs that ran in this run.
    ran: u32,
    /// Seconds from a job's queueing until a runner had it: median, least and most.
    waited: (f64, f64, f64),
}

const MEASURED: [Measured; 3] = [
    Measured {
        jobs: 1,
        ran: 1,
        waited: (0.9, 0.9, 0.9),
    },
    Measured {
        jobs: 20,
        ran: 20,
        waited: (3.7, 3.5, 3.9),
    },
    Measured {
        jobs: 200,
        ran: 110,
        waited: (34.7, 24.9, 237.9),
    },
];

pub(crate) fn section(player: Player<'_>) -> anyhow::Result<String> {
    let mut text = String::from(
        "## Held against the local stack\n\n\
         `cargo xtask local --once --jobs N` queues N jobs at once and prints how long each waited. The simulation is given \
         the times of a single job's steps and the local stack's two processors; what an invocation and a task's start take of \
         a processor is fitted to 20 jobs. So one job and 20 show that it adds up, and 200 are a prediction.\n\n\
         | jobs at once | simulated: median | least | most | measured: median | least | most | difference of the medians |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for measured in MEASURED {
        let setup = Setup {
            quotas: unlimited(),
            timings: Timings::LOCAL,
            faults: Faults::default(),
            warm: 0,
        };
        let arrivals = load::at_once(measured.jobs, SECOND / 10);
        let figures = player.local(&setup, &arrivals)?;
        let (median, least, most) = measured.waited;
        let simulated = figures.percentile(50);
        let _ = writeln!(
            text,
            "| {} | {simulated:.1} s | {:.1} s | {:.1} s | {median:.1} s | {least:.1} s | {most:.1} s | {:+.0} % |",
            measured.jobs,
            figures.percentile(0),
            figures.percentile(100),
            100.0 * (simulated - median) / median,
        );
    }
    for measured in MEASURED.iter().filter(|run| run.ran < run.jobs) {
        let _ = writeln!(
            text,
            "\nOf the {} jobs, {} ran within the run that was measured: for the others the machine was too slow to answer GitHub's \
             webhook within its ten seconds, and `sweep`, which would have had them delivered again, has no schedule there. The \
             simulation does not know that, nor that a runner may take another's job before it: hence the difference in the \
             longest wait.",
            measured.jobs, measured.ran
        );
    }
    text.push('\n');
    Ok(text)
}

/// The local engine throttles nothing unless a test says so.
fn unlimited() -> Quotas {
    let rate = (1_000_000, 1_000_000);
    Quotas {
        start_execution: rate,
        transitions: rate,
        lambda: 1_000_000,
        parameter_store: rate,
        run_task: rate,
        fargate_launches: rate,
        table_writes: rate,
        github_hour: 1_000_000,
        github_minute: 1_000_000,
        github_registrations: 1_000_000,
        ..Quotas::grown()
    }
}
