//! What the state machine gives.

use decisions::{Attempt, SlotAwaited};
use protocol::{Matched, Order, PlannedRunner};
use serde::Deserialize;
use serde_json::Value;

/// The input of the state `Token`.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The execution's input.
    pub order: Order,
    /// The runner that `launch` planned.
    pub runner: PlannedRunner,
    /// The attempt.
    #[serde(default)]
    pub attempt: Option<Attempt>,
    /// What the job has waited for, if it has waited for a slot.
    #[serde(default)]
    pub slot: Option<SlotAwaited>,
    /// The result of `match`; only in a deployment that keeps warm tasks or has caps.
    #[serde(rename = "match", default)]
    pub matched: Option<Matched>,
    /// The RunTask request of `launch`; likewise.
    #[serde(rename = "runTask", default)]
    pub run_task: Value,
}
