//! The figures, as JSON and as tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tooling::thousands;

use crate::{agent, burst, floor, instructions, memory};

/// All that one run measured; a part that was not asked for is empty.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    /// Authorities that a client reads at its start.
    pub(crate) roots: usize,
    pub(crate) runs: u32,
    pub(crate) invocations: u32,
    pub(crate) functions: Vec<floor::Figures>,
    #[serde(default)]
    pub(crate) instructions: Vec<instructions::Figures>,
    pub(crate) agent: Option<agent::Figures>,
    pub(crate) expiry: Option<burst::Expiry>,
    pub(crate) cold_match: Vec<burst::ColdMatch>,
    pub(crate) burst: Vec<burst::Figures>,
    pub(crate) memory: Vec<memory::Figures>,
}

/// The processor and the kernel, as they call themselves.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let named = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{}, {} processors, Linux {}",
        named.map_or("unknown processor", |(_, name)| name),
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        read("/proc/sys/kernel/osrelease").trim()
    )
}

impl Report {
    /// Reads what an earlier run wrote.
    pub(crate) fn read(path: &std::path::Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no report", path.display()))
    }

    /// Writes the report over an earlier one, of which it keeps what was not measured now.
    pub(crate) fn keep(mut self, path: &std::path::Path) -> anyhow::Result<()> {
        if path.exists() {
            let earlier = Self::read(path)?;
            if self.functions.is_empty() {
                (self.functions, self.runs) = (earlier.functions, earlier.runs);
                self.invocations = earlier.invocations;
            }
            if self.instructions.is_empty() {
                self.instructions = earlier.instructions;
            }
            self.agent = self.agent.or(earlier.agent);
            self.expiry = self.expiry.or(earlier.expiry);
            if self.cold_match.is_empty() {
                self.cold_match = earlier.cold_match;
            }
            if self.burst.is_empty() {
                self.burst = earlier.burst;
            }
            if self.memory.is_empty() {
                self.memory = earlier.memory;
            }
        }
        let text = serde_json::to_string_pretty(&self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }

    /// Everything that was measured, in Markdown.
    pub(crate) fn tables(&self) -> String {
        let mut text = String::new();
        for table in [
            self.floor_table(),
            self.instructions_table(),
            self.sizes_table(),
            self.calls_table(),
            self.agent_table(),
            self.catalogue_table(),
            self.burst_table(),
            self.memory_table(),
        ]
        .into_iter()
        .flatten()
        {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&table);
        }
        text
    }

    fn floor_table(&self) -> Option<String> {
        table(
            "| function | start, CPU ms | of empty | first, CPU ms | both, of empty | warm, CPU ms |",
            &self.functions,
            |f| {
                format!(
                    "| `{}` | {} | {} | {} | {} | {} |",
                    f.name,
                    f.ready.show(2),
                    f.ready_ratio.show(2),
                    f.first.show(2),
                    f.together_ratio.show(2),
                    f.warm.show(3)
                )
            },
        )
    }

    fn instructions_table(&self) -> Option<String> {
        table(
            "| function | start, million instructions | start and first invocation | of empty |",
            &self.instructions,
            |f| {
                format!(
                    "| `{}` | {:.2} | {:.2} | {:.2} |",
                    f.name, f.start, f.together, f.of_empty
                )
            },
        )
    }

    fn sizes_table(&self) -> Option<String> {
        table(
            "| function | peak RAM, MiB | program, bytes | zip, bytes |",
            &self.functions,
            |f| {
                format!(
                    "| `{}` | {} | {} | {} |",
                    f.name,
                    f.peak_mib.show(1),
                    thousands(f.program_bytes),
                    thousands(f.zip_bytes)
                )
            },
        )
    }

    /// A row for each call of each function: how often in the first invocation, and in a later one.
    fn calls_table(&self) -> Option<String> {
        let calls: Vec<_> = self
            .functions
            .iter()
            .flat_map(|f| {
                let named: BTreeSet<_> = f.first_calls.keys().chain(f.warm_calls.keys()).collect();
                named.into_iter().map(move |call| (f, call))
            })
            .collect();
        table(
            "| function | call | first invocation | each warm invocation |",
            &calls,
            |(f, call)| {
                let count = |calls: &BTreeMap<String, u64>| calls.get(*call).copied().unwrap_or(0);
                // Far below 2^52.
                #[allow(clippy::cast_precision_loss)]
                let warm = count(&f.warm_calls) as f64 / f64::from(self.invocations.max(1));
                let first = count(&f.first_calls);
                format!("| `{}` | {call} | {first} | {warm} |", f.name)
            },
        )
    }

    fn agent_table(&self) -> Option<String> {
        table(
            "| agent | start to listener, CPU ms | over TLS | waiting, CPU ms per s | waiting, MiB | program, bytes |",
            self.agent.as_slice(),
            |a| {
                format!(
                    "| | {} | {} | {} | {} | {} |",
                    a.plain.show(2),
                    a.tls.show(2),
                    a.waiting.show(2),
                    a.waiting_mib.show(1),
                    thousands(a.program_bytes)
                )
            },
        )
    }

    fn catalogue_table(&self) -> Option<String> {
        let mut text = table(
            "| cold `match` at once | DescribeTaskDefinition | ListTaskDefinitionFamilies | ssm:GetParameter | last answer, ms |",
            &self.cold_match,
            |c| {
                format!(
                    "| {} | {} | {} | {} | {:.0} |",
                    c.sandboxes, c.describe_calls, c.list_calls, c.parameter_calls, c.last
                )
            },
        )?;
        if let Some(e) = &self.expiry {
            let _ = writeln!(
                text,
                "\n{} jobs in one sandbox made {} AWS call; {} more, after the catalogue expired, made {}.",
                e.invocations, e.calls_filling, e.invocations, e.calls_expired
            );
        }
        Some(text)
    }

    fn burst_table(&self) -> Option<String> {
        table(
            "| StartExecution (bucket, per s) | webhooks | started | kept | lost | p50, ms | p99, ms | slowest, ms | sandboxes | calls, throttled | queue drained | executions |",
            &self.burst,
            |b| {
                format!(
                    "| {}, {} | {} | {} | {} | {} | {:.1} | {:.0} | {:.0} | {} | {}, {} | {:.0} s | {} |",
                    b.bucket,
                    b.per_second,
                    b.webhooks,
                    b.started,
                    b.kept,
                    b.lost,
                    b.p50,
                    b.p99,
                    b.slowest,
                    b.sandboxes,
                    b.start_calls,
                    b.throttled,
                    b.drained,
                    b.executions
                )
            },
        )
    }

    fn memory_table(&self) -> Option<String> {
        table(
            "| function | MiB | start, ms | first, ms | warm, ms |",
            &self.memory,
            |m| {
                format!(
                    "| `{}` | {} | {:.0} | {:.0} | {:.0} |",
                    m.name, m.mib, m.init.median, m.first.median, m.warm.median
                )
            },
        )
    }
}

fn table<T>(head: &str, rows: &[T], row: impl Fn(&T) -> String) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let columns = head.matches('|').count() - 1;
    let mut text = format!("{head}\n|{}\n", "---|".repeat(columns));
    for each in rows {
        text.push_str(&row(each));
        text.push('\n');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_was_not_measured_has_no_table() {
        assert_eq!(Report::default().tables(), "");
    }
}
