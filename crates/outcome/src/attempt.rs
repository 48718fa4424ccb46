//! What an execution remembers from one attempt to the next.

use serde::{Deserialize, Serialize};

/// One try at getting the job a runner. `cleanup` makes the next one, `launch` follows it, the
/// state machine only carries it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Its number inside the execution, from 1.
    pub number: u32,
    /// Attempts spent on faults so far; bounded by the fault budget.
    pub faults: u32,
    /// Attempts in a row that ended for want of capacity.
    pub refusals: u32,
    /// Attempts in a row whose runner nobody gave a job.
    pub unpicked: u32,
    /// How far to go down the list of capacity providers.
    pub capacity_step: u32,
    /// Which subnet to begin with.
    pub subnet_step: u32,
    /// Ask GitHub whether the job is still queued before launching: in every attempt but the first,
    /// because another's runner may have taken the job meanwhile.
    pub recheck: bool,
}

impl Attempt {
    /// The first attempt of an execution.
    pub const fn first() -> Self {
        Self {
            number: 1,
            faults: 0,
            refusals: 0,
            unpicked: 0,
            capacity_step: 0,
            subnet_step: 0,
            recheck: false,
        }
    }
}

impl Default for Attempt {
    fn default() -> Self {
        Self::first()
    }
}
