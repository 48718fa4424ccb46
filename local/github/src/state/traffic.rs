//! What is called how often, and GitHub's limits on that.
//! <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::faults::Met;

/// Kept for a look; the counts go on.
const RECORDS: usize = 10_000;

/// One call that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// When it came.
    pub at: String,
    /// Its method.
    pub method: String,
    /// Its route, as GitHub's description of the API names it.
    pub route: String,
    /// Its path with the query.
    pub path: String,
    /// The status it was answered with; 0 if it was not answered.
    pub status: u16,
    /// The installation whose token it carried.
    pub installation: Option<u64>,
}

/// All that was called since the start, or since it was cleared.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) records: VecDeque<RequestRecord>,
    /// The calls that faults met.
    pub(crate) met: VecDeque<Met>,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) hours: BTreeMap<u64, Window>,
    pub(crate) configurations: BTreeMap<u64, Window>,
}

/// A count that starts anew at `ends` (seconds since 1970).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) ends: i64,
    pub(crate) used: u64,
}

impl Traffic {
    /// Forgets the calls, not what they used of the limits.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
        self.met.clear();
        self.counts.clear();
    }

    /// Records a call that a fault met.
    pub(crate) fn meet(&mut self, met: Met) {
        self.met.push_back(met);
        if self.met.len() > RECORDS {
            self.met.pop_front();
        }
    }

    /// Records a call.
    pub(crate) fn record(&mut self, record: RequestRecord) {
        let route = format!("{} {}", record.method, record.route);
        *self.counts.entry(route).or_default() += 1;
        self.records.push_back(record);
        if self.records.len() > RECORDS {
            self.records.pop_front();
        }
    }
}

impl Window {
    fn count(slot: &mut Option<Self>, now: i64, length: i64) -> Self {
        let fresh = Self {
            ends: now + length,
            used: 0,
        };
        let window = slot.get_or_insert(fresh);
        if window.ends <= now {
            *window = fresh;
        }
        window.used += 1;
        *window
    }
}

/// Counts in the window of one of many.
pub(crate) fn count(windows: &mut BTreeMap<u64, Window>, of: u64, now: i64, length: i64) -> Window {
    let mut slot = windows.remove(&of);
    let window = Window::count(&mut slot, now, length);
    windows.insert(of, window);
    window
}
