//! Slots of caps that an execution has not given back: its end was not told, or the table failed then.
//!
//! Also tells executions of an earlier deployment the caps of this one.

use std::collections::BTreeSet;
use std::time::Duration;

use decisions::Slots;
use fleet::Status;
use protocol::ExecutionName;
use runtime::telemetry::Metric;

use crate::Deps;
use crate::snapshot::Snapshot;

/// How long an execution may be missing from the list of those that run: the list may be some seconds
/// old.
const LISTED: Duration = Duration::from_mins(2);
/// Maximum number of executions per sweep that are asked about.
const ASKED: usize = 50;

/// Repairs the slots. Returns how many were freed. Without caps, nothing here makes a call.
pub async fn repair(deps: &Deps, snapshot: &Snapshot) -> Result<usize, fleet::Error> {
    let Some(slots) = deps.fleet.slots().await? else {
        return Ok(0);
    };
    let now = u64::try_from(snapshot.now.unix_timestamp()).unwrap_or_default();
    let mut closed = BTreeSet::new();
    for name in unlisted(&slots, snapshot, now).take(ASKED) {
        let execution = deps.fleet.execution(name).await?;
        if execution.is_none_or(|execution| execution.status != Status::Running) {
            closed.insert(name.clone());
        }
    }
    let left = deps
        .fleet
        .repair_slots(slots, &closed, snapshot.now)
        .await?;
    let taken = u32::try_from(left.leases.len()).unwrap_or(u32::MAX);
    deps.metrics().emit(Metric::SlotsTaken, f64::from(taken));
    if !closed.is_empty() {
        tracing::warn!(?closed, "gave back the slots of closed executions");
    }
    Ok(closed.len())
}

/// Executions that have a slot or wait for one, and that are not listed as running.
fn unlisted<'a>(
    slots: &'a Slots,
    snapshot: &'a Snapshot,
    now: u64,
) -> impl Iterator<Item = &'a ExecutionName> {
    let leases = slots.leases.iter().map(|(name, lease)| (name, lease.since));
    let line = slots.line.iter().map(|(name, one)| (name, one.since));
    leases
        .chain(line)
        .filter(move |(_, since)| since + LISTED.as_secs() <= now)
        .map(|(name, _)| name)
        .filter(|name| !snapshot.runs(name))
}
