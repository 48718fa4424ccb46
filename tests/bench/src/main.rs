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
mod peer;
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

use peer::Peer;
use report::Report;
use rig::Rig;
use subject::Subject;

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
    /// Directory with another's function, measured beside these in the same rounds: a program
    /// `bootstrap`, or a file `handler` that names a handler of Node as Lambda does (`index.handler`)
    #[arg(long, value_name = "DIR")]
    peer: Vec<PathBuf>,
    /// Whose events the peers get
    #[arg(long, value_name = "FUNCTION", default_value = "verify", value_parser = subject, requires = "peer")]
    peer_event: Subject,
    /// A variable of the peers' environment, besides those of the function whose events they get
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable, requires = "peer")]
    peer_env: Vec<(String, String)>,
}

fn subject(name: &str) -> Result<Subject, String> {
    let names = || Subject::ALL.map(Subject::name).join(", ");
    let found = Subject::ALL.into_iter().find(|one| one.name() == name);
    found.ok_or_else(|| format!("{name:?} is no function; write one of {}", names()))
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| format!("{text:?} is no variable; write NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
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
    // Before anything takes minutes.
    let peers = cli
        .peer
        .iter()
        .map(|directory| Peer::open(directory, cli.peer_event, &cli.peer_env))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let rig = Arc::new(Rig::new(&Checkout::here()).await?);
    let mut measured = Report {
        machine: report::machine(),
        roots: rig.authority.roots,
        runs: cli.runs,
        invocations: cli.invocations,
        ..Report::default()
    };
    // What was measured is shown, whatever became of the rest.
    let result = parts(&cli, &peers, &rig, &mut measured).await;
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

async fn parts(
    cli: &Cli,
    peers: &[Peer],
    rig: &Arc<Rig>,
    measured: &mut Report,
) -> anyhow::Result<()> {
    let wants = |part| cli.parts.is_empty() || cli.parts.contains(&part);
    if wants(Part::Floor) {
        measured.functions =
            floor::measure(rig, &rig.built(), peers, cli.runs, cli.invocations).await?;
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
