//! What an execution remembers from one attempt to the next.

use serde::{Deserialize, Serialize};

/// So many runners in a row that nobody gave a job are a sign that somebody should look at.
pub(crate) const UNPICKED_SIGN: u32 = 3;

/// One try at getting the job a runner. `cleanup` makes the next one, `launch` follows it, the
/// state machine only carries it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Its number inside the execution, from 1.
    pub number: u32,
    /// Attempts spent on faults so far; bounded by the fault budget.
    pub faults: u32,
    /// Attempts in a row that ended for want of capacity, or because something outside was in the way.
    pub refusals: u32,
    /// Attempts whose runner nobody gave a job, since a runner last had one.
    pub unpicked: u32,
    /// How far to go down the list of capacity providers.
    pub capacity_step: u32,
    /// Which subnet to begin with.
    pub subnet_step: u32,
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
        }
    }

    /// Whether GitHub is asked if the job is still queued before anything is launched: in every attempt
    /// but the first, because another's runner may have taken the job meanwhile, and a runner that
    /// nobody needs would idle.
    pub const fn rechecks(&self) -> bool {
        self.number > 1
    }

    /// What an operator should look at while the execution goes on, if anything.
    pub fn advice(&self) -> Option<String> {
        (self.unpicked >= UNPICKED_SIGN).then(|| {
            format!(
                "{} runners in a row listened and got no job. If other jobs of this scope are picked up, check that the runner group is visible to the job's repository; if none is, check githubstatus.com",
                self.unpicked
            )
        })
    }
}

impl Default for Attempt {
    fn default() -> Self {
        Self::first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_attempt_but_the_first_asks_github_first() {
        assert!(!Attempt::first().rechecks());
        let second = Attempt {
            number: 2,
            ..Attempt::first()
        };
        assert!(second.rechecks());
    }

    #[test]
    fn an_attempt_of_an_execution_of_an_older_version_is_still_read() {
        let json = json!({
            "number": 2, "faults": 1, "refusals": 0, "unpicked": 0, "capacityStep": 0,
            "subnetStep": 1, "recheck": true
        });
        let attempt: Attempt = serde_json::from_value(json).unwrap();
        assert_eq!((attempt.number, attempt.subnet_step), (2, 1));
        assert!(attempt.rechecks());
        let written = serde_json::to_value(&attempt).unwrap();
        assert_eq!(written.get("recheck"), None);
    }
}
