//! A runner that is registered.

use serde::{Deserialize, Serialize};

/// What `token` answers, and `cleanup` finds the runner by. In JSON its fields are in camel case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registered {
    /// The runner's id at GitHub; null where it registers itself with a token.
    pub runner_id: Option<u64>,
    /// The App's installation that it was registered by.
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
