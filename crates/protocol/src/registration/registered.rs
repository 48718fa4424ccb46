//! A registered runner.

use serde::{Deserialize, Serialize};

/// Result of `token`, with which `cleanup` finds the runner. JSON fields are in camel case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// The runner's id at GitHub; null if it registers itself with a token.
    pub runner_id: Option<u64>,
    /// The App's installation that registered it.
    pub installation_id: u64,
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
        ] {
            let registered: Registered = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(serde_json::to_value(registered).unwrap(), json);
        }
    }
}
