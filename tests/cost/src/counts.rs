//! What a job and an idle month take, read from where it is decided or was measured: the state
//! machine, CDK's sizes and resources, and the figures of `cargo xtask bench`.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;
use tooling::{Checkout, Tasks};

/// The share of invocations that meet a new sandbox: assumed. Busy deployments have far fewer.
pub(crate) const COLD: f64 = 0.1;
/// What Lambda itself logs for each invocation (START, END, REPORT), in bytes: assumed.
const LAMBDA_LOG: f64 = 350.0;

/// All counts.
pub(crate) struct Counts {
    /// States that a job passes that goes well, in order.
    pub(crate) states: Vec<String>,
    /// States that a job passes on a warm task.
    pub(crate) warm_states: Vec<String>,
    /// Looks of a waiting agent at its bell in a second.
    pub(crate) looks: f64,
    /// Metrics that the keeper sends of each family every minute.
    pub(crate) stock_metrics: f64,
    /// Functions by name.
    functions: BTreeMap<String, Function>,
    /// Resources of a deployment, by type.
    resources: BTreeMap<String, usize>,
}

/// A function's size, and what it took at that size.
struct Function {
    mib: f64,
    warm_ms: f64,
    cold_ms: f64,
    log_bytes: f64,
}

#[derive(Deserialize)]
struct Bench {
    functions: Vec<Floor>,
    memory: Vec<Memory>,
}

#[derive(Deserialize)]
struct Floor {
    name: String,
    log_bytes: f64,
}

#[derive(Deserialize)]
struct Memory {
    name: String,
    mib: f64,
    init: Spread,
    first: Spread,
    warm: Spread,
}

#[derive(Deserialize)]
struct Spread {
    median: f64,
}

impl Counts {
    /// Reads them all.
    pub(crate) fn read(checkout: &Checkout) -> anyhow::Result<Self> {
        let read = |path: &str| {
            fs::read_to_string(checkout.path(path)).with_context(|| format!("reading {path}"))
        };
        let ids: BTreeMap<String, String> =
            serde_json::from_str(&read("cdk/test/fixtures/logical-ids.json")?)?;
        let mut resources = BTreeMap::new();
        for kind in ids.into_values() {
            *resources.entry(kind).or_default() += 1;
        }
        Ok(Self {
            states: happy_path(&checkout.definition(Tasks::Cold)?)?,
            warm_states: happy_path(&checkout.definition(Tasks::Warm)?)?,
            looks: looks(&read("images/ubuntu/agent/src/warm.rs")?)?,
            stock_metrics: sent_by("stock", &read("crates/runtime/metrics.json")?)?,
            functions: functions(
                &read("cdk/src/handlers/record.ts")?,
                &read("docs/bench.json")?,
            )?,
            resources,
        })
    }

    /// Lambda GB-seconds of one invocation.
    pub(crate) fn gb_seconds(&self, function: &str) -> f64 {
        let f = &self.functions[function];
        let ms = (1.0 - COLD) * f.warm_ms + COLD * f.cold_ms;
        f.mib / 1_024.0 * ms / 1_000.0
    }

    /// Milliseconds billed of one invocation: warm, and in a new sandbox.
    pub(crate) fn billed(&self, function: &str) -> (f64, f64) {
        let f = &self.functions[function];
        (f.warm_ms, f.cold_ms)
    }

    pub(crate) fn mib(&self, function: &str) -> f64 {
        self.functions[function].mib
    }

    /// Bytes in the log of one invocation.
    pub(crate) fn log_bytes(&self, function: &str) -> f64 {
        self.functions[function].log_bytes + LAMBDA_LOG
    }

    /// How many resources of a type a deployment has.
    pub(crate) fn resources(&self, kind: &str) -> u32 {
        let count = self.resources.get(kind).copied().unwrap_or_default();
        count.try_into().unwrap_or(u32::MAX)
    }
}

/// Follows `Next` from the first state to the one that ends; of a Choice, what it chooses.
fn happy_path(machine: &Value) -> anyhow::Result<Vec<String>> {
    let mut path = Vec::new();
    let mut next = machine["StartAt"].as_str();
    while let Some(name) = next {
        if path.iter().any(|passed| passed == name) {
            bail!("the state machine goes in a circle without an error");
        }
        path.push(name.to_owned());
        let state = &machine["States"][name];
        next = state["Next"]
            .as_str()
            .or(state["Choices"][0]["Next"].as_str());
    }
    Ok(path)
}

/// How often the agent looks at its bell.
fn looks(agent: &str) -> anyhow::Result<f64> {
    let (_, every) = agent
        .split_once("LOOK_EVERY: Duration = Duration::from_millis(")
        .context("the agent has no LOOK_EVERY in milliseconds")?;
    let every: f64 = every.split(')').next().unwrap_or_default().parse()?;
    Ok(1_000.0 / every)
}

/// How many metrics a function sends.
fn sent_by(function: &str, metrics: &str) -> anyhow::Result<f64> {
    let metrics: Vec<Value> =
        serde_json::from_str(metrics).context("crates/runtime/metrics.json")?;
    let sent = metrics
        .iter()
        .filter(|metric| metric["emittedBy"] == function);
    // Far below 2^52.
    #[allow(clippy::cast_precision_loss)]
    Ok(sent.count() as f64)
}

/// The sizes in CDK, with the times that were measured at them.
fn functions(sizes: &str, bench: &str) -> anyhow::Result<BTreeMap<String, Function>> {
    let bench: Bench = serde_json::from_str(bench).context("docs/bench.json")?;
    let mut functions = BTreeMap::new();
    let mut name = None;
    for line in sizes.lines().map(str::trim) {
        if let Some(key) = line.strip_suffix(": {") {
            name = Some(key.to_owned());
        } else if let Some(mib) = line.strip_prefix("memorySize: ") {
            let name = name.take().context("a memorySize of no function")?;
            let mib: f64 = mib.trim_end_matches(',').parse()?;
            let at = bench
                .memory
                .iter()
                .find(|m| m.name == name && (m.mib - mib).abs() < 0.5)
                .with_context(|| {
                    format!("docs/bench.json has no {name} with {mib} MiB; measure it: cargo xtask bench memory")
                })?;
            let floor = bench.functions.iter().find(|f| f.name == name);
            let function = Function {
                mib,
                warm_ms: at.warm.median.ceil(),
                cold_ms: (at.init.median + at.first.median).ceil(),
                log_bytes: floor
                    .with_context(|| format!("{name} was not measured"))?
                    .log_bytes,
            };
            functions.insert(name, function);
        }
    }
    Ok(functions)
}
