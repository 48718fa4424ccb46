//! What goes wrong.

use std::ops::Range;

use crate::limit::{HOUR, MINUTE, Time};

/// Something that does not work for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// GitHub's API answers 5xx.
    GitHub,
    /// GitHub assigns no jobs to runners.
    Assignments,
    /// GitHub sends no webhooks; `sweep` has them delivered afterwards.
    Webhooks,
    /// StartExecution is throttled.
    StartExecution,
    /// RunTask finds no capacity.
    Capacity,
}

/// Faults of a month.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Of a task's hours on Spot, how many interruptions.
    pub(crate) interruptions: f64,
    /// Share of Spot's RunTask calls that find no capacity.
    pub(crate) spot_misses: f64,
    /// Whether jobs prefer Spot.
    pub(crate) spot: bool,
    /// Share of tasks that fail to start.
    pub(crate) failed_starts: f64,
    /// What is broken, and when.
    pub(crate) outages: Vec<(Broken, Range<Time>)>,
}

impl Faults {
    /// What happens in any month: one task in a thousand does not start.
    pub(crate) fn ordinary() -> Self {
        Self {
            failed_starts: 0.001,
            ..Self::default()
        }
    }

    /// An outage of so many minutes, in the busiest hour of the month's second Tuesday.
    pub(crate) fn outage(broken: Broken, minutes: u64) -> Self {
        let from = 8 * 24 * HOUR + 10 * HOUR;
        Self {
            outages: vec![(broken, from..from + minutes * MINUTE)],
            ..Self::ordinary()
        }
    }

    /// Jobs on Spot: one task in twenty that runs for an hour is interrupted, and one in fifty finds no
    /// capacity at once.
    pub(crate) fn on_spot() -> Self {
        Self {
            spot: true,
            interruptions: 0.05,
            spot_misses: 0.02,
            ..Self::ordinary()
        }
    }

    pub(crate) fn is_broken(&self, what: Broken, now: Time) -> bool {
        let is_now =
            |(broken, when): &(Broken, Range<Time>)| *broken == what && when.contains(&now);
        self.outages.iter().any(is_now)
    }
}
