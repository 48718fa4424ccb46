//! State that an execution keeps between attempts.

use serde::{Deserialize, Serialize};

/// This many consecutive runners that GitHub never assigned a job are a sign of a problem.
pub(crate) const UNPICKED_SIGN: u32 = 3;

/// One attempt to get the job a runner. `cleanup` creates the next one, `launch` follows it, the
/// state machine carries it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Number within the execution, from 1.
    pub number: u32,
    /// Attempts that ended in a fault; bounded by the fault budget.
    pub faults: u32,
    /// Consecutive attempts that ended because of missing capacity or an external cause.
    pub refusals: u32,
    /// Attempts whose runner got no job, since a runner last had one.
    pub unpicked: u32,
    /// Index into the list of capacity providers.
    pub capacity_step: u32,
    /// Index of the first subnet.
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

    /// Whether to ask GitHub if the job is still queued before anything is launched. True for every
    /// attempt except the first: another runner may have taken the job meanwhile, and a surplus
    /// runner would idle.
    pub const fn rechecks(&self) -> bool {
        self.number > 1
    }

    /// Advice for the operator while the execution continues, if any.
    pub fn advice(&self) -> Option<String> {
        (self.unpicked >= UNPICKED_SIGN).then(|| {
            format!(
                "{} consecutive runners listened and got no job. If other jobs of this scope are picked up, check that the runner group is visible to the job's repository; otherwise check githubstatus.com",
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
