//! A registered runner.

use serde::{Deserialize, Serialize};

use crate::Adopted;

/// Result of `token`, with which `cleanup` finds the runner. JSON fields are in camel case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// The runner's id at GitHub; null if it registers itself with a token.
    pub runner_id: Option<u64>,
    /// The App's installation that registered it.
    pub installation_id: u64,
    /// The warm task that took the registration; missing if a task is still to be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Adopted>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_reads_back_from_its_own_json() {
        for json in [
            json!({ "runnerId": 4242, "installationId": 77 }),
            json!({ "runnerId": null, "installationId": 77 }),
            json!({ "runnerId": 1, "installationId": 77, "warm": { "taskArn": "arn:aws:ecs:task/1" } }),
        ] {
            let registered: Registered = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(serde_json::to_value(&registered).unwrap(), json);
        }
    }
}
