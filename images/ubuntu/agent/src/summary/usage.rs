//! How much of its task a job uses at most.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::facts::store;
use super::metadata::{Metadata, Stats};

const NAME: &str = "usage.json";
/// A peak of CPU is a mean over this. Shorter ones cost more calls and say less of the size that a job
/// needs.
const INTERVAL: Duration = Duration::from_secs(5);

/// The peaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Usage {
    /// vCPUs, over one interval.
    pub(super) cpu: f64,
    /// Bytes, without cached files.
    pub(super) memory: u64,
    /// How many intervals were measured.
    pub(super) samples: u32,
}

impl Usage {
    pub(super) fn read(directory: &Path) -> Option<Self> {
        let usage: Self = serde_json::from_slice(&fs::read(directory.join(NAME)).ok()?).ok()?;
        (usage.samples > 0).then_some(usage)
    }

    /// Takes in an interval: figures at its end, CPU time at its start, and its length.
    fn measured(&mut self, stats: &Stats, before: u64, took: Duration) {
        let nanoseconds = stats.cpu_nanoseconds().saturating_sub(before);
        let used = Duration::from_nanos(nanoseconds).as_secs_f64() / took.as_secs_f64();
        self.cpu = self.cpu.max(used);
        self.memory = self.memory.max(stats.memory_bytes());
        self.samples += 1;
    }
}

/// Samples while it lives.
#[derive(Debug)]
pub(crate) struct Sampler(JoinHandle<()>);

impl Sampler {
    /// Starts, where ECS tells the figures.
    pub(crate) fn start(directory: &Path) -> Option<Self> {
        let metadata = Metadata::of_this_task()?;
        let file = directory.join(NAME);
        Some(Self(tokio::spawn(follow(metadata, file, INTERVAL))))
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(metadata: Metadata, file: PathBuf, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut usage = Usage::default();
    let mut last: Option<(Instant, u64)> = None;
    loop {
        ticks.tick().await;
        let Some(stats) = metadata.stats().await else {
            continue;
        };
        let now = Instant::now();
        if let Some((then, before)) = last {
            usage.measured(&stats, before, now - then);
            store(&file, &usage);
        }
        last = Some((now, stats.cpu_nanoseconds()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(cpu: u64, memory: u64) -> Stats {
        let text = format!(
            r#"{{ "cpu_stats": {{ "cpu_usage": {{ "total_usage": {cpu} }} }}, "memory_stats": {{ "usage": {memory} }} }}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_peaks_are_kept_and_a_counter_that_starts_again_is_none() {
        let mut usage = Usage::default();
        let five = Duration::from_secs(5);
        usage.measured(&stats(8_000_000_000, 300), 500_000_000, five);
        usage.measured(&stats(9_000_000_000, 100), 8_000_000_000, five);
        usage.measured(&stats(10, 0), 9_000_000_000, five);
        assert!((usage.cpu - 1.5).abs() < 1e-9, "{usage:?}");
        assert_eq!((usage.memory, usage.samples), (300, 3));
    }
}
