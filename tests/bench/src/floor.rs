//! The functions against the empty one: CPU, memory and size.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::peer::Peer;
use crate::rig::Rig;
use crate::sandbox::Sandbox;
use crate::size;
use crate::spread::{Spread, milliseconds};
use crate::subject::Subject;

/// A function's figures. Times are CPU times in milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) name: String,
    /// From its start until it asks for its first event.
    pub(crate) ready: Spread,
    /// The same over the empty function's, in the same round.
    pub(crate) ready_ratio: Spread,
    /// The first invocation, with all that is only done once, also what was begun before the event.
    pub(crate) first: Spread,
    /// Start and first invocation over the empty function's, in the same round.
    #[serde(default)]
    pub(crate) together_ratio: Spread,
    /// One of many more.
    pub(crate) warm: Spread,
    /// The most RAM after all of them, in MiB.
    pub(crate) peak_mib: Spread,
    /// What one of the many more writes to its log, in bytes.
    pub(crate) log_bytes: f64,
    pub(crate) program_bytes: u64,
    pub(crate) zip_bytes: u64,
    /// Calls in the first invocation.
    pub(crate) first_calls: BTreeMap<String, u64>,
    /// Calls in all invocations after it.
    pub(crate) warm_calls: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Readings {
    ready: Vec<f64>,
    ready_ratio: Vec<f64>,
    together_ratio: Vec<f64>,
    first: Vec<f64>,
    warm: Vec<f64>,
    peak_mib: Vec<f64>,
    first_calls: BTreeMap<String, u64>,
    warm_calls: BTreeMap<String, u64>,
    log_bytes: f64,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
enum Function<'a> {
    Own(Subject),
    /// Another's, with the events of one of these.
    Peer(&'a Peer),
}

impl Function<'_> {
    fn name(self) -> String {
        match self {
            Self::Own(subject) => subject.name().to_owned(),
            Self::Peer(peer) => peer.name.clone(),
        }
    }

    fn subject(self) -> Subject {
        match self {
            Self::Own(subject) => subject,
            Self::Peer(peer) => peer.event,
        }
    }

    async fn sandbox(self, rig: &Rig) -> anyhow::Result<Sandbox> {
        match self {
            Self::Own(subject) => rig.sandbox(subject, &[], None).await,
            Self::Peer(peer) => peer.sandbox(rig).await,
        }
    }

    async fn invoke(self, rig: &Rig, sandbox: &mut Sandbox, job: u64) -> anyhow::Result<()> {
        match self {
            Self::Own(subject) => rig.invoke(sandbox, subject, job).await.map(|_| ()),
            Self::Peer(peer) => peer.invoke(rig, sandbox, job).await,
        }
    }

    fn size(self, rig: &Rig) -> anyhow::Result<(u64, u64)> {
        match self {
            Self::Own(subject) => size::of(&rig.program(subject)),
            Self::Peer(peer) => peer.size(),
        }
    }
}

/// Measures `runs` sandboxes of each of these functions and of each peer, with so many invocations after the
/// first. They take turns, so that a machine that gets slower does so for all of them.
pub(crate) async fn measure(
    rig: &Rig,
    subjects: &[Subject],
    peers: &[Peer],
    runs: u32,
    invocations: u32,
) -> anyhow::Result<Vec<Figures>> {
    let own = subjects.iter().map(|subject| Function::Own(*subject));
    let mut readings: Vec<(Function<'_>, Readings)> = own
        .chain(peers.iter().map(Function::Peer))
        .map(|function| (function, Readings::default()))
        .collect();
    for run in 1..=runs {
        eprintln!("  … round {run} of {runs}");
        let mut floor = None;
        for (function, readings) in &mut readings {
            let (ready, together) = round(rig, *function, invocations, readings)
                .await
                .with_context(|| format!("measuring {}", function.name()))?;
            let (least, least_together) = *floor.get_or_insert((ready, together));
            readings.ready_ratio.push(ready / least);
            readings.together_ratio.push(together / least_together);
        }
    }
    readings
        .into_iter()
        .map(|(function, readings)| {
            let (program_bytes, zip_bytes) = function.size(rig)?;
            Ok(Figures {
                name: function.name(),
                ready: Spread::of(readings.ready),
                ready_ratio: Spread::of(readings.ready_ratio),
                first: Spread::of(readings.first),
                together_ratio: Spread::of(readings.together_ratio),
                warm: Spread::of(readings.warm),
                peak_mib: Spread::of(readings.peak_mib),
                log_bytes: readings.log_bytes,
                program_bytes,
                zip_bytes,
                first_calls: readings.first_calls,
                warm_calls: readings.warm_calls,
            })
        })
        .collect()
}

/// One sandbox; answers with the CPU time of its start, and of that and the first invocation.
async fn round(
    rig: &Rig,
    function: Function<'_>,
    invocations: u32,
    readings: &mut Readings,
) -> anyhow::Result<(f64, f64)> {
    let subject = function.subject();
    rig.publish().await?;
    rig.aws.account().executions.clear();
    calls(rig);
    let mut sandbox = function.sandbox(rig).await?;
    let ready = sandbox.ready().await.with_context(|| rig.log(subject))?.cpu;
    function.invoke(rig, &mut sandbox, 1).await?;
    let first = sandbox.cpu_at_rest().await?;
    readings.first_calls = calls(rig);
    let logged = rig.logged(subject);
    for job in 0..invocations {
        function
            .invoke(rig, &mut sandbox, u64::from(job) + 2)
            .await?;
    }
    let all = sandbox.cpu_at_rest().await?;
    readings.warm_calls = calls(rig);
    // Whole bytes, far below 2^52.
    #[allow(clippy::cast_precision_loss)]
    let more = (rig.logged(subject) - logged) as f64;
    readings.log_bytes = (more / f64::from(invocations.max(1))).round();
    let ready = milliseconds(ready);
    readings.ready.push(ready);
    let together = milliseconds(first);
    readings.first.push(together - ready);
    readings
        .warm
        .push((milliseconds(all) - milliseconds(first)) / f64::from(invocations.max(1)));
    // Far below 2^52.
    #[allow(clippy::cast_precision_loss)]
    let mib = sandbox.peak_memory()? as f64 / f64::from(1 << 20);
    readings.peak_mib.push(mib);
    Ok((ready, together))
}

fn calls(rig: &Rig) -> BTreeMap<String, u64> {
    let mut calls = rig.aws.take_calls();
    calls.extend(rig.github.take_calls());
    calls
}
