//! `cargo xtask bench`: what the functions and the agent take, against an empty function.
//!
//! Functions run as in Lambda: the release programs, each a process of its own, fed by a Runtime API
//! on loopback; AWS and GitHub answer on loopback over TLS. What counts is CPU time by the operating
//! system's accounting, and its ratio to the empty function's in the same round: a machine that is
//! busy or slow changes both.

mod agent;
mod aws;
mod burst;
mod clock;
mod floor;
mod github;
mod instructions;
mod memory;
mod report;
mod rig;
mod sandbox;
mod serve;
mod share;
mod size;
mod spread;
mod subject;
mod tls;
mod warm;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use tooling::Checkout;

use report::Report;
use rig::Rig;

/// The burst: as many webhooks, so many a second.
const WEBHOOKS: u64 = 1_000;
const RATE: u64 = 100;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench",
    about = "Measures functions and agent against an empty function"
)]
struct Cli {
    /// What is measured; all of it but `warm` where nothing is named
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Sandboxes of each function
    #[arg(long, default_value_t = 9)]
    runs: u32,
    /// Invocations of each sandbox after its first
    #[arg(long, default_value_t = 1_000)]
    invocations: u32,
    /// Write the figures here, as JSON; parts that are not measured stay as they are
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// CPU, memory and size of each function
    Floor,
    /// The agent's start
    Agent,
    /// The catalogue of `match`: expired, and a hundred cold sandboxes
    Catalogue,
    /// A thousand webhooks at a hundred a second
    Burst,
    /// Instructions of each function's start and first invocation; takes valgrind
    Instructions,
    /// Times under the processor's share of several memory sizes
    Memory,
    /// Jobs on warm tasks, on the local stack; measured by itself
    Warm,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    tooling::exit(measure(Cli::parse()).await)
}

async fn measure(cli: Cli) -> anyhow::Result<()> {
    // Another program, without the functions of the release.
    if cli.parts.contains(&Part::Warm) {
        return warm::measure(cli.runs).await;
    }
    let rig = Arc::new(Rig::new(&Checkout::here()).await?);
    let mut measured = Report {
        machine: report::machine(),
        roots: rig.authority.roots,
        runs: cli.runs,
        invocations: cli.invocations,
        ..Report::default()
    };
    // What was measured is shown, whatever became of the rest.
    let result = parts(&cli, &rig, &mut measured).await;
    println!(
        "{}, {} authorities; median (least–most) of {} sandboxes, {} invocations each\n\n{}",
        measured.machine,
        measured.roots,
        measured.runs,
        measured.invocations,
        measured.tables()
    );
    if let Some(path) = &cli.json {
        measured.keep(path)?;
    }
    result
}

async fn parts(cli: &Cli, rig: &Arc<Rig>, measured: &mut Report) -> anyhow::Result<()> {
    let wants = |part| cli.parts.is_empty() || cli.parts.contains(&part);
    if wants(Part::Floor) {
        measured.functions = floor::measure(rig, cli.runs, cli.invocations).await?;
    }
    if wants(Part::Agent) {
        measured.agent = Some(agent::measure(rig, cli.runs).await?);
    }
    if wants(Part::Catalogue) {
        measured.expiry = Some(burst::expiry(rig).await?);
        for sandboxes in [1, 10, 100] {
            let cold = burst::cold_matches(rig, sandboxes).await?;
            measured.cold_match.push(cold);
        }
    }
    if wants(Part::Burst) {
        for throttle in burst::THROTTLES {
            let figures = burst::webhooks(rig, throttle, WEBHOOKS, RATE).await?;
            measured.burst.push(figures);
        }
    }
    if wants(Part::Instructions) {
        match instructions::measure(rig).await {
            Ok(figures) => measured.instructions = figures,
            Err(error) => eprintln!("instructions are not counted: {error:#}"),
        }
    }
    if wants(Part::Memory) {
        match memory::measure(rig, cli.runs.min(5)).await {
            Ok(figures) => measured.memory = figures,
            Err(error) => eprintln!(
                "memory sizes are not measured: a share of a processor takes a control group, which \
                 mostly takes root ({error:#})"
            ),
        }
    }
    Ok(())
}
